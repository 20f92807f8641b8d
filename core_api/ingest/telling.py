"""Sends answers to Kafka in batches: answers that come while a batch is being sent wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server_common.devices.messages import Outbound


class Telling:
    """Sends acknowledgements to devices, in the order of the calls.

    Args:
        tell: sends a batch; returns when that is done.
    """

    def __init__(self, tell: Callable[[Sequence[Outbound]], Awaitable[None]]) -> None:
        self._tell = tell
        self._waiting: list[tuple[Outbound, asyncio.Future[None]]] = []
        self._turn = asyncio.Lock()

    async def tell(self, answer: Outbound) -> None:
        """Send an answer; returns when it is sent.

        Raises:
            Exception: the error of sending it.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((answer, done))
        async with self._turn:
            if not done.done():
                await self._tell_all()
        await done

    async def _tell_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            await self._tell([answer for answer, _ in waiting])
        except BaseException:
            # Another caller may be sending it: it must not be cancelled because this caller is.
            self._waiting[:0] = waiting
            raise
        for _, done in waiting:
            done.set_result(None)
