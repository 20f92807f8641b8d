"""How many connections may be open: one that rests gives way to one that has come.

A connection stays open after an answer, so that the next request needs no new one. Without a bound,
clients that have gone quiet would take every file that the process may open, and nobody else could
come. Whoever is cut off at rest connects anew, as after the usual time-out.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

_LOOKS: Final = 64
"""At how many connections one that has come makes us look: all may be busy."""


class Resting(Protocol):
    """A connection that can give way."""

    def give_way(self) -> bool:
        """Close, if nothing is under way and a request was answered; whether it did."""


class OpenConnections:
    """Those of one server.

    Args:
        limit: how many may be open before those at rest give way.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[Resting, None] = OrderedDict()
        self.given_way = 0
        """How many have given way so far."""

    def __len__(self) -> int:
        return len(self._open)

    def came(self, connection: Resting) -> None:
        """It is open. As many as there are too many give way, those that have rested for longest
        first; where none of the first is at rest, all stay."""
        self._open[connection] = None
        for _ in range(min(_LOOKS, len(self._open) - 1)):
            if len(self._open) <= self._limit:
                return
            first = next(iter(self._open))
            if first.give_way():
                self._open.pop(first, None)
                self.given_way += 1
            else:
                # It goes behind all others, so that the next look is at another.
                self._open.move_to_end(first)

    def answered(self, connection: Resting) -> None:
        """It rests from now on, unless more was asked: whoever asks often is cut last."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def went(self, connection: Resting) -> None:
        """It is closed."""
        self._open.pop(connection, None)


def most_for(files: int, others: int) -> int:
    """How many connections may be open where a process may open so many files.

    Args:
        files: the limit.
        others: the files that are no connection; a twentieth of the limit is left free besides, as
            one that gives way is closed a moment later.
    """
    return max(1, files - files // 20 - others)
