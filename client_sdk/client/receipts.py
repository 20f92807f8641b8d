"""Tells Core between syncs what this device has applied, so that an order that reaches nobody is
known of within seconds.

What is applied gathers for a second. One that could not be sent is tried again a few times: the
next sync says the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from client_sdk.client.checkpoint import Checkpoint
from client_sdk.contract.device import RECEIPTS_EVERY_S

_MOST_TRIES: Final = 4


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
