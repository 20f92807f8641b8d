"""Random scripts from all kinds of tokens, with all that may stand between two of them."""

from __future__ import annotations

from random import Random
from typing import Final

_NAMES: Final = ("a", "b.c", "$d", "this", "e[0]", "f()", "g.return", "new H")
_LITERALS: Final = ("1", ".5", "1.", "0x1f", "null", '"s  // s"', "'/*  \\'  */'")
_REGEXES: Final = ("/r/g", "/ r = s/", '/[/"]  \\/ {/', "/`  $/u", "/[[a]/v", "/= (r)/")
_BINARY: Final = (
    *("+", "-", "*", "/", "%", "**", "<", ">", "<=", "===", "!==", "&&", "||", "??", "&", "|"),
    *(">>>", "=", "+=", "/=", "??=", "in", "instanceof", ","),
)
_UNARY: Final = ("+", "-", "++", "--", "!", "~", "typeof", "void", "await", "yield")
_BETWEEN: Final = (
    *("", " ", " ", " ", "  ", "\t", "\n", "\n  ", "\r\n", "\u2028", "\xa0"),
    *("// c / ' `\n", "  // c\n\n", "//! c\n", "// c\r\n", "// c\u2028", "// c\r"),
    *("/* c  ' */", " /* c / ` */ ", "/** c\n */", "/* c \u2029 */", "/* c\r*/", "/***/"),
)


def script(random: Random) -> str:
    """A random script. Most are valid, some are not."""
    return "".join(f"{token}{_between(random)}" for token in _many(random, 2))


def _between(random: Random) -> str:
    return random.choice(_BETWEEN) if random.random() < 0.4 else " "


def _many(random: Random, deep: int) -> list[str]:
    return [token for _ in range(random.randint(1, 2)) for token in _statement(random, deep)]


def _statement(random: Random, deep: int) -> list[str]:
    value = _value(random, deep)
    end = random.choice([";", ";", "\n"])
    if deep == 0:
        return [*value, end]
    inner = _statement(random, deep - 1)
    kinds = [
        [*value, end],
        ["const", random.choice("xyz"), "=", *value, end],
        ["if", "(", *value, ")", *inner],
        ["if", "(", *value, ")", *inner, "else", *inner],
        ["while", "(", *value, ")", "{", *inner, "break", end, "}"],
        ["for", "(", "const", "i", "of", *value, ")", "{", *inner, "}"],
        ["async", "function", "*", "f", "(", ")", "{", "return", *value, end, "}"],
        ["switch", "(", *value, ")", "{", "case", *value, ":", *inner, "}"],
        ["class", "K", "{", "#p", "=", *value, end, "static", "m", "(", ")", "{", *inner, "}", "}"],
        ["{", *inner, "}"],
    ]
    return random.choice(kinds)


def _value(random: Random, deep: int) -> list[str]:
    if deep == 0:
        return [random.choice(random.choice([_NAMES, _NAMES, _LITERALS, _LITERALS, _REGEXES]))]
    one, two = _value(random, deep - 1), _value(random, deep - 1)
    kinds = [
        one,
        [*one, random.choice(_BINARY), *two],
        [*one, random.choice(_BINARY), *two],
        [random.choice(_UNARY), *one],
        [random.choice(_NAMES), random.choice(["++", "--"])],
        ["(", *one, ")"],
        ["(", *one, ")", random.choice(_BINARY), *two],
        ["[", *one, ",", "...", *two, "]"],
        ["(", "{", "k", ":", *one, ",", "[", *two, "]", ":", *one, "}", ")"],
        [*one, "?", *two, ":", *one],
        ["h", "?.", "[", *one, "]"],
        ["(", "x", ")", "=>", "{", "return", *one, "}"],
        ["x", "=>", *one],
        [f"`t  ${{{' '.join(one)}}}  // t`"],
        [f"`\\`  ${{ `${{{' '.join(one)}}}  $` }}\n  t`"],
    ]
    return random.choice(kinds)
