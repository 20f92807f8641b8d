"""One after the other: who works on the same thing waits for its turn, in the order of coming."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core_api.errors import UnavailableError


class Queues:
    """A queue for each name that somebody asks for; none is kept that nobody stands in.

    Args:
        most: how many may stand in one.
        full: what to tell whoever finds it full.
    """

    def __init__(self, most: int, full: str) -> None:
        self._most = most
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
        if standing >= self._most:
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
