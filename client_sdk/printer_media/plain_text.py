"""A ticket as plain text. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from client_sdk.printer_media.lines import Line


def text_of(lines: Sequence[Line], columns: int) -> str:
    """The lines, each ended by a line feed, without their styles."""
    rule = "-" * columns
    return "".join(f"{rule if line.style == 'rule' else line.text}\n" for line in lines)
