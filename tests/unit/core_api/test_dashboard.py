"""The sampler behind the ops page: looks once for all viewers, and only while there are some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core_api.dashboard.figures import Figures, Round
from core_api.dashboard.processes import ProcessKind, ProcessReading
from core_api.dashboard.sampler import Farewell, Moments, ReadRound, Sampler, Welcome
from core_api.errors import OverloadedError
from core_api.overload import Bound

METRIC = "yabam_events_streams_open_count"


class World:
    """What is looked at; each look waits for `turn`."""

    def __init__(self, kind: ProcessKind = "events") -> None:
        self._kind = kind
        self.looks = 0
        self.open = 0
        self.turns: asyncio.Queue[int | BaseException] = asyncio.Queue()

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[ReadRound]:
        self.open += 1
        try:
            yield self._look
        finally:
            self.open -= 1

    async def _look(self) -> Round:
        self.looks += 1
        turn = await self.turns.get()
        if isinstance(turn, BaseException):
            raise turn
        reading = ProcessReading("e", self._kind, "ready", "", {METRIC: {(): turn}})
        return Round(float(self.looks), self.looks, [reading], None, "")

    async def until(self, looks: int) -> None:
        while self.looks < looks:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def nothing_before() -> Moments:
    return []


def sampler(world: World, limit: int = 9, linger_s: float = 0.0) -> Sampler:
    bound = Bound(limit, "viewers", lambda low, _high: low)
    return Sampler(world.looking, nothing_before, 3, "", bound, period_s=0.0, linger_s=linger_s)


async def next_figures(watch: AsyncIterator[Welcome | Figures | Farewell]) -> int | None:
    figures = await anext(watch)
    assert isinstance(figures, Figures)
    return figures.connections


async def test_all_viewers_are_fed_by_one_look() -> None:
    world = World()
    one = sampler(world)
    with one.viewer(), one.viewer():
        first, second = one.watch(60), one.watch(60)
        assert isinstance(await anext(first), Welcome)
        assert isinstance(await anext(second), Welcome)
        world.turns.put_nowait(5)
        assert [await next_figures(first), await next_figures(second)] == [5, 5]
        await world.until(2)
        assert world.open == 1
        assert world.looks == 2, "the next is under way"


async def test_a_viewer_that_was_slow_gets_the_newest_and_none_of_what_it_missed() -> None:
    world = World()
    one = sampler(world)
    with one.viewer():
        watch = one.watch(60)
        await anext(watch)
        for streams in (1, 2, 3):
            world.turns.put_nowait(streams)
        await world.until(4)
        assert await next_figures(watch) == 3


async def test_one_that_comes_later_is_told_the_points_before() -> None:
    world = World()
    one = sampler(world)
    with one.viewer():
        for streams in (1, 2, 3):
            world.turns.put_nowait(streams)
        await world.until(4)
        welcome = await anext(one.watch(60))
    assert isinstance(welcome, Welcome)
    assert [point.connections for point in welcome.points] == [1, 2, 3]
    assert welcome.nodes == 3


async def test_nothing_is_looked_at_once_the_last_viewer_has_left() -> None:
    world = World()
    one = sampler(world)
    with one.viewer():
        with one.viewer():
            await world.until(1)
        await asyncio.sleep(0)
        assert world.open == 1
    while world.open:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert world.looks == 1


async def test_a_viewer_that_comes_back_soon_finds_the_points_still_there() -> None:
    world = World()
    one = sampler(world, linger_s=60)
    with one.viewer():
        world.turns.put_nowait(7)
        await world.until(2)
    with one.viewer():
        welcome = await anext(one.watch(60))
    assert isinstance(welcome, Welcome)
    assert [point.connections for point in welcome.points] == [7]
    one.stop()


async def test_leaving_and_coming_back_at_once_stops_nothing() -> None:
    world = World()
    one = sampler(world, linger_s=0)
    with one.viewer():
        await world.until(1)
    with one.viewer():
        watch = one.watch(60)
        await anext(watch)
        for _ in range(10):
            await asyncio.sleep(0.001)
        world.turns.put_nowait(4)
        assert await next_figures(watch) == 4


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError()])
async def test_a_look_that_fails_ends_nothing(error: BaseException) -> None:
    world = World()
    one = sampler(world)
    with one.viewer():
        watch = one.watch(60)
        await anext(watch)
        world.turns.put_nowait(error)
        world.turns.put_nowait(4)
        async with asyncio.timeout(10):
            assert await next_figures(watch) == 4


async def test_a_sampler_that_cannot_begin_to_look_tries_again() -> None:
    world = World()
    works, failures = world.looking, iter([RuntimeError("a bug")])

    @asynccontextmanager
    async def fails_once() -> AsyncIterator[ReadRound]:
        for failure in failures:
            raise failure
        async with works() as look:
            yield look

    bound = Bound(9, "viewers", lambda low, _high: low)
    one = Sampler(fails_once, nothing_before, 3, "", bound, period_s=0.0, linger_s=0.0)
    with one.viewer():
        watch = one.watch(60)
        await anext(watch)
        world.turns.put_nowait(4)
        async with asyncio.timeout(10):
            assert await next_figures(watch) == 4


async def test_a_sampler_that_is_killed_from_inside_begins_anew() -> None:
    world = World()
    bound = Bound(9, "viewers", lambda low, _high: low)
    one = Sampler(world.looking, nothing_before, 3, "", bound, period_s=0.1, linger_s=0.0)
    with one.viewer():
        watch = one.watch(60)
        await anext(watch)
        world.turns.put_nowait(3)
        assert await next_figures(watch) == 3
        (task,) = [each for each in asyncio.all_tasks() if each.get_name() == "ops-sampler"]
        waits_for = task._fut_waiter  # type: ignore[attr-defined]  # it sleeps until the next look
        waits_for.set_exception(ZeroDivisionError("a bug"))
        world.turns.put_nowait(4)
        async with asyncio.timeout(10):
            assert await next_figures(watch) == 4


async def test_what_was_wrong_before_the_first_viewer_lasts_since_then() -> None:
    async def before() -> Moments:
        return [(-120_000, []), (-60_000, ["unwatched"])]

    world = World("core")
    bound = Bound(9, "viewers", lambda low, _high: low)
    one = Sampler(world.looking, before, 3, "", bound, period_s=0.0, linger_s=0.0)
    with one.viewer():
        world.turns.put_nowait(1)
        (alert,) = (await one.now()).alerts
    assert alert.since_ms == -60_000


async def test_who_only_asks_once_gets_figures_without_being_a_viewer() -> None:
    world = World()
    one = sampler(world, limit=1)
    with one.viewer():
        world.turns.put_nowait(7)
        assert (await one.now()).connections == 7
    world = World()
    alone = sampler(world)
    world.turns.put_nowait(8)
    assert (await alone.now()).connections == 8
    while world.open:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_a_stream_ends_at_the_end_of_its_life() -> None:
    one = sampler(World())
    with one.viewer():
        watch = one.watch(0)
        await anext(watch)
        assert await anext(watch) == Farewell("timeout", 100)
        with pytest.raises(StopAsyncIteration):
            await anext(watch)


async def test_a_process_that_stops_says_goodbye_to_all() -> None:
    world = World()
    one = sampler(world)
    with one.viewer():
        watch = one.watch(60)
        await anext(watch)
        waiting = asyncio.ensure_future(anext(watch))
        await world.until(1)
        one.stop()
        assert await waiting == Farewell("drain", 1000)


async def test_there_are_no_more_viewers_than_the_bound() -> None:
    one = sampler(World(), limit=1)
    with one.viewer(), pytest.raises(OverloadedError), one.viewer():
        pass
    with one.viewer():
        pass
