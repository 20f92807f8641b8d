"""The font for pictures of tickets, which must have Korean letters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from client_sdk.contract.errors import YabamError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont


class FontMissingError(YabamError):
    """No font with Korean letters is installed: install one (Debian: fonts-nanum)."""


@dataclass(frozen=True, slots=True)
class FontFile:
    """A font in a file that may contain several."""

    path: Path
    index: int = 0


_NANUM: Final = Path("/usr/share/fonts/truetype/nanum")
KNOWN: Final = (
    FontFile(_NANUM / "NanumGothicCoding.ttf"),
    FontFile(_NANUM / "NanumGothic.ttf"),
    FontFile(Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"), 1),
    FontFile(Path("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc"), 1),
    FontFile(Path("/System/Library/Fonts/AppleSDGothicNeo.ttc")),
    FontFile(Path("C:/Windows/Fonts/malgun.ttf")),
)
"""Where systems keep fonts with Korean letters, the best first."""


def has_font() -> bool:
    """Whether pictures can be drawn here."""
    return any(font.path.is_file() for font in KNOWN)


@cache
def font_of(size: int) -> FreeTypeFont:
    """The best installed font, in this size (pixels).

    Raises:
        FontMissingError: there is none.
    """
    from PIL import ImageFont

    for font in KNOWN:
        if font.path.is_file():
            return ImageFont.truetype(str(font.path), size, font.index)
    raise FontMissingError(
        "no font with Korean letters is installed: install fonts-nanum or fonts-noto-cjk"
    )
