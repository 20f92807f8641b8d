"""Runs the clients of one process: `python -m deploy.load.clients.crowd`.

Its standard input is a socket, from which it gets commands. A process may open only so many files
and uses one core, so a load test runs its clients in as many processes as it needs.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import resource
import signal
import socket
import sys
import time
from typing import Final

import uvloop

from client_sdk.settings import Settings
from deploy.load.clients.follower import Follower, World
from deploy.load.clients.messages import (
    TOLD,
    Begin,
    ClientsSettled,
    CutAll,
    Settle,
    WasCut,
    framed,
    read_frame,
)
from deploy.load.clients.notes import Notes
from deploy.load.clients.people import people

_REPORT_EVERY_S: Final = 0.05
_TURNS_TO_NOTICE: Final = 3
"""Turns of the event loop until each client has got the callback about its lost connection."""
_FREEZE_EVERY: Final = 500
"""After so many new clients all existing objects are excluded from garbage collection: the clients
stay to the end. A collection that visits all of them would stop this process for tens of
milliseconds, which would be measured as a delay of events."""


class Crowd:
    """The clients of this process.

    Args:
        begin: the description of the clients.
        notes: the clients record here what they do.
    """

    def __init__(self, begin: Begin, notes: Notes) -> None:
        self._begin = begin
        chance = random.Random(begin.seed + begin.first)
        self._world = World(
            begin.core, begin.source, Settings(), chance.uniform, notes, time.monotonic
        )
        self._followers: list[Follower] = []

    async def come(self) -> None:
        """Start all clients, evenly over the ramp."""
        for due, person in people(self._begin):
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            elif len(self._followers) % 50 == 0:
                await asyncio.sleep(0)
            if len(self._followers) % _FREEZE_EVERY == 0:
                gc.freeze()
            follower = Follower(person, self._world)
            self._followers.append(follower)
            follower.start()
        gc.freeze()

    def cut(self) -> None:
        """Reset the connections of all clients."""
        for follower in self._followers:
            follower.cut()

    async def settle(self, settle: Settle) -> ClientsSettled:
        """Wait until every client is at its channel's head, or the time is over."""
        deadline = time.monotonic() + settle.within_s
        tracks = [follower.track for follower in self._followers]
        for track in tracks:
            head = settle.heads[track.channel]
            while track.seq < head and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return ClientsSettled(tracks)

    def close(self) -> None:
        """Close all clients."""
        for follower in self._followers:
            follower.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Execute commands until the connection ends.

    Raises:
        ValueError: another command arrives before `Begin`.
    """
    notes = Notes()
    crowd: Crowd | None = None
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []
        while frame := await _frame(reader):
            told = TOLD.decode(frame)
            if isinstance(told, Begin):
                crowd = Crowd(told, notes)
                tasks += [
                    group.create_task(crowd.come()),
                    group.create_task(_report(notes, writer)),
                ]
            elif crowd is None:
                raise ValueError(f"{told!r} arrived before Begin")
            elif isinstance(told, CutAll):
                crowd.cut()
                for _ in range(_TURNS_TO_NOTICE):
                    await asyncio.sleep(0)
                writer.write(framed(notes.take()) + framed(WasCut()))
            else:
                tasks.append(group.create_task(_settle(crowd, told, writer)))
        for task in tasks:
            task.cancel()
    if crowd is not None:
        crowd.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    try:
        return await read_frame(reader)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def _report(notes: Notes, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(framed(notes.take()))
        await writer.drain()
        await asyncio.sleep(_REPORT_EVERY_S)


async def _settle(crowd: Crowd, settle: Settle, writer: asyncio.StreamWriter) -> None:
    writer.write(framed(await crowd.settle(settle)))
    await writer.drain()


async def main() -> None:
    """Execute the commands from the socket that is our standard input."""
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as told:
        reader, writer = await asyncio.open_connection(sock=told)
        await serve(reader, writer)
        writer.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent process
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main())
