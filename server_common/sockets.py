"""What a server needs from the operating system: a port, enough open files, the stop signals."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Final

from server_common.errors import SettingsError

BACKLOG: Final = 65_535
"""How many connections may wait to be accepted: as many as the kernel allows (net.core.somaxconn).
After a network cut all clients connect at once, and a client that finds the queue full retries only
seconds later."""


def bind(host: str, port: int, variable: str, *, shared: bool = False) -> socket.socket:
    """Bind a socket for listening, before anything else is started.

    Args:
        host: an address of this machine.
        port: 0 picks a free one.
        variable: the setting to name when the port is taken.
        shared: other sockets of ours may listen on the port as well (SO_REUSEPORT).

    Raises:
        SettingsError: the port cannot be bound; the text names it and says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port {port} on {host} is taken: stop what uses it, or set {variable} to another"
            ) from error
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return bound


def allow_open_files() -> int:
    """Raise the limit of open files as far as the system lets us.

    Returns:
        The limit that holds now; each connection takes one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@contextlib.contextmanager
def at_stop_signals(stop: Callable[[int], object]) -> Iterator[None]:
    """Call `stop` with the signal's number at SIGTERM and SIGINT, on the running event loop.

    It replaces uvicorn's own handlers, which raise the signal again after a clean stop, so that
    every stop would look like a kill.
    """
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
