"""The tasks that send requests: limited in number, and at most half of them for failing receivers.

So failing receivers, however many and however slow, leave the other half to those that answer.
Webhooks and pushes are sent by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import Gauge

from server_common.short_tasks import short_task


class Attempted(Protocol):
    """The receiver that a task sends to."""

    @property
    def tries(self) -> int:
        """How many attempts have failed since the last success."""


S = TypeVar("S", bound=Attempted)


class SendingTasks(Generic[S]):
    """The tasks of one sender, each with its receiver.

    Args:
        limit: so many at once.
        gauge: counts them; several senders may share it.
        failed: called for each that has ended with an error; it must not raise.
        ended: called after each that has ended.
    """

    def __init__(
        self,
        limit: int,
        gauge: Gauge,
        failed: Callable[[S, BaseException], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._limit = limit
        self._gauge = gauge
        self._failed = failed
        self._ended = ended
        self._tasks: dict[asyncio.Task[None], S] = {}

    @property
    def held(self) -> list[S]:
        """The receivers that are being sent to now."""
        return list(self._tasks.values())

    async def fill(
        self,
        take: Callable[[int, bool], Awaitable[Sequence[S]]],
        send: Callable[[S], Coroutine[Any, Any, None]],
    ) -> None:
        """Begin a task for each that is due, as far as there is room.

        Args:
            take: gives at most so many, of those whose last attempt failed or of the others. Its
                errors pass through.
            send: sends one. If it fails, the lease of its receiver expires, and then any process
                goes on with it.
        """
        for failing, most in ((False, self._limit), (True, self._limit // 2)):
            of_kind = sum((item.tries > 0) == failing for item in self._tasks.values())
            room = min(most - of_kind, self._limit - len(self._tasks))
            if room > 0:
                for item in await take(room, failing):
                    task = short_task(send(item))
                    self._tasks[task] = item
                    self._gauge.inc()
                    task.add_done_callback(self._done)

    async def wait(self) -> None:
        """Wait until all have ended, including those that begin meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def cancel(self) -> None:
        """Cancel all, and wait until they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        item = self._tasks.pop(task)
        self._gauge.dec()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(item, error)
        self._ended()
