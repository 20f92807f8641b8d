"""Serves health and metrics beside the main work of a process that has no HTTP of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn
from starlette.applications import Starlette

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_log: FilteringBoundLogger = structlog.get_logger(__name__)

_CLOSE_S: Final = 2
_PAUSE_S: Final = 0.1


class OpsServer:
    """Serves an application beside the process's main work.

    Args:
        app: what to serve.
        listener: a bound socket (`server_common/sockets.py`).
    """

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Quiet(
            uvicorn.Config(
                app,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_CLOSE_S,
            )
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve from now on."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))

    async def stop(self) -> None:
        """Stop serving; the listener is closed."""
        if self._task is not None:
            self._server.should_exit = True
            await self._task


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the process and survives a failure of its loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        """Serve the connections until told to stop."""
        while not self.should_exit:
            try:
                await super().main_loop()
            except Exception as error:
                _log.error("ops_server_failed", exc_info=error)
                await asyncio.sleep(_PAUSE_S)
