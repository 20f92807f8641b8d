"""Removes comments and unneeded blanks from a script: a tenth of what is sent. Pure.

Nothing else changes: names, strings and line starts stay, so that no semicolon is missing. An
ambiguous character is an error. A test parses the script of each page before and after: the syntax
trees are equal.
"""

from __future__ import annotations

import re
from typing import Final

_PART: Final = re.compile(
    r"""
    (?P<text> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | //![^\n\r\u2028\u2029]* )
    | (?P<comment> //[^\n\r\u2028\u2029]* | /\*(?:[^*]|\*(?!/))*\*/ )
    | (?P<sign> [`{}()/"'] )
    """,
    re.VERBOSE,
)
_TEMPLATE: Final = re.compile(r"[`}](?:[^`\\$]|\\.|\$(?!\{))*(?:`|\$\{)", re.DOTALL)
_REGEX: Final = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_BEFORE_REGEX: Final = re.compile(r"(?:[(,=:\[!&|?;{]|=>|(?<![\w$.#])return)\Z")
_DIVISION: Final = re.compile(r"(?<=[\w$)\]] )/(?= )")
_HEADS: Final = ("if", "while", "for", "await", "with")
_HEAD: Final = re.compile(rf"(?<![\w$.#])(?:{'|'.join(_HEADS)})\Z")
# After each of these a slash begins a regular expression, or may.
_NO_VALUE: Final = re.compile(
    r"""(?<![\w$])(?:await|case|default|delete|do|else|extends|in|instanceof|new|of|return|throw|
    typeof|void|yield)\Z""",
    re.VERBOSE,
)
# JavaScript has more line ends than Python's `.` excludes.
_LINE_END: Final = re.compile(r"[\n\r\u2028\u2029]")
_BETWEEN_LINES: Final = re.compile(r"\s*\n\s*")
# Beside each of these characters a blank separates nothing.
_BLANKS: Final = re.compile(r"[ \t]+(?=[(){}\[\],;:=?<>&|])|(?<=[(){}\[\],;:=?<>&|])[ \t]+")


class ShorteningError(Exception):
    """A script has a character of ambiguous meaning; the message shows the line."""


def shortened(script: str) -> str:
    """The script without comments and unneeded blanks. A comment that begins with `//!` stays.

    Raises:
        ShorteningError: a text, a template or a bracket has no end or no beginning, or a slash may
            be a division or begin a regular expression.
    """
    return _Reading(script).result()


class _Reading:
    def __init__(self, script: str) -> None:
        self._script = script
        self._at = 0
        self._code = ""
        self._done: list[str] = []
        # The brackets that are open: `if(` where a statement follows it, `${` in a template.
        self._open: list[str] = []
        self._closed = ""

    def result(self) -> str:
        while part := _PART.search(self._script, self._at):
            start, end = part.span()
            self._code += self._script[self._at : start]
            self._at = end
            kind, text = part.lastgroup, part[0]
            if kind == "sign":
                self._take(text, start)
            elif kind == "text":
                self._keep(text)
            else:
                self._code += "\n" if _LINE_END.search(text) else " "
        if self._open:
            raise self._error("a bracket is not closed", len(self._script))
        self._code += self._script[self._at :]
        self._keep("")
        return "".join(self._done)

    def _take(self, sign: str, at: int) -> None:
        if sign == "/":
            self._take_slash(at)
        elif sign == "`" or (sign == "}" and self._open[-1:] == ["${"]):
            self._take_template(sign, at)
        elif sign in "{(":
            self._open.append("if(" if sign == "(" and self._follows_a_head() else sign)
            self._code += sign
        elif self._open and self._open[-1][-1] + sign in ("{}", "()"):
            self._closed = self._open.pop()
            self._code += sign
        elif self._open and sign in "})":
            raise self._error("a bracket is not closed", at)
        else:
            raise self._error(f"{sign} has no other one", at)

    def _take_template(self, sign: str, at: int) -> None:
        piece = _TEMPLATE.match(self._script, at)
        if piece is None:
            raise self._error("a template has no end", at)
        if sign == "}":
            self._open.pop()
        if piece[0].endswith("{"):
            self._open.append("${")
        self._keep(piece[0])
        self._at = piece.end()

    def _take_slash(self, at: int) -> None:
        regex = _REGEX.match(self._script, at)
        before = self._code.rstrip()
        if regex is not None and _BEFORE_REGEX.search(before):
            self._keep(regex[0])
            self._at = regex.end()
        elif not _DIVISION.match(self._script, at):
            raise self._error("write a division with a blank on either side", at)
        elif regex is None or self._ends_a_value(before):
            self._code += "/"
        else:
            raise self._error("write each division on a line of its own", at)

    def _follows_a_head(self) -> bool:
        before = self._code.rstrip()
        # A search anchored at the end scans the whole text: it runs only where it can match.
        return before.endswith(_HEADS) and _HEAD.search(before) is not None

    def _ends_a_value(self, code: str) -> bool:
        is_head = code.endswith(")") and self._closed == "if("
        return code != "" and not is_head and not _NO_VALUE.search(code)

    def _keep(self, text: str) -> None:
        lines = _BETWEEN_LINES.sub("\n", self._code)
        self._done += (_BLANKS.sub("", lines), text)
        self._code = ""

    def _error(self, why: str, at: int) -> ShorteningError:
        start = self._script.rfind("\n", 0, at) + 1
        return ShorteningError(f"{why}: {self._script[start : at + 40].strip()!r}")
