"""The tasks that send requests: at most so many at once, and of those that fail at most half.

So receivers that fail, however many they are and however long each attempt takes, leave the other
half to those that answer. Webhooks and pushes are sent by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import Gauge


class Attempted(Protocol):
    """What a task is for."""

    @property
    def tries(self) -> int:
        """How many attempts have failed since the last that succeeded."""


S = TypeVar("S", bound=Attempted)


class SendingTasks(Generic[S]):
    """The tasks of one sender, each with what it is for.

    Args:
        limit: so many at once.
        gauge: counts them; several senders may share it.
        ended: called after each that has ended.
    """

    def __init__(self, limit: int, gauge: Gauge, ended: Callable[[], None]) -> None:
        self._limit = limit
        self._gauge = gauge
        self._ended = ended
        self._tasks: dict[asyncio.Task[None], S] = {}

    @property
    def held(self) -> list[S]:
        """What is being sent now."""
        return list(self._tasks.values())

    async def fill(
        self,
        take: Callable[[int, bool], Awaitable[Sequence[S]]],
        send: Callable[[S], Coroutine[Any, Any, None]],
    ) -> None:
        """Begin a task for each that is due, as far as there is room.

        Args:
            take: gives at most so many, of those whose last attempt failed or of the others. What
                it raises is passed on.
            send: sends one; it handles its own errors.
        """
        for failing, most in ((False, self._limit), (True, self._limit // 2)):
            of_kind = sum((item.tries > 0) == failing for item in self._tasks.values())
            room = min(most - of_kind, self._limit - len(self._tasks))
            if room > 0:
                for item in await take(room, failing):
                    task = asyncio.create_task(send(item))
                    self._tasks[task] = item
                    self._gauge.inc()
                    task.add_done_callback(self._done)

    async def wait(self) -> None:
        """Wait until all have ended, those too that begin meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def cancel(self) -> None:
        """Cancel all, and wait until they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task)
        self._gauge.dec()
        self._ended()
