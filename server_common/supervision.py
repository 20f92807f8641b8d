"""Background tasks: each is restarted when it ends.

A task that fails, or returns although it should run for ever, is logged, counted and restarted
after a pause that grows with each failure. While a task has not been running well for
`HEALTHY_AFTER_S` since its last failure, `trouble` says so, and a process whose work needs that
task is not ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter

from server_common.backoff import next_wait
from server_common.logs import get_logger

_log = get_logger()

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 10.0
HEALTHY_AFTER_S: Final = 5.0
"""A task that has run for so many seconds since its start counts as working."""

Work = Callable[[], Awaitable[None]]
"""Starts the task; it is called again for each restart."""


@dataclass(slots=True)
class _Supervised:
    work: Work
    is_essential: bool
    pause_s: float = 0.0
    """The pause after the last failure; 0 after a run of `HEALTHY_AFTER_S`."""
    trouble: str | None = None


class Supervisor:
    """Runs the background tasks of one process and starts each again when it ends.

    Args:
        restarted: called with a task's name each time it has ended and will be started again.
        sleep: waits for a number of seconds.
        runs: called with a task's name when it is started for the first time.
    """

    def __init__(
        self,
        restarted: Callable[[str], None] = lambda _name: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        runs: Callable[[str], object] = lambda _name: None,
    ) -> None:
        self._restarted = restarted
        self._sleep = sleep
        self._runs = runs
        self._supervised: dict[str, _Supervised] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Work, *, essential: bool = True) -> None:
        """Run `work` until `stop`, whatever it raises.

        Args:
            name: unique in this process; it stands in the log and in the metrics.
            work: starts the task; called again each time the task has ended.
            essential: whether the process is not ready while this task fails.

        Raises:
            ValueError: a task of that name runs already.
        """
        if name in self._tasks:
            raise ValueError(f"a background task {name!r} runs already")
        self._runs(name)
        self._supervised[name] = _Supervised(work, essential)
        self._tasks[name] = asyncio.create_task(self._keep_running(name), name=name)

    @property
    def trouble(self) -> str | None:
        """Which essential task is failing, and why; None: all work."""
        for task in self._supervised.values():
            if task.is_essential and task.trouble is not None:
                return task.trouble
        return None

    @property
    def names(self) -> frozenset[str]:
        """The names of all tasks."""
        return frozenset(self._tasks)

    async def stop(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._supervised.clear()

    async def _keep_running(self, name: str) -> None:
        task = self._supervised[name]
        loop = asyncio.get_running_loop()
        while True:
            healthy = loop.call_later(HEALTHY_AFTER_S, _count_as_working, task)
            try:
                await task.work()
                reason = "it returned"
                _log.error("background_task_returned", task=name)
            except asyncio.CancelledError:
                if is_being_cancelled():
                    raise
                reason = "it was cancelled from inside"
                _log.error("background_task_cancelled", task=name)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                _log.error("background_task_failed", task=name, exc_info=error)
            finally:
                healthy.cancel()
            task.pause_s = next_wait(task.pause_s, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            task.trouble = f"the background task {name} fails: {reason}"
            self._restarted(name)
            await self._sleep(task.pause_s)


def counted_by(restarts: Counter) -> Supervisor:
    """A supervisor whose restarts are counted.

    Each task's series exists from its start, at 0: one that appears with its first fault raises no
    alert.

    Args:
        restarts: with the label `task` only.
    """
    return Supervisor(lambda task: restarts.labels(task).inc(), runs=restarts.labels)


async def until_left(run: Work, left: asyncio.Event) -> None:
    """Run until that returns, as it was told to stop; report it, and wait to be cancelled."""
    await run()
    left.set()
    await asyncio.Event().wait()


def is_being_cancelled() -> bool:
    """Whether the running task is being cancelled.

    A `CancelledError` may also come from a future that a library has lost or cancelled by itself.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _count_as_working(task: _Supervised) -> None:
    task.pause_s, task.trouble = 0.0, None
