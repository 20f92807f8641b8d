"""What devices report is stored in batches, and one report that cannot be stored harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.channel import Channel
from client_sdk.contract.device import DeviceReport
from core_api.access.callers import Caller
from core_api.errors import UnavailableError
from core_api.receipts.devices import BATCH, DeviceLog, Sighting, applied_for_certain, sightings_of

OWNER = Caller("o", "owner", frozenset({"*"}))


class Table:
    """Stores reports; refuses a statement that has one of these devices in it."""

    def __init__(self, refused: Sequence[str] = ()) -> None:
        self.refused = set(refused)
        self.stored: dict[str, Sighting] = {}
        self.statements = 0
        self.largest = 0
        self.is_there = True

    async def store(self, batch: Sequence[Sighting]) -> None:
        self.statements += 1
        self.largest = max(self.largest, len(batch))
        if not self.is_there:
            raise UnavailableError("the database does not answer")
        if self.refused & {one.device for one in batch}:
            raise ValueError("this one is poison")
        self.stored |= {one.device: one for one in batch}

    async def listed(self, _store_id: str) -> list[object]:
        return []


def report(device: str, applied: int = 1) -> Sighting:
    return Sighting("1", device, "o", "live", "E1", applied)


def log_of(table: Table, dropped: list[None]) -> DeviceLog:
    listed: object = table.listed
    return DeviceLog(table.store, listed, lambda: dropped.append(None))  # type: ignore[arg-type]


@given(st.integers(1, 60), st.sets(st.integers(0, 59)))
def test_what_the_database_refuses_is_dropped_alone_and_counted(
    count: int, poison: set[int]
) -> None:
    names = [f"d{n}" for n in range(count)]
    bad = {f"d{n}" for n in poison} & set(names)
    table, dropped = Table(tuple(bad)), list[None]()

    async def scenario() -> None:
        log = log_of(table, dropped)
        log.saw([report(name) for name in names])
        await log.flush()
        first = table.statements
        await log.flush()
        assert table.statements == first, "nothing comes again"

    asyncio.run(scenario())
    assert set(table.stored) == set(names) - bad
    assert len(dropped) == len(bad)


async def test_what_could_not_be_stored_for_want_of_a_database_is_stored_later() -> None:
    table, dropped = Table(), list[None]()
    log = log_of(table, dropped)
    table.is_there = False
    log.saw([report("a", 1), report("b", 1)])
    with pytest.raises(UnavailableError):
        await log.flush()
    log.saw([report("a", 2)])
    table.is_there = True
    await log.flush()
    assert {name: one.applied for name, one in table.stored.items()} == {"a": 2, "b": 1}
    assert dropped == []


class Held(Table):
    """Stores nothing before `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def store(self, batch: Sequence[Sighting]) -> None:
        self.begun.set()
        await self.go.wait()
        await super().store(batch)


async def test_what_another_flush_is_storing_is_stored_when_this_one_returns() -> None:
    table = Held()
    log = log_of(table, [])
    log.saw([report("a")])
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(log.flush())
        await table.begun.wait()
        second = tasks.create_task(log.flush())
        await asyncio.wait([second], timeout=0.01)
        assert not second.done()
        table.go.set()
        await second
        assert set(table.stored) == {"a"}
        await first


async def test_a_flush_that_is_cancelled_leaves_its_reports_for_the_next() -> None:
    table = Held()
    log = log_of(table, [])
    log.saw([report("a")])
    asked = asyncio.create_task(log.flush())
    await table.begun.wait()
    asked.cancel()
    await asyncio.wait([asked])
    table.go.set()
    await log.flush()
    assert set(table.stored) == {"a"}


async def test_a_statement_stores_no_more_than_it_can() -> None:
    table = Table()
    log = log_of(table, [])
    log.saw([report(f"d{n}") for n in range(2 * BATCH + 5)])
    await log.flush()
    assert (table.statements, table.largest, len(table.stored)) == (3, BATCH, 2 * BATCH + 5)


@pytest.mark.parametrize(
    ("seq", "pending", "head", "applied"),
    [(3, 0, 5, 3), (5, 0, 5, 5), (5, 2, 5, 3), (1, 2, 5, 0), (6, 0, 5, 0), (2**63 - 1, 0, 5, 0),
     (7, 3, 5, 0)],
)  # fmt: skip
def test_a_cursor_beyond_the_head_has_applied_nothing_of_this_log(
    seq: int, pending: int, head: int, applied: int
) -> None:
    assert applied_for_certain(seq, pending, head) == applied


def test_each_store_of_an_owner_is_seen_with_the_head_of_its_own_channel() -> None:
    after = {Channel("store", "1"): 4, Channel("store", "2"): 4, Channel("table", "1", "5"): 4,
             Channel("store", "3"): None}  # fmt: skip
    heads = {"store:1": 4, "store:2": 3, "table:1/5": 9, "store:3": 7}
    found = sightings_of(OWNER, DeviceReport("till-1", "live", 1), after, "E1", heads)
    assert [(one.store_id, one.applied) for one in found] == [("1", 3), ("2", 0), ("3", None)]
