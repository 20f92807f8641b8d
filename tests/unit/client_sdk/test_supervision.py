"""Background tasks: restarted or ended with their reason, and never in silence."""

from __future__ import annotations

import ast
import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import client_sdk
from client_sdk.errors import UnreachableError
from client_sdk.settings import Settings
from client_sdk.supervision import BackgroundTasks, beside, to_its_end

BUG = ZeroDivisionError("a bug")


class Owner:
    """An object with tasks, whose pauses take no time and are as long as they may be."""

    def __init__(self, healthy_after: float = 60.0) -> None:
        self.told: list[str] = []
        self.slept: list[float] = []
        self.failed: list[Exception] = []
        self.tasks = BackgroundTasks(
            self.told.append,
            back_off=Settings(backoff_first=0.5, backoff_most=4.0, healthy_after=healthy_after),
            uniform=lambda _low, high: high,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (it lets the loop go on, and waits for no time)
            await asyncio.sleep(0)


async def fail() -> None:
    raise BUG


async def end() -> None:
    """As if its work were done."""


async def cancelled_inside() -> None:
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    lost.cancel()
    await lost


@pytest.mark.parametrize(
    ("killed", "reason"),
    [(fail, "failed: ZeroDivisionError('a bug')"), (end, "returned"),
     (cancelled_inside, "was cancelled from inside")],
)  # fmt: skip
async def test_what_ends_though_it_should_not_is_restarted_with_growing_pauses_and_told(
    killed: Callable[[], Awaitable[None]], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    owner, runs = Owner(), 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 7:
            await asyncio.Event().wait()
        await killed()

    owner.tasks.keep("sender", work)
    await until(lambda: runs == 7)
    assert owner.slept == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert owner.told == [f"the sender {reason}; it is restarted"] * 6
    assert [record.message for record in caplog.records] == owner.told
    await owner.tasks.stop()
    assert owner.tasks.names == []


async def test_after_long_work_the_next_failure_counts_as_the_first() -> None:
    owner = Owner(healthy_after=0.0)
    owner.tasks.keep("sender", fail)
    await until(lambda: len(owner.slept) > 2)
    assert set(owner.slept) == {0.5}
    await owner.tasks.stop()


@pytest.mark.parametrize("killed", [fail, cancelled_inside])
async def test_work_that_is_done_once_gives_its_error_to_whom_it_concerns(
    killed: Callable[[], Awaitable[None]],
) -> None:
    owner = Owner()

    async def work() -> None:
        await killed()

    owner.tasks.once("sync", work(), owner.failed.append)
    await until(lambda: bool(owner.failed))
    assert owner.told == []
    assert owner.tasks.names == []


async def test_an_error_that_nobody_takes_is_told_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = Owner()

    def refuse(_error: Exception) -> None:
        raise KeyError("no")

    owner.tasks.once("resolver", fail())
    owner.tasks.once("sync", fail(), refuse)
    await until(lambda: len(owner.told) == 3)
    assert owner.told == [
        "the resolver failed: ZeroDivisionError('a bug')",
        "the sync failed: KeyError('no')",
        "the sync failed: ZeroDivisionError('a bug')",
    ]
    assert len(caplog.records) == 3


async def test_a_timer_that_raises_tells_so(caplog: pytest.LogCaptureFixture) -> None:
    owner = Owner()

    def bug() -> None:
        raise BUG

    owner.tasks.later("timer", 0.0, bug, owner.failed.append)
    owner.tasks.later("observers", 0.001, bug)
    await until(lambda: bool(owner.told))
    assert owner.failed == [BUG]
    assert [record.message for record in caplog.records] == owner.told


async def test_an_owner_whose_own_callback_raises_keeps_its_tasks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = 0

    def refuse(_text: str) -> None:
        raise KeyError("no")

    async def work() -> None:
        nonlocal runs
        runs += 1
        raise BUG

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    tasks = BackgroundTasks(refuse, sleep=at_once)
    tasks.keep("sender", work)
    await until(lambda: runs > 2)
    assert "a callback for warnings raised" in caplog.text
    await tasks.stop()


async def test_a_trouble_of_our_own_is_logged_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = Owner()

    async def away() -> None:
        raise UnreachableError("Core is away")

    owner.tasks.once("loader", away())
    owner.tasks.once("sender", fail())
    await until(lambda: len(owner.told) == 2)
    assert [record.exc_info is None for record in caplog.records] == [True, False]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_what_fails_beside_other_work_ends_that_with_its_error() -> None:
    with pytest.raises(ZeroDivisionError):
        async with beside("lamp", fail()):
            await asyncio.Event().wait()
    # Nothing of the cancellation is left over.
    await asyncio.sleep(0)


async def test_what_runs_beside_other_work_ends_with_it() -> None:
    ended: list[bool] = []

    async def shine() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async with beside("lamp", shine()):
        await asyncio.sleep(0)
    assert ended == [True]


async def test_what_fails_while_it_is_ended_takes_nothing_from_the_other_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("no lamp")

    async def fail_soon() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with beside("lamp", fail_at_the_end()):
            await fail_soon()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert "no lamp" in caplog.text


async def test_a_cancellation_from_outside_stays_one_beside_a_failure() -> None:
    async def work() -> None:
        async with beside("lamp", fail()):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_must_end_ends_though_its_caller_is_gone_and_says_if_it_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    may_end = asyncio.Event()

    async def write() -> None:
        await may_end.wait()
        raise BUG

    caller = asyncio.create_task(to_its_end("write", write()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    may_end.set()
    await until(lambda: "the write failed" in caplog.text)


STARTERS = {
    "create_task", "ensure_future", "call_later", "call_at", "Thread", "Timer", "TaskGroup",
    "create_subprocess_exec", "shield",
}  # fmt: skip
ALLOWED = {
    # It is the one that supervises.
    "supervision.py": {"create_task", "call_later", "shield"},
    # A group ends with the first error of its tasks, and raises it.
    "replay/runner.py": {"TaskGroup", "create_task"},
    # The thread of the event loop; `test_blocking_client.py` kills it.
    "client/blocking_client.py": {"Thread"},
    # Of futures, not of tasks.
    "printer/mqtt_source.py": {"shield"},
    "shared_state/edit_batch.py": {"shield"},
    "shared_state/order_commands.py": {"shield"},
}


def test_no_other_module_starts_a_task_a_timer_or_a_thread() -> None:
    root = Path(client_sdk.__file__).parent
    found: dict[str, set[str]] = {}
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            names = {name} if isinstance(node, ast.Attribute | ast.Name) else set()
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
            for one in names & STARTERS:
                found.setdefault(path.relative_to(root).as_posix(), set()).add(str(one))
    assert found == ALLOWED
