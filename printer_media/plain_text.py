"""A ticket as plain text. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from printer_media.lines import Line


def text_of(lines: Sequence[Line], columns: int) -> str:
    """The lines, each ended by a line feed. Styles are lost, but for what they say."""
    return "".join(f"{_text(line, columns)}\n" for line in lines)


def _text(line: Line, columns: int) -> str:
    if line.style == "rule":
        return "-" * columns
    if line.style == "large":
        # It was laid out for half the columns: its indent is as wide as it would be in large.
        indent = len(line.text) - len(line.text.lstrip(" "))
        return " " * indent + line.text
    return line.text
