"""The clients of one process; `python -m deploy.load.clients.crowd` is told what to do
by the socket that is its standard input.

A process may open so many files only, and uses one core only. So a load test plays its clients in
as many processes as they need.
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
"""Of the event loop, until each client has been told of its connections' end."""
_FREEZE_EVERY: Final = 500
"""After so many more clients those that are there are taken out of the collector's sight: they stay
to the end. A collection that walks them all would stop this process for tens of milliseconds, which
would count as the time that events take."""


class Crowd:
    """Clients that come, follow, and are looked at.

    Args:
        begin: who they are.
        notes: filled with what they do.
    """

    def __init__(self, begin: Begin, notes: Notes) -> None:
        self._begin = begin
        chance = random.Random(begin.seed + begin.first)
        self._world = World(
            begin.core, begin.source, Settings(), chance.uniform, notes, time.monotonic
        )
        self._followers: list[Follower] = []

    async def come(self) -> None:
        """All come, evenly over the ramp."""
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
        """The connections of all are reset."""
        for follower in self._followers:
            follower.cut()

    async def settle(self, settle: Settle) -> ClientsSettled:
        """Once every client is at its channel's head, or has had time enough."""
        deadline = time.monotonic() + settle.within_s
        tracks = [follower.track for follower in self._followers]
        for track in tracks:
            head = settle.heads[track.channel]
            while track.seq < head and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return ClientsSettled(tracks)

    def close(self) -> None:
        """All leave."""
        for follower in self._followers:
            follower.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Do what is told until nothing more comes.

    Raises:
        ValueError: something else is told before `Begin`.
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
                raise ValueError(f"{told!r} came before the clients were told to begin")
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
    """Serve the socket that is our standard input."""
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as told:
        reader, writer = await asyncio.open_connection(sock=told)
        await serve(reader, writer)
        writer.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main())
