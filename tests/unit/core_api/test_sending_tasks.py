"""The tasks that send: how many at once, and what those that fail leave to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, Gauge

from core_api.sending_tasks import SendingTasks
from server_common.short_tasks import CancelledInsideError


@dataclass(frozen=True, eq=False)
class Item:
    tries: int
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Rig:
    """Items that are due, and tasks that end when their item is answered."""

    def __init__(self, limit: int) -> None:
        self.registry = CollectorRegistry()
        gauge = Gauge("under_way", "Tasks", registry=self.registry)
        self.due: list[Item] = []
        self.asked: list[tuple[int, bool]] = []
        self.ended = 0
        self.one_ended = asyncio.Event()
        self.failed: list[tuple[Item, type[BaseException]]] = []
        self.tasks: SendingTasks[Item] = SendingTasks(
            limit,
            gauge,
            lambda item, error: self.failed.append((item, type(error))),
            self._one_ended,
        )

    def _one_ended(self) -> None:
        self.ended += 1
        self.one_ended.set()

    async def take(self, limit: int, failing: bool) -> Sequence[Item]:
        self.asked.append((limit, failing))
        taken = [item for item in self.due if (item.tries > 0) == failing][:limit]
        self.due = [item for item in self.due if item not in taken]
        return taken

    async def send(self, item: Item) -> None:
        await item.answered.wait()

    async def fill(self) -> None:
        await self.tasks.fill(self.take, self.send)

    @property
    def under_way(self) -> float | None:
        return self.registry.get_sample_value("under_way")


async def test_as_many_begin_as_there_is_room_for() -> None:
    rig = Rig(4)
    rig.due = [Item(0) for _ in range(6)]
    await rig.fill()
    await rig.fill()
    assert (len(rig.tasks.held), rig.under_way, len(rig.due)) == (4, 4, 2)
    # While there is no room at all, nobody is asked.
    assert rig.asked == [(4, False)]
    await rig.tasks.cancel()


async def test_those_that_fail_have_half_of_the_room_at_most() -> None:
    rig = Rig(4)
    rig.due = [Item(1) for _ in range(6)]
    await rig.fill()
    await rig.fill()
    assert [item.tries for item in rig.tasks.held] == [1, 1]
    rig.due += [Item(0) for _ in range(6)]
    await rig.fill()
    assert sorted(item.tries for item in rig.tasks.held) == [0, 0, 1, 1]
    await rig.tasks.cancel()


async def test_those_that_fail_take_no_room_from_those_that_answer() -> None:
    rig = Rig(4)
    rig.due = [Item(0), Item(0), Item(0), Item(1), Item(1)]
    await rig.fill()
    assert sorted(item.tries for item in rig.tasks.held) == [0, 0, 0, 1]
    assert rig.asked == [(4, False), (1, True)]
    await rig.tasks.cancel()


async def test_one_that_has_ended_makes_room_and_is_told() -> None:
    rig = Rig(2)
    rig.due = [Item(0) for _ in range(3)]
    await rig.fill()
    first = rig.tasks.held[0]
    first.answered.set()
    await rig.one_ended.wait()
    assert (first in rig.tasks.held, rig.ended, rig.under_way) == (False, 1, 1)
    await rig.fill()
    assert (len(rig.tasks.held), rig.due) == (2, [])
    await rig.tasks.cancel()


async def test_all_that_are_under_way_are_waited_for() -> None:
    rig = Rig(2)
    rig.due = [Item(0), Item(0)]
    await rig.fill()
    waiting = asyncio.create_task(rig.tasks.wait())
    for item in rig.tasks.held:
        await asyncio.sleep(0)
        assert not waiting.done()
        item.answered.set()
    await waiting
    assert (rig.tasks.held, rig.ended) == ([], 2)


async def test_what_is_cancelled_has_ended() -> None:
    rig = Rig(2)
    rig.due = [Item(0), Item(0)]
    await rig.fill()
    await rig.tasks.cancel()
    assert (rig.tasks.held, rig.ended, rig.under_way) == ([], 2, 0)


async def test_what_was_taken_is_sent_though_the_next_look_fails() -> None:
    rig = Rig(4)
    rig.due = [Item(0)]

    async def take(limit: int, failing: bool) -> Sequence[Item]:
        if failing:
            raise ConnectionError
        return await rig.take(limit, failing)

    with pytest.raises(ConnectionError):
        await rig.tasks.fill(take, rig.send)
    assert len(rig.tasks.held) == 1
    await rig.tasks.cancel()


@pytest.mark.parametrize(
    ("bug", "told"),
    [
        (ZeroDivisionError("a bug"), ZeroDivisionError),
        (asyncio.CancelledError("a library has lost a future"), CancelledInsideError),
    ],
)
async def test_one_that_fails_by_a_bug_is_told_and_stops_no_other(
    bug: BaseException, told: type[BaseException]
) -> None:
    rig = Rig(2)
    rig.due = [Item(0), Item(0)]
    broken = rig.due[0]

    async def send(item: Item) -> None:
        if item is broken:
            raise bug
        await rig.send(item)

    await rig.tasks.fill(rig.take, send)
    await rig.one_ended.wait()
    assert (broken in rig.tasks.held, len(rig.tasks.held)) == (False, 1)
    await rig.tasks.cancel()
    assert rig.failed == [(broken, told)], "what we cancel has not failed"
