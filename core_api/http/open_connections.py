"""Limits open connections: an idle one is closed to admit a new one.

A connection stays open after an answer, so that the next request needs no new one. Without a bound,
idle clients would take every file descriptor of the process, and nobody else could connect. A
client that was closed while idle reconnects, as after the usual time-out.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

_LOOKS: Final = 64
"""How many connections are checked for idleness for each new one: all may be busy."""


class Resting(Protocol):
    """A connection that can be closed while idle."""

    def give_way(self) -> bool:
        """Close, if nothing is in progress and a request was answered; whether it did."""


class OpenConnections:
    """The open connections of one server.

    Args:
        limit: how many may be open before idle ones are closed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[Resting, None] = OrderedDict()
        self.given_way = 0
        """How many idle connections were closed so far."""

    def __len__(self) -> int:
        return len(self._open)

    def came(self, connection: Resting) -> None:
        """A connection was opened. Above the limit, the longest idle ones are closed; if none of
        those checked is idle, all stay."""
        self._open[connection] = None
        for _ in range(min(_LOOKS, len(self._open) - 1)):
            if len(self._open) <= self._limit:
                return
            first = next(iter(self._open))
            if first.give_way():
                self._open.pop(first, None)
                self.given_way += 1
            else:
                # It goes to the end of the queue, so that the next check is of another.
                self._open.move_to_end(first)

    def answered(self, connection: Resting) -> None:
        """It is idle from now on, unless more was asked: frequent callers are closed last."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def went(self, connection: Resting) -> None:
        """A connection was closed."""
        self._open.pop(connection, None)


def most_for(files: int, others: int) -> int:
    """How many connections a process may have open with this limit of files.

    Args:
        files: the limit.
        others: the files that are not connections; a twentieth of the limit is left free besides,
            as an idle connection takes a moment to close.
    """
    return max(1, files - files // 20 - others)
