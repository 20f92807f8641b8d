"""Tells Core between syncs what this device has applied, so that an order that reaches nobody is
known of within seconds; and which orders it has shown to a person.

What is to be said gathers for a second. One that could not be sent is tried again a few times: the
next sync says the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from client_sdk.checkpoint import Checkpoint
from client_sdk.contract.device import MAX_SEEN_ORDERS, RECEIPTS_EVERY_S

_MOST_TRIES: Final = 4
_MOST_SAID: Final = 10_000
"""Orders that are remembered, so that one which is shown again is not said again."""


class ReceiptSender:
    """Gathers, and sends by one task that lasts only as long as there is something to say.

    Args:
        send: says what is applied; false: it was not taken.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        send: Callable[[Checkpoint], Awaitable[bool]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._send = send
        self._sleep = sleep
        self._newest: Checkpoint | None = None
        self._task: asyncio.Task[None] | None = None

    def applied(self, checkpoint: Checkpoint) -> None:
        """Note what is applied; it is sent within a second or so."""
        self._newest = checkpoint
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="yabam-receipts")

    async def stop(self) -> None:
        """Send nothing more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while self._newest is not None:
            await self._sleep(RECEIPTS_EVERY_S * 2**failures)
            checkpoint, self._newest = self._newest, None
            if await self._send(checkpoint):
                failures = 0
                continue
            failures = (failures + 1) % _MOST_TRIES
            if failures and self._newest is None:
                self._newest = checkpoint
        self._task = None


class SeenSender:
    """Gathers the orders that were shown, and says each once, by one task that lasts only as long
    as there is something to say.

    Args:
        send: says which were shown; false: it was not taken.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        send: Callable[[Sequence[str]], Awaitable[bool]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._send = send
        self._sleep = sleep
        self._waiting: dict[str, None] = {}
        self._said: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def seen(self, order_id: str) -> None:
        """Note that an order was shown; it is said within a second or so."""
        if order_id in self._said or order_id in self._waiting:
            return
        self._waiting[order_id] = None
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="yabam-seen")

    async def stop(self) -> None:
        """Send nothing more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while self._waiting and failures < _MOST_TRIES:
            await self._sleep(RECEIPTS_EVERY_S * 2**failures)
            batch = list(self._waiting)[:MAX_SEEN_ORDERS]
            if not await self._send(batch):
                failures += 1
                continue
            failures = 0
            for order_id in batch:
                del self._waiting[order_id]
                self._said[order_id] = None
            while len(self._said) > _MOST_SAID:
                del self._said[next(iter(self._said))]
        # What Core did not take is said with the next order that is shown.
        while len(self._waiting) > _MOST_SAID:
            del self._waiting[next(iter(self._waiting))]
        self._task = None
