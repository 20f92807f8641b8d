"""A TCP server on a port of its own, which leaves no connection open when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_TURNS_OF_AN_ACCEPT = 10
"""Enough turns of the event loop until `_accepted` is called for an accepted connection (that
takes 4), and until an aborted connection has closed its socket (that takes 1)."""


class Listener:
    """Serves all connections to a port; when it has stopped, all are closed.

    Args:
        serve: called with each connection; it need not close it.
        port: the port; 0 chooses a free one.
        limit: the size of a reader's buffer, in bytes.
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
        """Listen, unless it does so already; always on the same port."""
        if self._server is not None:
            return
        self._server = await asyncio.start_server(
            self._accepted, "127.0.0.1", self.port, limit=self._limit, backlog=self._backlog
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Accept no more connections; the open ones go on."""
        server, self._server = self._server, None
        if server is None:
            return
        # If a server is closed while it accepts a connection, that connection is never closed.
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        await _turns()
        server.close()

    async def stop(self) -> None:
        """Accept no more connections, cancel what serves the open ones, and close them."""
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
        # Not in a `finally` of the task: if it is cancelled before its first step, none of it runs.
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task).transport.abort()


async def _turns() -> None:
    for _ in range(_TURNS_OF_AN_ACCEPT):
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(serve: Serve, *, port: int = 0, limit: int = 1 << 16) -> AsyncIterator[int]:
    """Run a `Listener` for the time of a block.

    Yields:
        Its port.
    """
    listener = Listener(serve, port=port, limit=limit)
    await listener.start()
    try:
        yield listener.port
    finally:
        await listener.stop()
