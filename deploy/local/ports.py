"""Ports on loopback: free ones, and a clear word about taken ones."""

from __future__ import annotations

import contextlib
import secrets
import socket
from typing import Final

from client_sdk.contract.errors import YabamError

LOOPBACK: Final = "127.0.0.1"
_BELOW_EPHEMERAL: Final = range(15_000, 32_000)


class PortTakenError(YabamError):
    """Something else listens where we should; the text says where and what to do."""


def free_port() -> int:
    """A port that nobody uses right now.

    It is below the ports that the system hands to outgoing connections, one of which might else
    take it before its owner listens.
    """
    while True:
        port = secrets.choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


def check_free(port: int, choose_another: str) -> None:
    """Whether the port can be had; `choose_another` is the command that takes a different one.

    Raises:
        PortTakenError: it is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise PortTakenError(
                f"Port {port} on {LOOPBACK} is taken. Stop what uses it "
                f"(ss -ltnp 'sport = :{port}' shows what), or choose another: {choose_another}"
            ) from error


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
