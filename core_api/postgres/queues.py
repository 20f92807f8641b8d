"""Queues: work on the same thing is done one after the other, in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core_api.errors import UnavailableError


class Queues:
    """A queue for each name; empty queues are not kept.

    Args:
        limit: how many may wait in one queue.
        full: the text of the error when a queue is full.
    """

    def __init__(self, limit: int, full: str) -> None:
        self._limit = limit
        self._full = full
        self._locks: dict[str, asyncio.Lock] = {}
        self._standing: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait until all who came before are done.

        Raises:
            UnavailableError: too many wait already.
        """
        standing = self._standing.get(name, 0)
        if standing >= self._limit:
            raise UnavailableError(f"{self._full}: {name}", self._full)
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._standing[name] = standing + 1
        try:
            async with lock:
                yield
        finally:
            self._standing[name] -= 1
            if not self._standing[name]:
                del self._standing[name], self._locks[name]
