"""An ESC/POS printer: it receives bytes by TCP, answers as a real one, and records what it prints.

It knows the commands that our tickets consist of, and fails on any other. While its cover is open
or its paper has run out, it processes nothing and answers only `DLE EOT`, as real printers do.

`python -m tests.escpos_printer PORT FOLDER` runs it as a process that can be killed. It writes each
ticket to a file in the folder when it cuts the paper. What is in its memory is lost if it is
killed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

# Long enough that a kill often happens before a ticket is printed, or before it is answered.
_PRINTING_S = 0.2
_FIXED = {b"\x1b@": 0, b"\x1c&": 0, b"\x1c.": 0}
_ONE = (
    b"\x1bE", b"\x1bG", b"\x1ba", b"\x1bt", b"\x1bM", b"\x1b-", b"\x1b{", b"\x1d!", b"\x1dB",
    b"\x1db", b"\x1b!", b"\x1bd", b"\x1b3", b"\x1bR",
)  # fmt: skip


class UnknownCommandError(Exception):
    """The printer does not know a command; a real one would print garbage."""


@dataclass
class Paper:
    """One ticket: what was printed from one cut to the next."""

    text: str = ""
    """Its text, with a line feed after each line."""
    stripes: list[Image.Image] = field(default_factory=list)

    @property
    def picture(self) -> Image.Image:
        """The printed pictures, one below the other."""
        width = max(one.width for one in self.stripes)
        whole = Image.new("1", (width, sum(one.height for one in self.stripes)), 1)
        top = 0
        for one in self.stripes:
            whole.paste(one, (0, top))
            top += one.height
        return whole


class EscPosPrinter:
    """The printer.

    Args:
        cut: called with each ticket.
        knows_process_ids: whether it answers `GS ( H`; if not, it skips the command.
        answers: whether it sends any answers.
        printing_s: the seconds that it needs to print a ticket, and then to answer.
    """

    def __init__(
        self,
        cut: Callable[[Paper], None],
        *,
        knows_process_ids: bool = True,
        answers: bool = True,
        printing_s: float = 0.0,
    ) -> None:
        self._cut = cut
        self._printing_s = printing_s
        self._out: list[Paper] = []
        self._knows_process_ids = knows_process_ids
        self._answers = answers
        self.cover_is_open = False
        self.has_paper = True
        self.hang_up_after: int | None = None
        """It closes the connection once it has received so many bytes; None: it does not."""
        self.taken = 0
        """How many bytes it has received."""
        self.changed = asyncio.Event()
        """Set when bytes were received, and by tests that have changed something above."""

    @property
    def is_stopped(self) -> bool:
        """Whether it processes nothing now."""
        return self.cover_is_open or not self.has_paper

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        data, paper = bytearray(), Paper()
        while True:
            try:
                async with asyncio.timeout(0.05):
                    more = await reader.read(4096)
            except TimeoutError:
                more = None
            if more == b"":
                return
            if more:
                self.taken += len(more)
                self.changed.set()
                if self.hang_up_after is not None and self.taken >= self.hang_up_after:
                    self.hang_up_after = None
                    return
                data += self._answered(more, writer, stopped=self.is_stopped)
            while not self.is_stopped and (used := self._next(data, paper, writer)):
                del data[:used]
                # Removed before it is printed: another connection would print it again.
                while self._out:
                    ticket = self._out.pop(0)
                    await asyncio.sleep(self._printing_s)
                    self._cut(ticket)
                    await asyncio.sleep(self._printing_s)

    def _answered(self, more: bytes, writer: asyncio.StreamWriter, *, stopped: bool) -> bytes:
        """While the printer is stopped, answer each `DLE EOT`. Returns the other bytes."""
        if not stopped:
            return more
        rest = bytearray()
        place = 0
        while place < len(more):
            if more[place : place + 2] == b"\x10\x04":
                self._status(more[place + 2], writer)
                place += 3
            else:
                rest.append(more[place])
                place += 1
        return bytes(rest)

    def _status(self, n: int, writer: asyncio.StreamWriter) -> None:
        byte = 0x12
        if n == 1 and self.is_stopped:
            byte |= 0x08
        if n == 2:
            byte |= (0x04 if self.cover_is_open else 0) | (0 if self.has_paper else 0x20)
        if n == 4 and not self.has_paper:
            byte |= 0x6C
        self._say(bytes((byte,)), writer)

    def _say(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self._answers:
            writer.write(data)

    def _next(self, data: bytearray, paper: Paper, writer: asyncio.StreamWriter) -> int:
        """Process one command or letter. Returns its bytes; 0: it is not complete yet."""
        if not data:
            return 0
        head = bytes(data[:2])
        if data[0] not in (0x10, 0x1B, 0x1C, 0x1D):
            return self._letter(data, paper)
        if len(data) < 3 and head not in _FIXED:
            return 0
        if head in _FIXED:
            return 2
        if head == b"\x10\x04":
            self._status(data[2], writer)
            return 3
        if head in _ONE:
            return 3
        if head == b"\x1dr":
            self._say(b"\x00", writer)
            return 3
        if head == b"\x1dV":
            length = 4 if data[2] in (65, 66) else 3
            if len(data) < length:
                return 0
            self._out.append(Paper(paper.text, list(paper.stripes)))
            paper.text, paper.stripes = "", []
            return length
        return self._long(data, paper, writer)

    def _long(self, data: bytearray, paper: Paper, writer: asyncio.StreamWriter) -> int:
        if bytes(data[:3]) == b"\x1d(H":
            if len(data) < 5 or len(data) < 5 + data[3] + 256 * data[4]:
                return 0
            if self._knows_process_ids and data[5:7] == b"00":
                self._say(b"\x37\x22" + bytes(data[7:11]) + b"\x00", writer)
            return 5 + data[3] + 256 * data[4]
        if bytes(data[:3]) == b"\x1dv0":
            if len(data) < 8:
                return 0
            width, height = data[4] + 256 * data[5], data[6] + 256 * data[7]
            if len(data) < 8 + width * height:
                return 0
            body = bytes(b ^ 0xFF for b in data[8 : 8 + width * height])
            paper.stripes.append(Image.frombytes("1", (width * 8, height), body))
            return 8 + width * height
        raise UnknownCommandError(bytes(data[:8]).hex())

    def _letter(self, data: bytearray, paper: Paper) -> int:
        if data[0] < 0x80:
            paper.text += chr(data[0])
            return 1
        if len(data) < 2:
            return 0
        paper.text += bytes(data[:2]).decode("cp949")
        return 2


async def run(port: int, folder: Path) -> None:
    """Print into the folder until killed."""

    def cut(paper: Paper) -> None:
        number = len(list(folder.glob("*.txt")))
        made = folder / f"{number:04}.part"
        made.write_text(paper.text)
        made.rename(folder / f"{number:04}.txt")

    printer = EscPosPrinter(cut, printing_s=_PRINTING_S)
    server = await asyncio.start_server(printer.serve, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    papers = Path(sys.argv[2])
    papers.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(int(sys.argv[1]), papers))
