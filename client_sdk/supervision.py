"""Background tasks: none of them ends in silence.

Work that lasts as long as its owner is restarted with back-off whenever it ends, and its owner is
told why. Work that is done once tells its owner if it fails. Work beside other work ends that, too.
No other module of the SDK starts a task or a timer; a test holds that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from client_sdk.contract.errors import YabamError
from client_sdk.machine.backoff import Backoff
from client_sdk.settings import Settings

Failed = Callable[[Exception], None]
"""Takes the error that has ended a task."""

BACK_OFF: Final = Settings(backoff_first=0.5, backoff_most=30.0, healthy_after=60.0)
"""The pauses before restarts."""
_log: Final = logging.getLogger("yabam")
_unattended: Final = set[asyncio.Task[None]]()
"""References to tasks whose caller may be gone: the event loop keeps none."""


class BackgroundTasks:
    """The background tasks of one object.

    Args:
        told: called with each restart's reason, and with each error that nobody else takes.
        back_off: the pauses before restarts: the first, the longest, and after how many seconds of
            work the next failure counts as the first.
        uniform: a random number evenly between two.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        told: Callable[[str], None] = lambda _text: None,
        *,
        back_off: Settings = BACK_OFF,
        uniform: Callable[[float, float], float] = random.uniform,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._told = told
        self._back_off = back_off
        self._uniform = uniform
        self._sleep = sleep
        # The set keeps a reference to a cancelled task until it has closed its resources.
        self._running: set[asyncio.Task[None]] = set()

    @property
    def names(self) -> list[str]:
        """The names of the tasks that run."""
        return sorted(task.get_name() for task in self._running)

    def keep(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Run `work` until `stop`; whenever it ends, for whatever reason, it is started again.

        Args:
            name: what the log, and the owner, call it.
            work: starts it.
        """
        return self._start(name, self._kept(name, work), None)

    def once(
        self, name: str, work: Coroutine[Any, Any, None], failed: Failed | None = None
    ) -> asyncio.Task[None]:
        """Run `work`; if it fails, say so.

        Args:
            name: what the log, and the owner, call it.
            work: the task.
            failed: called with the error that ends it; None: the owner is told.
        """
        return self._start(name, work, failed)

    def later(
        self, name: str, delay_s: float, work: Callable[[], None], failed: Failed | None = None
    ) -> asyncio.Handle:
        """Call `work` in some seconds; if it raises, say so.

        Args:
            name: what the log, and the owner, call it.
            delay_s: how many; 0: in the next turn of the event loop.
            work: what is called.
            failed: called with what it raises; None: the owner is told.
        """
        loop, call = asyncio.get_running_loop(), partial(self._call, name, work, failed)
        return loop.call_later(delay_s, call) if delay_s > 0 else loop.call_soon(call)

    def cancel(self) -> None:
        """Cancel all tasks but the one that asks; they may still be ending when this returns."""
        for task in self._running - {asyncio.current_task()}:
            task.cancel()

    async def stop(self) -> None:
        """Cancel all tasks but the one that asks, and return once they have ended."""
        tasks = self._running - {asyncio.current_task()}
        self.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(
        self, name: str, work: Coroutine[Any, Any, None], failed: Failed | None
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"yabam-{name}")
        self._running.add(task)
        task.add_done_callback(partial(self._ended, name, failed))
        return task

    def _ended(self, name: str, failed: Failed | None, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            error = task.exception()
        elif task.cancelling() == 0:
            # Nobody has cancelled it: a future that a library has lost was.
            error = RuntimeError("it was cancelled from inside")
        else:
            return
        if isinstance(error, Exception):
            self._hand(name, error, failed)

    async def _kept(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        back_off = Backoff(self._back_off, self._uniform)
        while True:
            back_off.well(loop.time())
            error: BaseException | None = None
            try:
                await work()
                reason = "returned"
            except asyncio.CancelledError as cancelled:
                if _is_being_cancelled():
                    raise
                # A future that a library has lost was cancelled, not this task.
                reason, error = "was cancelled from inside", cancelled
            except Exception as raised:
                reason, error = f"failed: {raised!r}", raised
            self._tell(f"the {name} {reason}; it is restarted", error)
            await self._sleep(back_off.failed(loop.time()))

    def _call(self, name: str, work: Callable[[], None], failed: Failed | None) -> None:
        try:
            work()
        except Exception as error:
            self._hand(name, error, failed)

    def _hand(self, name: str, error: Exception, failed: Failed | None) -> None:
        """Give the error to whoever should take it; if that fails, too, to the owner."""
        if failed is not None:
            try:
                failed(error)
            except Exception as other:
                self._unforeseen(name, other)
            else:
                return
        self._unforeseen(name, error)

    def _unforeseen(self, name: str, error: Exception) -> None:
        self._tell(f"the {name} failed: {error!r}", error)

    def _tell(self, text: str, error: BaseException | None) -> None:
        # What the SDK raises by itself says all in one line; anything else is a bug of somebody.
        _log.warning(text, exc_info=None if isinstance(error, YabamError) else error)
        try:
            self._told(text)
        except Exception:
            _log.exception("a callback for warnings raised")


@asynccontextmanager
async def beside(name: str, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` beside the body, and cancel it at the body's end.

    If it fails, the body is cancelled, and this raises the error.

    Args:
        name: what the log calls it.
        work: the task.
    """
    body, errors, is_over = asyncio.current_task(), list[Exception](), False

    def failed(error: Exception) -> None:
        if is_over:
            # A body that has ended cannot be cancelled: that would reach its caller, for good.
            _log.warning("the %s failed at its end: %r", name, error, exc_info=error)
            return
        errors.append(error)
        if body is not None:
            body.cancel()

    tasks = BackgroundTasks()
    tasks.once(name, work, failed)
    try:
        yield
    except asyncio.CancelledError:
        if errors and body is not None and body.uncancel() == 0:
            raise errors[0] from None
        raise
    finally:
        is_over = True
        await tasks.stop()


async def to_its_end(name: str, work: Coroutine[Any, Any, None]) -> None:
    """Do `work`, to its end even if the caller is cancelled; raises what it raises.

    Args:
        name: what the log calls it, if it fails after the caller was cancelled.
        work: what is done.
    """
    task = asyncio.create_task(work, name=f"yabam-{name}")
    _unattended.add(task)
    task.add_done_callback(_unattended.discard)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(partial(_log_if_failed, name))
        raise


def _log_if_failed(name: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("the %s failed: %r", name, error, exc_info=error)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
