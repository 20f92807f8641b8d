"""Runs clients in a C program. It needs less CPU than Python, so more clients fit on a machine.

`compiled/main.c` describes its commands and its output. The program has its own copy of the rules
of the SDK's machine. So it tests the servers, not the machine; what its clients applied is checked
like that of all clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from deploy.load.clients.ending import wait_or_kill
from deploy.load.clients.messages import Begin, Report
from deploy.load.clients.notes import Notes
from deploy.load.clients.people import people
from deploy.load.measured.proof import Fact, Track
from deploy.load.plan import LoadTestError

_SOURCES: Final = Path(__file__).parent / "compiled"
_PROGRAM: Final = "load-clients"
_READ_BYTES: Final = 1 << 18
_LOOKS_EVERY_S: Final = 0.1
_MODES: Final = ("starting", "live", "polling", "offline")
_COUNTS: Final = ("synced", "opened", "hello", "delivered", "failed", "refused")


def compiled(build: Path) -> Path:
    """Compile the program into the folder `build`. Returns its path.

    Raises:
        LoadTestError: there is no C compiler, or it fails.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise LoadTestError(
            "--compiled-clients needs a C compiler (on Debian: apt-get install gcc); "
            "without the option the clients run in Python"
        )
    build.mkdir(parents=True, exist_ok=True)
    program = build / _PROGRAM
    sources = [str(source) for source in sorted(_SOURCES.glob("*.c"))]
    made = subprocess.run(
        [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(program), *sources, "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise LoadTestError(f"the clients cannot be compiled: {made.stderr.strip()}")
    return program


class Heard:
    """Reads the output of a program. Pure.

    Args:
        channels: the channel of each client, by the client's number.
    """

    def __init__(self, channels: list[str]) -> None:
        self.tracks = [Track(channel) for channel in channels]
        self.has_cut = False
        """Whether it has reported that all connections are cut."""
        self._rest = b""
        self._modes: dict[str, int] = {}
        self._notes = Notes()

    def take(self, data: bytes) -> Report:
        """Read more output. Returns what its complete lines add, with the current modes.

        Raises:
            ValueError: the program does not write such a line.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.decode())
        return msgspec.structs.replace(self._notes.take(), modes=self._modes)

    def _line(self, line: str) -> None:
        what, _, rest = line.partition(" ")
        match what:
            case "e":
                number, seq, order, version, at, reference = rest.split(" ")
                self.tracks[int(number)].apply(Fact(int(seq), order, int(version)))
                self._notes.saw(reference, int(version), float(at))
            case "s":
                self._notes.synced(float(rest))
            case "m":
                self._modes = dict(zip(_MODES, map(int, rest.split(" ")), strict=True))
            case "c":
                for name, count in zip(_COUNTS, map(int, rest.split(" ")), strict=True):
                    self._notes.count(name, count)
            case "b":
                number, head, reason = rest.split(" ")
                self.tracks[int(number)].begin(int(head), reason)
            case "g":
                number, why = rest.split(" ", 1)
                self._notes.gave_up(self.tracks[int(number)].channel, why)
            case "w":
                self.has_cut = True
            case _:
                raise ValueError(f"the compiled clients wrote an unknown line: {line[:80]!r}")


class CompiledProcess:
    """A process that runs the program; `start` creates one."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        heard: Heard,
        hear: Callable[[Report], None],
        lose: Callable[[int], None],
    ) -> None:
        self.modes: Mapping[str, int] = {}
        self._process = process
        self._heard = heard
        self._hear = hear
        self._lose = lose
        self._was_cut = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        program: Path,
        begin: Begin,
        hear: Callable[[Report], None],
        lose: Callable[[int], None],
    ) -> Self:
        """Start the program, which starts its clients when they are due.

        Args:
            program: the path that `compiled` returned.
            begin: the description of the clients.
            hear: called with each report.
            lose: called with the exit status if the process ends before `end` is called.
        """
        host, port = begin.core
        known = await asyncio.to_thread(lambda: list(people(begin)))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            program, "127.0.0.1" if host == "localhost" else host, str(port),
            begin.source or "0.0.0.0", str(begin.seed + begin.first),
            stdin=pipe, stdout=pipe,
        )  # fmt: skip
        made = cls(process, Heard([person.channel for _, person in known]), hear, lose)
        await made._tell(
            "".join(
                f"k {due:.6f} {person.channel} {person.device or '-'} {person.token}\n"
                for due, person in known
            )
        )
        return made

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def cut(self) -> None:
        """Cut all connections of all its clients, and wait until the clients have noticed it."""
        self._was_cut.clear()
        await self._tell("x\n")
        await self._was_cut.wait()

    async def settled(self, heads: Mapping[str, int], within_s: float) -> list[Track]:
        """What each client applied, as soon as all are at their channels' heads or time is over."""
        tracks = self._heard.tracks
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while any(track.seq < heads[track.channel] for track in tracks):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOKS_EVERY_S)
        return tracks

    async def end(self) -> None:
        """Close its standard input, so that it exits, and wait for that."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await wait_or_kill(self._process)

    async def _tell(self, lines: str) -> None:
        told = self._process.stdin
        with contextlib.suppress(ConnectionError):  # the process has ended: _read reports that
            if told is not None:
                told.write(lines.encode())
                await told.drain()

    async def _read(self) -> None:
        said = self._process.stdout
        try:
            while said is not None and (data := await said.read(_READ_BYTES)):
                self._take(data)
        except ValueError as error:
            print(error, file=sys.stderr)
            self._process.kill()
        self._lose(await self._process.wait())

    def _take(self, data: bytes) -> None:
        report = self._heard.take(data)
        self.modes = report.modes
        self._hear(report)
        if self._heard.has_cut:
            self._heard.has_cut = False
            self._was_cut.set()
