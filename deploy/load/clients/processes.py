"""Starts and controls the processes that run the clients."""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from deploy.load.clients.compiled_process import CompiledProcess
from deploy.load.clients.ending import wait_or_kill
from deploy.load.clients.messages import (
    TELLS,
    Begin,
    ClientsSettled,
    CutAll,
    Instruction,
    Report,
    Settle,
    WasCut,
    framed,
    read_frame,
)
from deploy.load.measured.proof import Track
from deploy.load.measured.timeline import Tally
from deploy.load.measured.way import Times
from deploy.load.plan import LoadTestError, channel_of

_MAX_CLIENTS: Final = 10_000
_SPARE_FILES: Final = 1_000
_FILES_PER_CLIENT: Final = 2
"""The open files that a client needs: a connection for syncs, and one for streams."""


def processes_for(clients: int, files: int) -> int:
    """How many processes these clients need.

    Args:
        clients: the number of all clients.
        files: how many files one process may open; `resource.RLIM_INFINITY`: no limit.

    Raises:
        LoadTestError: a process may open too few files for any client.
    """
    each = _MAX_CLIENTS
    if files != resource.RLIM_INFINITY:
        each = min(each, (files - _SPARE_FILES) // _FILES_PER_CLIENT)
    if each < 1:
        need = _SPARE_FILES + _FILES_PER_CLIENT
        raise LoadTestError(
            f"a process may open {files:,} files, and clients need {need:,}: raise the limit "
            f"(ulimit -Hn {need})"
        )
    return -(-clients // each)


def workers_for(streams: int, files: int) -> int:
    """How many workers the event server needs for these streams; `files` as in `processes_for`."""
    if files == resource.RLIM_INFINITY or streams + _SPARE_FILES <= files:
        return 1
    return -(-streams // max(1, files - _SPARE_FILES))


class ClientProcesses:
    """All clients of a load test.

    Args:
        tally: gets the counts and durations that they report.
        times: has the time when each step was due; gets the times when clients received it.
        program: the compiled program that runs the clients; None: they run in Python.
    """

    def __init__(self, tally: Tally, times: Times, program: Path | None = None) -> None:
        self._tally = tally
        self._times = times
        self._program = program
        self._processes: list[_ClientProcess | CompiledProcess] = []
        self.gave_up: list[tuple[str, str]] = []
        """The channels of clients that have given up, and why."""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets a LoadTestError as soon as a process ends by itself."""

    async def begin(self, begin: Begin, count: int) -> None:
        """Start `count` processes with the clients that `begin` describes.

        The clients are divided among the processes: `first`, `step` and `source` are set here.
        """
        for number in range(count):
            mine = msgspec.structs.replace(
                begin, first=number, step=count, source=_source(begin.core[0], number)
            )
            self._processes.append(await self._start(mine))

    @property
    def pids(self) -> list[int]:
        """The ids of all processes."""
        return [process.pid for process in self._processes]

    @property
    def modes(self) -> Counter[str]:
        """How many clients are in each mode."""
        found: Counter[str] = Counter()
        for process in self._processes:
            found.update(process.modes)
        return found

    async def cut(self) -> None:
        """Reset all connections of all clients, and wait until the clients have noticed it."""
        await asyncio.gather(*(process.cut() for process in self._processes))

    async def settled(self, heads: Mapping[str, int], within_s: float) -> list[Track]:
        """What each client applied, as soon as all are at their channels' heads or time is over."""
        parts = await asyncio.gather(
            *(process.settled(heads, within_s) for process in self._processes)
        )
        return [track for part in parts for track in part]

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(*(process.end() for process in self._processes))
        self.lost.cancel()

    async def _start(self, begin: Begin) -> _ClientProcess | CompiledProcess:
        if self._program is None:
            return await _ClientProcess.start(begin, self._hear, self._lose)
        return await CompiledProcess.start(self._program, begin, self._hear, self._lose)

    def _lose(self, status: int) -> None:
        if not self.lost.done():
            self.lost.set_exception(
                LoadTestError(f"a process of clients ended ({status}): see its output above")
            )

    def _hear(self, report: Report) -> None:
        self._tally.add(report.counts)
        for seconds in report.syncs:
            self._tally.took("sync", seconds)
        for reference, version, at in report.seen:
            due = self._times.due.get((reference, version))
            if due is not None:
                self._tally.took("delivery", at - due)
                self._times.seen.append(((reference, version), at))
        self.gave_up += report.gave_up


def _source(host: str, number: int) -> str | None:
    """A loopback address for each process, as one address has ports for 28,000 connections only."""
    if host != "localhost" and not isinstance(ipaddress.ip_address(host), ipaddress.IPv4Address):
        return None
    return str(ipaddress.IPv4Address("127.0.1.1") + number)


class _ClientProcess:
    def __init__(
        self,
        begin: Begin,
        process: asyncio.subprocess.Process,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        hear: Callable[[Report], None],
        lose: Callable[[int], None],
    ) -> None:
        self.modes: Mapping[str, int] = {}
        self._begin = begin
        self._process = process
        self._reader, self._writer = streams
        self._hear = hear
        self._lose = lose
        self._answers: asyncio.Queue[WasCut | ClientsSettled] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, begin: Begin, hear: Callable[[Report], None], lose: Callable[[int], None]
    ) -> Self:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "deploy.load.clients.crowd", stdin=theirs.fileno()
            )
        made = cls(begin, process, await asyncio.open_connection(sock=ours), hear, lose)
        await made.tell(begin)
        return made

    @property
    def pid(self) -> int:
        return self._process.pid

    async def cut(self) -> None:
        await self.ask(CutAll())

    async def ask(self, message: Instruction) -> WasCut | ClientsSettled:
        await self.tell(message)
        return await self._answers.get()

    async def tell(self, message: Instruction) -> None:
        with suppress(ConnectionError):  # the process has ended: its reader reports that
            self._writer.write(framed(message))
            await self._writer.drain()

    async def settled(self, heads: Mapping[str, int], within_s: float) -> list[Track]:
        begin = self._begin
        numbers = range(begin.first, begin.clients, begin.step)
        channels = {channel_of(number, begin.stores, begin.prefix) for number in numbers}
        mine = {channel: heads[channel] for channel in channels}
        settled = await self.ask(Settle(mine, within_s))
        assert isinstance(settled, ClientsSettled)  # noqa: S101
        return settled.tracks

    async def end(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        await wait_or_kill(self._process)

    async def _read(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                told = TELLS.decode(await read_frame(self._reader))
                if isinstance(told, Report):
                    self.modes = told.modes
                    self._hear(told)
                else:
                    self._answers.put_nowait(told)
        self._lose(await self._process.wait())
