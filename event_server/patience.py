"""How long a client may take over a request: one timer for all connections that owe us bytes.

A connection owes us bytes from when it is made, or from a request's first byte, to the request's
last one. Most requests come whole, so most connections are never noted here for longer than a turn
of the loop.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

log = structlog.get_logger()


class Debtor(Protocol):
    """A connection that owes us bytes."""

    loop: asyncio.AbstractEventLoop

    def lose_patience(self) -> None:
        """It has taken too long."""


class Patience:
    """Ends connections that take longer than `limit_s` over a request."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        # All wait equally long, so those who came first are due first.
        self._until: dict[Debtor, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._until)

    def begin(self, debtor: Debtor) -> None:
        """It owes us bytes from now on, if it did not before."""
        if debtor in self._until:
            return
        self._until[debtor] = debtor.loop.time() + self._limit_s
        if self._timer is None:
            self._timer = debtor.loop.call_later(self._limit_s, self._turn, debtor.loop)

    def end(self, debtor: Debtor) -> None:
        """It owes us nothing."""
        self._until.pop(debtor, None)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        due = []
        for debtor, until in self._until.items():
            if until > now:
                self._timer = loop.call_at(until, self._turn, loop)
                break
            due.append(debtor)
        for debtor in due:
            del self._until[debtor]
            try:
                debtor.lose_patience()
            except Exception:
                log.exception("connection_cannot_be_cut")  # the others are still due
