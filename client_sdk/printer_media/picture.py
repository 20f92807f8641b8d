"""A ticket as a picture in black and white, for printers that have no Korean letters.

It is drawn letter by letter on the printer's own grid, so that columns stay columns in any font.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw

from client_sdk.printer_media.fonts import font_of
from client_sdk.printer_media.lines import Line, columns_of

CELL_WIDTH: Final = 12
"""Dots of one column: a printer of 80 mm has 576 dots, so 48 columns."""
CELL_HEIGHT: Final = 30
FONT_SIZE: Final = 24
_RULE_HEIGHT: Final = 14
_MARGIN: Final = 4
_BLACK: Final = 0
_WHITE: Final = 255
_THRESHOLD: Final = 150


def picture_of(lines: Sequence[Line], columns: int) -> Image.Image:
    """The ticket, one bit for each dot.

    Raises:
        FontMissingError: no font with Korean letters is installed.
    """
    height = sum(map(_height, lines)) + 2 * _MARGIN
    picture = Image.new("L", (columns * CELL_WIDTH, height), _WHITE)
    pen = ImageDraw.Draw(picture)
    top = _MARGIN
    for line in lines:
        _draw(pen, line, top, columns)
        top += _height(line)
    return picture.point(lambda value: _WHITE if value > _THRESHOLD else _BLACK, mode="1")


def png_of(lines: Sequence[Line], columns: int) -> bytes:
    """The ticket as PNG; raises as `picture_of`."""
    out = io.BytesIO()
    picture_of(lines, columns).save(out, "PNG", optimize=True)
    return out.getvalue()


def _height(line: Line) -> int:
    if line.style == "rule":
        return _RULE_HEIGHT
    return CELL_HEIGHT * 2 if line.style == "large" else CELL_HEIGHT


def _draw(pen: ImageDraw.ImageDraw, line: Line, top: int, columns: int) -> None:
    if line.style == "rule":
        middle = top + _RULE_HEIGHT // 2
        pen.line([(0, middle), (columns * CELL_WIDTH - 1, middle)], _BLACK, 2)
        return
    scale = 2 if line.style == "large" else 1
    ink = _BLACK
    if line.style == "inverse":
        pen.rectangle([(0, top), (columns * CELL_WIDTH - 1, top + CELL_HEIGHT - 1)], _BLACK)
        ink = _WHITE
    font = font_of(FONT_SIZE * scale)
    left = 0
    baseline = top + int(CELL_HEIGHT * scale * 0.78)
    for character in line.text:
        width = columns_of(character) * CELL_WIDTH * scale
        if not character.isspace():
            place = (left + width / 2, baseline)
            pen.text(place, character, ink, font, anchor="ms")
            if line.style in ("bold", "inverse"):
                # Bold is a second stroke one dot to the right: bold fonts are installed less often.
                pen.text((place[0] + 1, place[1]), character, ink, font, anchor="ms")
        left += width
