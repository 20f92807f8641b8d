"""The time in which a request must arrive: one timer for all connections of a process.

A connection's time starts when it is made, and again with the first byte of a request; it stops
with the last byte of the request. Most requests arrive whole, so most connections are here for no
longer than one turn of the event loop.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from server_common.logs import get_logger

log = get_logger()


class TimedConnection(Protocol):
    """A connection on which a request arrives."""

    loop: asyncio.AbstractEventLoop

    def time_out(self) -> None:
        """The request has taken too long: end the connection."""


class ReadTimeout:
    """Ends connections whose request takes longer than `limit_s` seconds to arrive."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        # All have the same time-out, so the first ones are due first.
        self._until: dict[TimedConnection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._until)

    def begin(self, connection: TimedConnection) -> None:
        """Start the connection's time, unless it runs already."""
        if connection in self._until:
            return
        self._until[connection] = connection.loop.time() + self._limit_s
        if self._timer is None:
            self._timer = connection.loop.call_later(self._limit_s, self._turn, connection.loop)

    def end(self, connection: TimedConnection) -> None:
        """The request has arrived: stop its time."""
        self._until.pop(connection, None)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        due = []
        for connection, until in self._until.items():
            if until > now:
                self._timer = loop.call_at(until, self._turn, loop)
                break
            due.append(connection)
        for connection in due:
            del self._until[connection]
            try:
                connection.time_out()
            except Exception:
                log.exception("connection_cannot_be_cut")  # the others are still due
