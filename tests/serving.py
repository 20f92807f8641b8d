"""A server of bytes on a port of its own, which leaves no connection behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_TURNS_OF_AN_ACCEPT = 10
"""Turns of the event loop in which an accepted connection comes to `_accepted` (it takes 4) and
an aborted one lets go of its socket (it takes 1)."""


class Listener:
    """Serves each connection of a port; when it stops, every one is over and closed.

    Args:
        serve: what is done with a connection. It need not close it.
        port: where to listen; 0 takes a free one.
        limit: how many bytes a reader holds.
        backlog: how many connections may wait to be accepted.
    """

    def __init__(
        self, serve: Serve, *, port: int = 0, limit: int = 1 << 16, backlog: int = 100
    ) -> None:
        self.port = port
        self._serve = serve
        self._limit = limit
        self._backlog = backlog
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Listen, on the same port each time, if it does not."""
        if self._server is not None:
            return
        self._server = await asyncio.start_server(
            self._accepted, "127.0.0.1", self.port, limit=self._limit, backlog=self._backlog
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Accept no more; those that are served go on."""
        server, self._server = self._server, None
        if server is None:
            return
        # A server that is closed while it accepts drops the connection without closing it.
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        await _turns()
        server.close()

    async def stop(self) -> None:
        """Accept no more, end what is served, close what is open."""
        await self.refuse()
        tasks = tuple(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _turns()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def to_its_end() -> None:
            try:
                await self._serve(reader, writer)
                writer.close()
                await writer.wait_closed()
            except OSError:
                pass

        task = asyncio.create_task(to_its_end())
        self._open[task] = writer
        # Not in the task: one that is cancelled before its first step runs no line of its own.
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task).transport.abort()


async def _turns() -> None:
    for _ in range(_TURNS_OF_AN_ACCEPT):
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(serve: Serve, *, port: int = 0, limit: int = 1 << 16) -> AsyncIterator[int]:
    """A `Listener` for the time of a block.

    Yields:
        The port.
    """
    listener = Listener(serve, port=port, limit=limit)
    await listener.start()
    try:
        yield listener.port
    finally:
        await listener.stop()
