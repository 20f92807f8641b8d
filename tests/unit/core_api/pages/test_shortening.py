"""A script without its comments and the blanks that mean nothing."""

from __future__ import annotations

import re

import pytest

from core_api.pages.shortening import ShorteningError, shortened


@pytest.mark.parametrize(
    ("script", "short"),
    [
        ("const a = 1;\n\n  // why\nconst b = 2; // why\n", "const a=1;\nconst b=2;\n"),
        ("/**\n * What it is.\n */\nf();\n", "\nf();\n"),
        ("const a = /** @type {any} */ (null);\n", "const a=(null);\n"),
        # A line that ends within a comment ends.
        ("a /* one\n two */ b", "a\nb"),
        *((f"a /* one{end} two */ b", "a\nb") for end in ("\r\n", "\r", "\u2028", "\u2029")),
        ("//! path.js\nf();\n", "//! path.js\nf();\n"),
        ("if (a) {\n  return b;\n} else c();\n", "if(a){\nreturn b;\n}else c();\n"),
        ("return typeof a === b ? [c, d] : e;", "return typeof a===b?[c,d]:e;"),
        # Apart, these are other signs than together.
        ("a + +b - -c; d++ + e; 1 .toFixed();", "a + +b - -c;d++ + e;1 .toFixed();"),
        ("a && b || !c;", "a&&b||!c;"),
    ],
)
def test_comments_and_blanks_are_left_out(script: str, short: str) -> None:
    assert shortened(script) == short


@pytest.mark.parametrize(
    "literal",
    [
        '"a  //  b"',
        "'it\\'s  /*  {'",
        '"\\\\"',
        '`a  // b\n   { " c`',
        "`a  ${b}  c`",
        "`a  ${b?`c  ${d}  e`:`  f`}  g`",
        "`$  ${{a:1}.a}  }`",
        "`\\`  \\${  `",
        '/[/"]  \\/ {/g',
        "/`  /u",
    ],
)
def test_texts_templates_and_regular_expressions_stay_as_they_are(literal: str) -> None:
    assert shortened(f"f(  {literal}  ); // end") == f"f({literal});"


def test_a_division_begins_no_regular_expression() -> None:
    script = "const half = (a + b) / 2; const c = d[0] / e; // f / g\n"
    assert shortened(script) == "const half=(a + b)/ 2;const c=d[0]/ e;\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\u2029"])
def test_code_goes_on_after_each_kind_of_line_end(end: str) -> None:
    assert "f();" in shortened(f"a // why{end}f();")


def test_several_divisions_stand_in_one_line_where_each_follows_a_value() -> None:
    assert shortened("a / b / c.d / e[0] / 2") == "a / b / c.d / e[0]/ 2"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("a();\nb = c/d/e;\n", "write a division with a blank on either side: 'b = c/d/e;"),
        ("} /a/.test(b);", "} has no other one"),
        ("if (a) { }\n/b/.test(c);", "write a division with a blank on either side: '/b/"),
        ("if (a) /b/.test(c);", "write a division with a blank on either side"),
        ("if (a) / b = c/.test(d);", "write each division on a line of its own: 'if (a) / b"),
        ("else / b = c/.test(d);", "write each division on a line of its own"),
        ("a.return / b = (c) / d;", "write each division on a line of its own"),
        ("f('a);\n", "' has no other one: \"f('a);\""),
        ("f(`a);\n", "a template has no end"),
        ("f(`a ${b);\n", "a bracket is not closed"),
        ("{ f();", "a bracket is not closed"),
    ],
)
def test_what_is_not_certain_is_said(script: str, why: str) -> None:
    with pytest.raises(ShorteningError, match=re.escape(why)):
        shortened(script)
