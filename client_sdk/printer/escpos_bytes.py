"""A ticket as bytes for an ESC/POS printer, made by python-escpos."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from client_sdk.printer.errors import AgentError
from client_sdk.printer_media.lines import Line

if TYPE_CHECKING:
    from escpos.printer import Dummy

_KOREAN_ON: Final = b"\x1c\x26"
_KOREAN_OFF: Final = b"\x1c\x2e"
_INIT: Final = b"\x1b@"
_RASTER: Final = b"\x1dv0\x00"
_PAPER: Final = b"\x1dr\x01"
_STRIPE: Final = 240
"""Height of a stripe of a picture, in dots: small printers have little memory."""
PROCESS_CHARS: Final = 4
_FIRST, _LAST = 33, 126


def process_id(number: int) -> str:
    """The process id that the printer returns once it has printed this attempt."""
    text = ""
    for _ in range(PROCESS_CHARS):
        number, digit = divmod(number, _LAST - _FIRST + 1)
        text += chr(_FIRST + digit)
    return text


def ticket_bytes(lines: Sequence[Line], columns: int, media: str, process: str) -> bytes:
    """The whole ticket: text or a picture, a cut, and a request for confirmation.

    Args:
        lines: the lines of the ticket.
        columns: the paper's width in columns.
        media: `text` if the printer has Korean letters of its own, else `picture`.
        process: the process id that the printer returns once it has printed everything.

    Raises:
        AgentError: python-escpos is not installed.
        FontMissingError: no font with Korean letters is installed.
    """
    printer = _dummy()
    printer._raw(_INIT)
    if media == "text":
        for line in lines:
            _put_text(printer, line, columns)
    else:
        _put_picture(printer, lines, columns)
    printer.cut(mode="PART")
    # A printer that does not know this command skips it by its length; then only the answer to `GS
    # r` says that the ticket is printed.
    printer._raw(b"\x1d(H" + bytes((6, 0, 48, 48)) + process.encode("ascii"))
    printer._raw(_PAPER)
    return bytes(printer.output)


def _dummy() -> Dummy:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from escpos.printer import Dummy
    except ModuleNotFoundError as error:
        raise AgentError(
            f"a printer of ESC/POS needs {error.name}: pip install 'yabam-events[printer]'"
        ) from error
    return Dummy()


def _put_picture(printer: Dummy, lines: Sequence[Line], columns: int) -> None:
    # Not at the top: a terminal needs no Pillow. And `printer.image` asks for the profile of a
    # model, and complains on standard output.
    from escpos.image import EscposImage

    from client_sdk.printer_media.picture import picture_of

    picture = picture_of(lines, columns)
    for top in range(0, picture.height, _STRIPE):
        stripe = picture.crop((0, top, picture.width, min(top + _STRIPE, picture.height)))
        dots = EscposImage(stripe)
        size = dots.width_bytes.to_bytes(2, "little") + dots.height.to_bytes(2, "little")
        printer._raw(_RASTER + size + dots.to_raster_format())


def _put_text(printer: Dummy, line: Line, columns: int) -> None:
    is_large, is_inverse = line.style == "large", line.style == "inverse"
    printer.set(
        bold=line.style == "bold",
        invert=is_inverse,
        double_width=is_large,
        double_height=is_large,
        normal_textsize=not is_large,
    )
    text = "-" * columns if line.style == "rule" else line.text
    for part, is_korean in _runs(text):
        # python-escpos has no Korean code page, so Korean letters are sent as raw bytes.
        printer._raw(_KOREAN_ON + part + _KOREAN_OFF if is_korean else part)
    printer._raw(b"\n")


def _runs(text: str) -> list[tuple[bytes, bool]]:
    """The text in CP949, in runs of ASCII and of two-byte letters."""
    runs: list[tuple[bytes, bool]] = []
    for character in text:
        encoded = character.encode("cp949", "replace")
        is_korean = len(encoded) > 1
        if runs and runs[-1][1] == is_korean:
            runs[-1] = (runs[-1][0] + encoded, is_korean)
        else:
            runs.append((encoded, is_korean))
    return runs
