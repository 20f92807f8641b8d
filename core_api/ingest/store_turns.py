"""Isolates stores with locked rows: such a store gets one try at a time.

A try that meets a lock keeps a connection until the lock time-out, so many of them would leave
none for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from core_api.errors import LockedError
from server_common.backoff import next_wait

T = TypeVar("T")

AT_ONCE: Final = 16
"""How many tries of all stores are made at the same time."""
FIRST_REST_S: Final = 0.05
LONGEST_REST_S: Final = 1.0
"""The longest pause of a store after a locked row: the delay until it notices that the lock is
released."""


@dataclass(slots=True, eq=False)
class _Held:
    """A store of which a row is locked."""

    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    rest_s: float = 0.0


class StoreTurns:
    """Retries the writes of stores until no lock is in the way.

    Args:
        sleep: waits for some seconds before another try.
        retried: called for each try that met a lock.
        at_once: how many tries are made at the same time.
    """

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]],
        retried: Callable[[], None],
        at_once: int = AT_ONCE,
    ) -> None:
        self._sleep = sleep
        self._retried = retried
        self._room = asyncio.Semaphore(at_once)
        self._held: dict[str, _Held] = {}

    async def until_free(self, store: str, action: Callable[[], Awaitable[T]]) -> T:
        """Run the action once the store's rows are not locked; its result.

        Args:
            store: whose rows it writes.
            action: one try; it changes nothing when it raises `LockedError`.

        Raises:
            Exception: what the action raises, but for `LockedError`.
        """
        if store not in self._held:
            try:
                async with self._room:
                    return await action()
            except LockedError:
                self._retried()
        held = self._held.setdefault(store, _Held())
        held.waiting += 1
        try:
            return await self._in_turn(held, action)
        finally:
            held.waiting -= 1
            if not held.waiting:
                del self._held[store]

    async def _in_turn(self, held: _Held, action: Callable[[], Awaitable[T]]) -> T:
        while True:
            async with held.turn:
                await self._sleep(held.rest_s)
                try:
                    async with self._room:
                        result = await action()
                except LockedError:
                    # It goes to the end of the queue: the others' rows may be free.
                    held.rest_s = next_wait(held.rest_s, FIRST_REST_S, LONGEST_REST_S)
                    self._retried()
                else:
                    held.rest_s = 0.0
                    return result
