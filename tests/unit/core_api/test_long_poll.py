"""Waiting syncs: woken by what they wait for, by nothing else, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core_api.errors import OverloadedError, UnavailableError
from core_api.sync.long_poll import LongPolls

LONG = 60.0


class Heads:
    """The heads as other processes left them, and how often they were asked for."""

    def __init__(self) -> None:
        self.heads: dict[str, int] = {}
        self.asked: list[dict[str, int]] = []
        self.down = 0
        self.looked = asyncio.Event()

    async def moved(self, known: dict[str, int]) -> list[str]:
        self.asked.append(known)
        self.looked.set()
        if self.down:
            self.down -= 1
            raise UnavailableError("gone")
        return [name for name, seq in known.items() if self.heads.get(name, 0) > seq]


@asynccontextmanager
async def running(
    heads: Heads, interval_s: float = LONG, limit: int = 10
) -> AsyncIterator[LongPolls]:
    tail = LongPolls(heads.moved, interval_s, limit)
    runner = asyncio.create_task(tail.run())
    try:
        async with asyncio.timeout(10):
            yield tail
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)


async def waiter(
    tail: LongPolls, known: dict[str, int], seconds: float = LONG
) -> asyncio.Task[bool]:
    """A request, once it waits."""
    before = tail.waiting
    task = asyncio.create_task(tail.wait(known, seconds))
    await asyncio.sleep(0)
    assert tail.waiting == before + 1
    return task


async def looked(heads: Heads) -> None:
    """Return once the heads were asked for again."""
    heads.looked.clear()
    await heads.looked.wait()


async def test_a_commit_in_this_process_wakes_those_who_wait_for_its_channels() -> None:
    async with running(Heads()) as tail:
        one, other = await waiter(tail, {"a": 1}), await waiter(tail, {"b": 1, "c": 1})
        tail.wake(["b", "d"])
        assert await other
        assert not one.done()
        assert tail.waiting == 1
        tail.wake(["a"])
        assert await one
        assert tail.waiting == 0


async def test_all_who_wait_for_a_channel_are_woken() -> None:
    async with running(Heads()) as tail:
        tasks = [await waiter(tail, {"a": seq}) for seq in range(5)]
        tail.wake(["a"])
        assert all(await asyncio.gather(*tasks))


async def test_a_hint_makes_it_look_and_wakes_those_whose_channel_moved() -> None:
    heads = Heads()
    async with running(heads) as tail:
        moved, still = await waiter(tail, {"a": 1}), await waiter(tail, {"b": 1})
        await looked(heads)
        heads.heads = {"a": 2, "b": 1}
        tail.hint()
        assert await moved
        assert not still.done()
        still.cancel()


async def test_an_event_between_the_callers_read_and_its_wait_is_not_missed() -> None:
    heads = Heads()
    heads.heads = {"a": 2}
    async with running(heads) as tail:
        assert await tail.wait({"a": 1}, LONG)


async def test_without_any_hint_it_looks_again_and_again() -> None:
    heads = Heads()
    async with running(heads, interval_s=0.01) as tail:
        task = await waiter(tail, {"a": 1})
        await looked(heads)
        heads.heads = {"a": 2}
        assert await task


async def test_one_query_asks_for_all_who_wait_each_channel_at_its_lowest_seq() -> None:
    heads = Heads()
    async with running(heads) as tail:
        tasks = [
            await waiter(tail, {"a": 7}),
            await waiter(tail, {"a": 3, "b": 5}),
            await waiter(tail, {"a": 9}),
        ]
        await looked(heads)
        tail.hint()
        await looked(heads)
        assert heads.asked[-1] == {"a": 3, "b": 5}
        for task in tasks:
            task.cancel()


async def test_nobody_waits_and_nothing_is_asked() -> None:
    heads = Heads()
    async with running(heads) as tail:
        tail.hint()
        for _ in range(10):
            await asyncio.sleep(0)
        assert heads.asked == []


async def test_a_wait_that_is_over_says_so_and_is_forgotten() -> None:
    async with running(Heads()) as tail:
        assert not await tail.wait({"a": 1}, 0.01)
        assert tail.waiting == 0
        tail.wake(["a"])


async def test_a_client_that_goes_away_is_forgotten() -> None:
    async with running(Heads()) as tail:
        task = await waiter(tail, {"a": 1})
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tail.waiting == 0


async def test_no_more_than_the_bound_may_wait_and_a_place_is_free_again_afterwards() -> None:
    async with running(Heads(), limit=2) as tail:
        tasks = [await waiter(tail, {"a": 1}) for _ in range(2)]
        with pytest.raises(OverloadedError) as refused:
            await tail.wait({"a": 1}, LONG)
        assert refused.value.retry_after > 0
        assert tail.waiting == 2
        tail.wake(["a"])
        await asyncio.gather(*tasks)
        assert not await tail.wait({"a": 1}, 0.01)


async def test_an_answer_about_an_earlier_seq_ends_no_wait_for_a_later_one() -> None:
    heads = Heads()
    answered, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(known: dict[str, int]) -> list[str]:
        answered.set()
        await may_answer.wait()
        return await heads.moved(known)

    heads.heads = {"a": 2}
    tail = LongPolls(slowly, LONG, 10)
    runner = asyncio.create_task(tail.run())
    async with asyncio.timeout(10):
        behind = await waiter(tail, {"a": 1})
        await answered.wait()
        ahead = await waiter(tail, {"a": 2})
        may_answer.set()
        assert await behind
        for _ in range(10):
            await asyncio.sleep(0)
        assert heads.asked[-1] == {"a": 2}
        assert not ahead.done()
        heads.heads = {"a": 3}
        tail.hint()
        assert await ahead
    runner.cancel()
    await asyncio.gather(runner, return_exceptions=True)


async def test_a_database_that_is_gone_ends_no_wait_and_is_asked_again() -> None:
    heads = Heads()
    heads.down = 3
    async with running(heads, interval_s=0.01) as tail:
        task = await waiter(tail, {"a": 1})
        heads.heads = {"a": 2}
        assert await task
        assert len(heads.asked) >= 4


async def test_at_the_stop_all_are_let_go_and_nobody_waits_any_more() -> None:
    async with running(Heads()) as tail:
        tasks = [await waiter(tail, {"a": 1}), await waiter(tail, {"b": 1})]
        tail.stop()
        await asyncio.gather(*tasks)
        assert tail.stopping
        assert tail.waiting == 0
        assert not await tail.wait({"a": 1}, LONG)
