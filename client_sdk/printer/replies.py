"""The answers of an ESC/POS printer, read byte by byte. Pure.

Three kinds of answers share the connection. Their fixed bits tell them apart:

| asked by | answer |
| --- | --- |
| `DLE EOT n` | one byte, `0xx1xx10` |
| `GS r 1` | one byte, `0xx0xxxx` |
| `GS ( H`, process id | 37h 22h, four characters, 00h |
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

DLE_EOT: Final = b"\x10\x04"
PRINTER_STATUS: Final = 1
OFFLINE_CAUSE: Final = 2
PAPER_SENSOR: Final = 4

_HEADER: Final = 0x37
_PROCESS: Final = 0x22
_PROCESS_CHARS: Final = 4
_LONGEST: Final = 64
_OFFLINE: Final = 0x08
_COVER_OPEN: Final = 0x04
_PAPER_STOP: Final = 0x20
_ERROR: Final = 0x40
_NEAR_END: Final = 0x0C
_PAPER_END: Final = 0x60
_ROLL_END: Final = 0x0C


class Reply(Struct, frozen=True):
    """One answer."""

    kind: Literal["status", "paper", "process"]
    """`status`: to `DLE EOT`; `paper`: to `GS r`, so all earlier bytes are processed."""
    byte: int = 0
    process: str = ""
    """The process id of the processed ticket."""


class Replies:
    """Reads answers as they come, in pieces of any size."""

    def __init__(self) -> None:
        self._block = bytearray()

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes. Returns the answers that are complete now; unknown bytes are skipped."""
        found: list[Reply] = []
        for byte in data:
            if self._block:
                self._block.append(byte)
                if byte == 0 or len(self._block) > _LONGEST:
                    found += _process(bytes(self._block))
                    self._block.clear()
            elif byte == _HEADER:
                self._block.append(byte)
            elif byte & 0x93 == 0x12:
                found.append(Reply("status", byte))
            elif byte & 0x90 == 0:
                found.append(Reply("paper", byte))
        return found


def troubles_of(status: int | None, offline: int | None, paper: int | None) -> list[str]:
    """The printer's troubles, from its answers to `DLE EOT`.

    Args:
        status: the byte to `DLE EOT 1`; None: no answer.
        offline: the byte to `DLE EOT 2`; None: no answer.
        paper: the byte to `DLE EOT 4`; None: no answer.

    Returns:
        The troubles, those that stop the printer first.
    """
    troubles = []
    if offline is not None and offline & _COVER_OPEN:
        troubles.append("cover open")
    if (offline is not None and offline & _PAPER_STOP) or (
        paper is not None and paper & _PAPER_END
    ):
        troubles.append("paper end")
    if offline is not None and offline & _ERROR:
        troubles.append("printer error")
    if status is not None and status & _OFFLINE and not troubles:
        troubles.append("offline")
    return troubles


def warnings_of(paper: int | None) -> list[str]:
    """The troubles that will stop the printer soon, from the answer to `DLE EOT` 4."""
    return ["paper low"] if paper is not None and paper & _NEAR_END else []


def is_paper_there(paper: int) -> bool:
    """Whether the answer to `GS r 1` says that there was paper to the end."""
    return not paper & _ROLL_END


def _process(block: bytes) -> list[Reply]:
    if len(block) != _PROCESS_CHARS + 3 or block[1] != _PROCESS or block[-1] != 0:
        return []
    return [Reply("process", process=block[2:-1].decode("latin-1"))]
