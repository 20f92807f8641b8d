"""Ports on loopback: free ones, and a clear word about taken ones."""

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
"""Where the range of ports begins that a process may have for itself."""


class PortTakenError(YabamError):
    """Something else listens where we should; the text says where and what to do."""


def free_port() -> int:
    """A port that nobody uses, and that no other process of this user is given meanwhile.

    It is below the ports that the system hands to outgoing connections, one of which might else
    take it before its owner listens.

    Raises:
        PortTakenError: there is none.
    """
    return free_ports(1).start


def free_ports(count: int) -> range:
    """As many of them in a row, for what listens on a port and on those that follow it.

    Args:
        count: at most 100.

    Raises:
        PortTakenError: there are none.
    """
    return next(_reserved(os.getpid(), count))


@functools.cache
def _reserved(_process: int, count: int) -> Iterator[range]:
    """The ports of a process, for each length of a row apart; a process that was forked has others
    than its parent."""
    folder = Path(tempfile.gettempdir()) / f"yabam-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return _in_turn(*_reserve(folder), count)


def _reserve(folder: Path) -> tuple[IO[bytes], range]:
    """Lock the file of a range of ports, for as long as the file is open.

    A port that is only looked at and found free may be found free by two: the one who listens last
    fails, or takes the other's server for its own.
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
        f" {_FIRST_PORTS.stop - 1}. Stop what is left over of test runs (fuser {folder}/*)"
    )


def _in_turn(lock: IO[bytes], ports: range, count: int) -> Iterator[range]:
    """Rows of those that nobody uses; each comes again when all others had their turn."""
    rows = [ports[n : n + count] for n in range(0, len(ports) - count + 1, count)]
    # In one order, or the last of a turn might come again as the first of the next.
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
                    " see by whom (ss -ltnp), and stop what is left over"
                )


def _can_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


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
