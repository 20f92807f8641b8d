"""What a server needs from the system before it serves: a port, and enough open files."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket

from server_common.errors import SettingsError


def bind(host: str, port: int, variable: str, *, shared: bool = False) -> socket.socket:
    """A listening socket's address, taken before anything else is started.

    Args:
        host: an address of this machine.
        port: 0 picks a free one.
        variable: the setting to name when the port is taken.
        shared: other sockets of ours may listen on the port as well (SO_REUSEPORT).

    Raises:
        SettingsError: it cannot be had; the text names the port and what to do.
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
