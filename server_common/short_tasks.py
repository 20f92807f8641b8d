"""Short tasks that a long one starts, such as one for each message: none of them fails unseen.

asyncio keeps a task's error until somebody asks for it, and takes a task that was cancelled for one
that was meant to be. A library that has lost a future of its own ends its caller in the same way;
here that is a failure like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from server_common.supervision import is_being_cancelled

T = TypeVar("T")


class CancelledInsideError(RuntimeError):
    """The work ended as if it were cancelled, and nobody had cancelled it."""


def short_task(
    work: Coroutine[Any, Any, T], context: Context | None = None, name: str | None = None
) -> asyncio.Task[T]:
    """Start the work in a task of its own, which fails with `CancelledInsideError` if the work is
    cancelled from inside. Whoever starts it must read how it ends.

    Args:
        work: what it does.
        context: in which it runs; None: in a copy of the present one.
        name: of the task; None: asyncio numbers it.
    """
    task = asyncio.create_task(_heard(work), name=name, context=context)
    # One that is cancelled before its first step never reaches the work.
    task.add_done_callback(lambda _: work.close())
    return task


@contextmanager
def loud_if_cancelled() -> Iterator[None]:
    """Let what the block awaits fail if it is cancelled from inside.

    Raises:
        CancelledInsideError: it was.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        raise CancelledInsideError("it was cancelled from inside") from error


async def _heard(work: Coroutine[Any, Any, T]) -> T:
    with loud_if_cancelled():
        return await work


class ShortTasks:
    """The short tasks of one long task, which learns of the first that fails."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start one."""
        task = short_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def until_one_ends(self) -> None:
        """Wait until at least one of those that run now has ended."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def until_one_fails(self) -> None:
        """Wait until one fails.

        Raises:
            Exception: what the first one has failed with.
        """
        await asyncio.shield(self._failed)

    async def cancel(self) -> None:
        """Cancel all, and wait until they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()  # else asyncio warns if the long task has ended meanwhile
