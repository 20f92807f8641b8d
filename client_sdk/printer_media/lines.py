"""The lines of a ticket, and how many columns a text takes. Pure.

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
"""What stands above a ticket that may have been printed before."""


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of a ticket."""

    text: str = ""
    style: LineStyle = "plain"


def printable(text: str) -> str:
    """The text in one form, without what would move a printer's head or reorder its letters."""
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
        text: what `printable` gives.
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
    """The text with spaces before it, so that it stands in the middle."""
    return " " * max(0, (columns - columns_of(text)) // 2) + text


def spread(left: str, right: str, columns: int) -> str:
    """Both texts on one line, at its ends; they must fit."""
    return left + " " * max(1, columns - columns_of(left) - columns_of(right)) + right


def marked_repeat(lines: Sequence[Line], language: str, columns: int) -> list[Line]:
    """The ticket under a mark that says that it may have been printed before."""
    mark = REPEAT_MARKS.get(language, REPEAT_MARKS["en"])
    return [Line(centred(f" {mark} ", columns // 2), "large"), Line(style="rule"), *lines]


def _width(character: str) -> int:
    # What is drawn above another letter counts as well: else a line had no longest length.
    return 2 if east_asian_width(character) in "WF" else 1
