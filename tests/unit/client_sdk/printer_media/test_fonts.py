"""Where no font with Korean letters is installed, that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_sdk.printer_media import fonts
from client_sdk.printer_media.fonts import FontFile, FontMissingError, font_of, has_font
from client_sdk.printer_media.lines import Line
from client_sdk.printer_media.picture import png_of


@pytest.fixture
def no_font(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fonts, "KNOWN", (FontFile(tmp_path / "none.ttf"),))
    font_of.cache_clear()


@pytest.mark.usefixtures("no_font")
def test_a_picture_without_a_font_says_what_to_install() -> None:
    assert not has_font()
    with pytest.raises(FontMissingError, match="install fonts-nanum"):
        png_of([Line("김밥")], 42)
