"""Answers go to Kafka together: those that come while others are on their way wait for these."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server_common.devices.messages import Outbound


class Telling:
    """Tells devices what Core has kept, in the order in which it is asked to.

    Args:
        tell: tells some; returns when that is done.
    """

    def __init__(self, tell: Callable[[Sequence[Outbound]], Awaitable[None]]) -> None:
        self._tell = tell
        self._waiting: list[tuple[Outbound, asyncio.Future[None]]] = []
        self._turn = asyncio.Lock()

    async def tell(self, answer: Outbound) -> None:
        """Returns when it is told.

        Raises:
            Exception: what telling it has raised.
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
            # One of the others tells it: it need not be cancelled because this one is.
            self._waiting[:0] = waiting
            raise
        for _, done in waiting:
            done.set_result(None)
