"""Tells Core between syncs what this device has applied, so that an order that reaches nobody is
known of within seconds; and which orders it has shown to a person.

What is to be said gathers for a second. One that could not be sent is tried again a few times: the
next sync says the same.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from client_sdk.checkpoint import Checkpoint
from client_sdk.contract.device import MAX_SEEN_ORDERS, RECEIPTS_EVERY_S
from client_sdk.machine.backoff import longest_wait

_MAX_TRIES: Final = 4
_MAX_SAID: Final = 10_000
"""Orders that are remembered, so that one which is shown again is not said again."""

Sleep = Callable[[float], Awaitable[None]]


class _Sender(ABC):
    """Sends by one task that lasts only as long as there is something to say."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Send nothing more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @abstractmethod
    async def _say(self) -> bool | None:
        """Say what is new; false: it was not taken. None: nothing more is to be said."""

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="yabam-receipts")

    async def _run(self) -> None:
        failures = 0
        while failures < _MAX_TRIES:
            await self._sleep(longest_wait(failures + 1, RECEIPTS_EVERY_S))
            taken = await self._say()
            if taken is None:
                break
            failures = 0 if taken else failures + 1
        self._task = None


class ReceiptSender(_Sender):
    """Says what is applied.

    Args:
        send: says what is applied; false: it was not taken.
        sleep: waits for some seconds.
    """

    def __init__(
        self, send: Callable[[Checkpoint], Awaitable[bool]], sleep: Sleep = asyncio.sleep
    ) -> None:
        super().__init__(sleep)
        self._send = send
        self._newest: Checkpoint | None = None

    def applied(self, checkpoint: Checkpoint) -> None:
        """Note what is applied; it is sent within a second or so."""
        self._newest = checkpoint
        self._wake()

    async def _say(self) -> bool | None:
        said = self._newest
        if said is not None and not await self._send(said):
            return False
        if self._newest is not said:
            return True
        self._newest = None
        return None


class SeenSender(_Sender):
    """Says which orders were shown, each once.

    Args:
        send: says which were shown; false: it was not taken.
        sleep: waits for some seconds.
    """

    def __init__(
        self, send: Callable[[Sequence[str]], Awaitable[bool]], sleep: Sleep = asyncio.sleep
    ) -> None:
        super().__init__(sleep)
        self._send = send
        self._waiting: dict[str, None] = {}
        self._said: dict[str, None] = {}

    def seen(self, order_id: str) -> None:
        """Note that an order was shown; it is said within a second or so.

        What Core did not take is said with the next order.
        """
        if order_id not in self._said and order_id not in self._waiting:
            _remember(self._waiting, [order_id])
            self._wake()

    async def _say(self) -> bool | None:
        batch = list(self._waiting)[:MAX_SEEN_ORDERS]
        if not await self._send(batch):
            return False
        for order_id in batch:
            self._waiting.pop(order_id, None)
        _remember(self._said, batch)
        return True if self._waiting else None


def _remember(orders: dict[str, None], more: Sequence[str]) -> None:
    orders.update(dict.fromkeys(more))
    while len(orders) > _MAX_SAID:
        del orders[next(iter(orders))]
