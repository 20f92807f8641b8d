"""The lines of a ticket, and the width of a text in columns. Pure.

A ticket is laid out on the printer's grid of columns: a letter takes one, a Korean letter two. A
large line is twice as wide and as high, so it has room for half as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal
from unicodedata import east_asian_width, normalize

from msgspec import Struct

LineStyle = Literal["plain", "bold", "large", "inverse", "rule"]
"""`large` is twice as wide and as high, `inverse` white on black, `rule` a line across."""

MAX_LINES: Final = 1_500
"""A longer ticket is cut, and says so."""
MAX_COLUMNS: Final = 64
LEAST_COLUMNS: Final = 24
TAB_COLUMNS: Final = 4

REPEAT_MARKS: Final[dict[str, str]] = {"en": "REPEAT", "ko": "재출력 REPEAT"}
"""The mark above a ticket that may have been printed before."""


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of a ticket."""

    text: str = ""
    style: LineStyle = "plain"


def printable(text: str) -> str:
    """The text in normal form, without control characters and marks that reorder letters."""
    return "".join(
        character if character.isprintable() else " "
        for character in normalize("NFC", text.replace("\t", " " * TAB_COLUMNS))
    )


def columns_of(text: str) -> int:
    """How many columns the text takes."""
    return sum(map(_width, text))


def wrapped(text: str, columns: int) -> list[str]:
    """The text in lines of at most so many columns, broken at spaces where there are any.

    Args:
        text: a result of `printable`.
        columns: 2 or more.
    """
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if columns_of(joined) <= columns:
            line = joined
            continue
        if line:
            lines.append(line)
        *whole, line = cut(word, columns)
        lines += whole
    return [*lines, line]


def cut(text: str, columns: int) -> list[str]:
    """The text in parts of at most so many columns; at least one part."""
    parts, part, width = [], "", 0
    for character in text:
        more = _width(character)
        if width + more > columns and part:
            parts.append(part)
            part, width = "", 0
        part += character
        width += more
    return [*parts, part]


def centred(text: str, columns: int) -> str:
    """The text with spaces before it, so that it is centred."""
    return " " * max(0, (columns - columns_of(text)) // 2) + text


def spread(left: str, right: str, columns: int) -> str:
    """Both texts on one line, at its ends, with at least one space between them.

    Args:
        left: begins the line.
        right: ends it.
        columns: how many the line has; with less room than both take, it becomes longer.
    """
    return left + " " * max(1, columns - columns_of(left) - columns_of(right)) + right


def marked_repeat(lines: Sequence[Line], language: str, columns: int) -> list[Line]:
    """The ticket below a mark that it may have been printed before.

    Args:
        lines: the ticket.
        language: of the mark, such as `ko`; for one without a mark of its own it is English.
        columns: how many the printer has.
    """
    mark = REPEAT_MARKS.get(language, REPEAT_MARKS["en"])
    return [Line(centred(f" {mark} ", columns // 2), "large"), Line(style="rule"), *lines]


def _width(character: str) -> int:
    # Combining letters count as well: otherwise a line's length would be unlimited.
    return 2 if east_asian_width(character) in "WF" else 1
