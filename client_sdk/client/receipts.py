"""Tells Core between syncs what this device has applied, so that Core notices within seconds if an
order reaches no device; and which orders it has shown to a person.

Receipts are collected for a second. A failed one is retried a few times only: the next sync tells
Core the same.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from client_sdk.checkpoint import Checkpoint
from client_sdk.contract.device import MAX_SEEN_ORDERS, RECEIPTS_EVERY_S
from client_sdk.machine.backoff import longest_wait
from client_sdk.supervision import BackgroundTasks

_MAX_TRIES: Final = 4
_MAX_SAID: Final = 10_000
"""Orders that are remembered, so that one which is shown again is not said again."""

Sleep = Callable[[float], Awaitable[None]]


class _Sender(ABC):
    """Sends from one task, which lasts only as long as there is something to send."""

    def __init__(self, sleep: Sleep, told: Callable[[str], None]) -> None:
        self._sleep = sleep
        self._told = told
        self._tasks = BackgroundTasks(self._note)
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self.trouble: str | None = None
        """Why the last report could not be sent, if nobody has foreseen that; None: it could."""

    async def stop(self) -> None:
        """Stop sending, for good."""
        self._is_stopped = True
        await self._tasks.stop()

    @abstractmethod
    async def _say(self) -> bool | None:
        """Send what is new. Returns whether Core accepted it; None: there is nothing to send."""

    def _wake(self) -> None:
        if self._task is None and not self._is_stopped:
            self._task = self._tasks.once("receipts", self._run())

    def _note(self, text: str) -> None:
        self.trouble = text
        self._told(text)

    async def _run(self) -> None:
        failures = 0
        try:
            while failures < _MAX_TRIES:
                await self._sleep(longest_wait(failures + 1, RECEIPTS_EVERY_S))
                try:
                    taken = await self._say()
                    self.trouble = None
                except Exception as error:
                    # One that cannot be sent must not keep back all others.
                    self._note(f"a report of what arrived cannot be sent: {error!r}")
                    taken = False
                if taken is None:
                    break
                failures = 0 if taken else failures + 1
        finally:
            # However it ends: what comes next starts another task.
            self._task = None


class ReceiptSender(_Sender):
    """Reports what is applied.

    Args:
        send: says what is applied; false: it was not taken.
        sleep: waits for some seconds.
        told: called with each trouble that nobody has foreseen.
    """

    def __init__(
        self,
        send: Callable[[Checkpoint], Awaitable[bool]],
        sleep: Sleep = asyncio.sleep,
        told: Callable[[str], None] = lambda _text: None,
    ) -> None:
        super().__init__(sleep, told)
        self._send = send
        self._newest: Checkpoint | None = None

    def applied(self, checkpoint: Checkpoint) -> None:
        """Note what is applied; it is sent within about a second."""
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
    """Reports which orders were shown, each once.

    Args:
        send: says which were shown; false: it was not taken.
        sleep: waits for some seconds.
        told: called with each trouble that nobody has foreseen.
    """

    def __init__(
        self,
        send: Callable[[Sequence[str]], Awaitable[bool]],
        sleep: Sleep = asyncio.sleep,
        told: Callable[[str], None] = lambda _text: None,
    ) -> None:
        super().__init__(sleep, told)
        self._send = send
        self._waiting: dict[str, None] = {}
        self._said: dict[str, None] = {}

    def seen(self, order_id: str) -> None:
        """Note that an order was shown; it is sent within about a second.

        If Core did not accept a report, it is sent again with the next order.
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
