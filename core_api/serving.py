"""An ASGI application on uvicorn: a socket bound early, a quiet start, a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from core_api.errors import SettingsError


def bind(host: str, port: int, variable: str) -> socket.socket:
    """A listening socket's address, taken before anything else is started.

    Raises:
        SettingsError: it cannot be had; the text names the port and what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port {port} on {host} is taken: stop what uses it, or set {variable} to another"
            ) from error
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return bound


class Server(uvicorn.Server):
    """uvicorn, which tells the application of SIGTERM before it waits for open requests.

    Args:
        app: what to serve.
        drain_s: how long open requests may take after SIGTERM.
        stopping: called once when the signal comes.
    """

    def __init__(self, app: ASGIApp, drain_s: float, stopping: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=max(1, round(drain_s)),
            )
        )
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT while serving; a clean stop is status 0, not a raised signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: uvicorn stops accepting, and what waits is told to finish."""
        if not self.should_exit:
            self._stopping()
        super().handle_exit(sig, frame)
