"""Ports on loopback: finds and reserves free ones, and reports taken ones."""

from __future__ import annotations

import fcntl
import functools
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from client_sdk.contract.errors import YabamError

LOOPBACK: Final = "127.0.0.1"
_FIRST_PORTS: Final = range(15_000, 32_000, 100)
"""The first ports of the ranges that a process can reserve for itself."""


class PortTakenError(YabamError):
    """A port is taken, or none is free; the text says which and what to do."""


def free_port() -> int:
    """A free port, which no other process of this user gets while this one runs.

    It is below the ports that the system uses for outgoing connections: one of those could take it
    before the caller listens.

    Raises:
        PortTakenError: no port is free.
    """
    return free_ports(1).start


def free_ports(count: int) -> range:
    """`count` free ports in a row, for a server that also uses the ports after its first.

    Args:
        count: at most 100.

    Raises:
        PortTakenError: no such ports are free.
    """
    return next(_reserved(os.getpid(), count))


@functools.cache
def _reserved(_process: int, count: int) -> Iterator[range]:
    """The reserved ports of a process, in rows of `count`.

    The process's id is an argument so that a forked process, which inherits the cache, reserves
    ports of its own.
    """
    folder = Path(tempfile.gettempdir()) / f"yabam-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return _in_turn(*_reserve(folder), count)


def _reserve(folder: Path) -> tuple[IO[bytes], range]:
    """Reserve a range of ports: lock its file. Returns the open file, and the ports.

    The reservation lasts as long as the file is open. Without it, two processes could find the same
    port free: the second could not listen there, or would take the other's server for its own.
    """
    for first in random.sample(_FIRST_PORTS, len(_FIRST_PORTS)):
        lock = (folder / str(first)).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return lock, range(first, first + _FIRST_PORTS.step)
    raise PortTakenError(
        f"Other processes have reserved all ports from {_FIRST_PORTS.start} to"
        f" {_FIRST_PORTS.stop - 1}. Stop processes that test runs left behind (fuser {folder}/*)"
    )


def _in_turn(lock: IO[bytes], ports: range, count: int) -> Iterator[range]:
    """Rows of free ports; a row is used again only after all other rows."""
    rows = [ports[n : n + count] for n in range(0, len(ports) - count + 1, count)]
    # Shuffled only once: otherwise the last row of a turn might be the first of the next.
    random.shuffle(rows)
    with lock:
        while True:
            given = 0
            for row in rows:
                if all(map(_can_be_bound, row)):
                    given += 1
                    yield row
            if not given:
                raise PortTakenError(
                    f"All ports from {ports.start} to {ports.stop - 1} on {LOOPBACK} are taken:"
                    " find out by what (ss -ltnp), and stop it"
                )


def _can_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def check_free(port: int, choose_another: str) -> None:
    """Check that a port is free; `choose_another` is the command that uses another one.

    Raises:
        PortTakenError: the port is taken.
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
    """Whether something accepts connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
