"""Background tasks are started again, and a process knows when one does not work."""

from __future__ import annotations

import asyncio

import pytest

from server_common import supervision
from server_common.supervision import Supervisor


class Work:
    """Runs as often as it is called; fails the first `failing` times, then waits for ever."""

    def __init__(self, failing: int, error: BaseException | None) -> None:
        self.failing = failing
        self.error = error
        self.runs = 0
        self.working = asyncio.Event()

    async def __call__(self) -> None:
        self.runs += 1
        if self.runs > self.failing:
            self.working.set()
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


# A library that loses a future of its own lets whoever waits for it end as if it were cancelled.
@pytest.mark.parametrize(
    "error", [ValueError("a bug"), OSError(5, "I/O"), asyncio.CancelledError(), None]
)
async def test_a_task_that_fails_or_returns_is_started_again(error: BaseException | None) -> None:
    restarts: list[str] = []
    work = Work(3, error)
    supervisor = Supervisor(restarts.append, no_pause)
    supervisor.start("tail", work)
    async with asyncio.timeout(10):
        await work.working.wait()
    assert (work.runs, restarts) == (4, ["tail"] * 3)
    await supervisor.stop()


async def test_trouble_names_the_task_and_the_reason_until_it_has_run_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervision, "HEALTHY_AFTER_S", 0.01)
    work = Work(1, ValueError("a bug"))
    supervisor = Supervisor(sleep=no_pause)
    supervisor.start("tail", work)
    await work.working.wait()
    assert supervisor.trouble == "the background task tail fails: ValueError: a bug"
    async with asyncio.timeout(10):
        while supervisor.trouble is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await supervisor.stop()


async def test_a_task_that_is_not_essential_leaves_the_process_ready() -> None:
    work = Work(1, ValueError("a bug"))
    supervisor = Supervisor(sleep=no_pause)
    supervisor.start("trim", work, essential=False)
    await work.working.wait()
    assert supervisor.trouble is None
    await supervisor.stop()


async def test_one_task_that_fails_leaves_the_others_alone() -> None:
    bad, good = Work(10**9, ValueError("a bug")), Work(0, None)
    supervisor = Supervisor(sleep=no_pause)
    supervisor.start("bad", bad)
    supervisor.start("good", good)
    await good.working.wait()
    while bad.runs < 50:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert good.runs == 1
    await supervisor.stop()


async def test_stop_ends_all_tasks_and_waits_for_them() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    supervisor = Supervisor()
    supervisor.start("tail", work)
    await asyncio.sleep(0)
    await supervisor.stop()
    assert ended.is_set()
    assert supervisor.names == frozenset()


async def test_a_name_is_given_once() -> None:
    supervisor = Supervisor()
    supervisor.start("tail", Work(0, None))
    with pytest.raises(ValueError, match="tail"):
        supervisor.start("tail", Work(0, None))
    await supervisor.stop()


async def test_a_task_that_fails_at_once_is_started_again_after_longer_and_longer_pauses() -> None:
    pauses: list[float] = []
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 9:
            enough.set()
            await asyncio.Event().wait()

    supervisor = Supervisor(sleep=sleep)
    supervisor.start("tail", Work(9, RuntimeError("broken")))
    await enough.wait()
    await supervisor.stop()
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
