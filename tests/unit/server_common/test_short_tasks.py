"""Short tasks: none fails unseen, whether it raises or is cancelled from inside."""

from __future__ import annotations

import asyncio

import pytest

from server_common.short_tasks import CancelledInsideError, ShortTasks, short_task


async def fails(error: BaseException) -> None:
    raise error


async def waits() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ZeroDivisionError("a bug"), ZeroDivisionError),
        (asyncio.CancelledError("lost by a library"), CancelledInsideError),
    ],
)
async def test_the_first_that_fails_is_told_and_the_others_go_on(
    error: BaseException, told: type[BaseException]
) -> None:
    tasks = ShortTasks()
    tasks.start(waits())
    tasks.start(fails(error))
    tasks.start(fails(ValueError("later")))
    with pytest.raises(told):
        await tasks.until_one_fails()
    assert len(tasks) == 1
    await tasks.cancel()
    assert len(tasks) == 0


async def test_one_that_we_cancel_has_not_failed() -> None:
    tasks = ShortTasks()
    tasks.start(waits())
    await tasks.cancel()
    failing = asyncio.create_task(tasks.until_one_fails())
    done, _ = await asyncio.wait({failing}, timeout=0)
    assert (len(tasks), done) == (0, set())
    failing.cancel()


async def test_one_that_ends_makes_room() -> None:
    tasks = ShortTasks()
    tasks.start(waits())
    tasks.start(asyncio.sleep(0))
    await tasks.until_one_ends()
    assert len(tasks) == 1
    await tasks.cancel()


async def test_work_whose_task_is_cancelled_ends_as_cancelled() -> None:
    task = short_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
