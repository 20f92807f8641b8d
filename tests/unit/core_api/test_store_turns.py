"""A store of which a row is held locked waits by itself, and what it says stays in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from core_api.errors import LockedError, UnavailableError
from core_api.ingest.by_key import Lanes, apply_by_key
from core_api.ingest.inbound_commands import InboundRecord
from core_api.ingest.store_turns import LONGEST_REST_S, StoreTurns
from core_api.ingest.telling import Telling
from server_common.devices.messages import Outbound
from server_common.short_tasks import CancelledInsideError


class Rows:
    """Rows that are held locked, and how many tries of each store are under way."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.tries: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.done: list[str] = []
        self.rests: list[float] = []
        self.retries = 0
        self.turns = StoreTurns(self._rest, self._retried, 3)

    async def _rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        await asyncio.sleep(0)

    def _retried(self) -> None:
        self.retries += 1

    def write(self, store: str, row: str) -> asyncio.Task[str]:
        """A write of a row, which takes a moment."""

        async def once() -> str:
            self.tries[store] = self.tries.get(store, 0) + 1
            self.most[store] = max(self.most.get(store, 0), self.tries[store])
            await asyncio.sleep(0)
            self.tries[store] -= 1
            if row in self.held:
                raise LockedError("held")
            self.done.append(row)
            return row

        return asyncio.create_task(self.turns.until_free(store, once))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_a_store_that_is_held_leaves_room_for_all_others() -> None:
    rows = Rows()
    rows.held = {f"a{n}" for n in range(10)}
    waiting = [rows.write("a", row) for row in sorted(rows.held)]
    await rows.until(lambda: rows.retries > 10)
    rows.most.clear()
    others = [rows.write("b", f"b{n}") for n in range(10)]
    await asyncio.gather(*others)
    await rows.until(lambda: rows.retries > 30)
    assert rows.most["a"] == 1 < rows.most["b"]
    assert max(rows.rests) == LONGEST_REST_S
    rows.held.clear()
    await asyncio.gather(*waiting)
    rows.most.clear()
    await asyncio.gather(*(rows.write("a", f"c{n}") for n in range(10)))
    assert rows.most["a"] == 3, "free again, it is treated as all others are"


async def test_a_row_that_is_held_does_not_hold_the_other_rows_of_its_store() -> None:
    rows = Rows()
    rows.held = {"a0"}
    first = rows.write("a", "a0")
    await rows.until(lambda: rows.retries > 1)
    others = [rows.write("a", f"a{n}") for n in range(1, 20)]
    # Those that met no lock before try at once, which is as it is with any row that is free.
    await asyncio.gather(*others)
    assert not first.done()
    rows.held.clear()
    assert await first == "a0"


async def test_what_else_fails_is_told_and_the_next_one_has_its_turn() -> None:
    rows = Rows()
    rows.held = {"a0"}
    first = rows.write("a", "a0")
    await rows.until(lambda: rows.retries > 1)

    async def fail() -> None:
        raise UnavailableError("away")

    with pytest.raises(UnavailableError):
        await rows.turns.until_free("a", fail)
    rows.held.clear()
    assert await first == "a0"


def record(n: int, key: bytes, partition: int = 0) -> InboundRecord:
    return InboundRecord("in", partition, n, 1, key, b"", [])


class Worker:
    """Applies records; those of held keys wait, and those of bad ones fail."""

    def __init__(self) -> None:
        self.lanes = Lanes()
        self.applied: list[int] = []
        self.gates: dict[bytes, asyncio.Event] = {}
        self.bad: set[bytes] = set()
        self.bug: BaseException = ZeroDivisionError("a bug")

    def batch(self, *records: InboundRecord) -> asyncio.Task[None]:
        return asyncio.create_task(self.lanes.apply(records, self.apply))

    async def apply(self, record: InboundRecord) -> None:
        gate = self.gates.get(record.key or b"")
        if gate is not None:
            await gate.wait()
        if record.key in self.bad:
            raise self.bug
        self.applied.append(record.offset)


async def test_batches_go_on_beside_each_other_and_a_key_stays_in_order() -> None:
    worker = Worker()
    worker.gates[b"a"] = asyncio.Event()
    first = worker.batch(record(1, b"a"), record(2, b"b"))
    second = worker.batch(record(3, b"b"), record(4, b"a"), record(5, b"a"))
    third = worker.batch(record(6, b"b"), record(7, b"a", partition=1))
    await asyncio.wait([third], timeout=0.01)
    assert (worker.applied, first.done(), second.done()) == ([2, 3, 6], False, False)
    worker.gates[b"a"].set()
    await asyncio.gather(first, second, third)
    assert [n for n in worker.applied if n in (1, 4, 5)] == [1, 4, 5]


async def test_what_stands_behind_a_batch_that_was_given_up_is_not_applied() -> None:
    worker = Worker()
    worker.gates[b"a"], worker.bad = asyncio.Event(), {b"a"}
    first, second = worker.batch(record(1, b"a")), worker.batch(record(2, b"a"))
    third = worker.batch(record(3, b"b"))
    await third
    worker.gates[b"a"].set()
    for task, error in ((first, ZeroDivisionError), (second, UnavailableError)):
        with pytest.raises(ExceptionGroup) as raised:
            await task
        assert raised.group_contains(error)
    worker.bad.clear()
    await worker.batch(record(1, b"a"))
    assert worker.applied == [3, 1], "delivered again, it is applied as if nothing had been"


async def test_a_batch_with_a_record_that_was_cancelled_from_inside_is_not_done() -> None:
    worker = Worker()
    worker.bug, worker.bad = asyncio.CancelledError("a library has lost a future"), {b"a"}
    with pytest.raises(ExceptionGroup) as raised:
        await worker.batch(record(1, b"a"), record(2, b"b"))
    assert raised.group_contains(CancelledInsideError)
    with pytest.raises(ExceptionGroup) as raised:
        await apply_by_key([record(1, b"a"), record(2, b"b")], 2, worker.apply)
    assert raised.group_contains(CancelledInsideError)


class Kafka:
    """Takes answers, when it may."""

    def __init__(self) -> None:
        self.sent: list[list[int]] = []
        self.may = asyncio.Event()
        self.telling = Telling(self._send)

    async def _send(self, answers: Sequence[Outbound]) -> None:
        await self.may.wait()
        self.sent.append([one.n for one in answers])

    def tell(self, n: int) -> asyncio.Task[None]:
        return asyncio.create_task(self._tell(Outbound("1", "a", 1, n, "applied", None)))

    async def _tell(self, answer: Outbound) -> None:
        work: Awaitable[None] = self.telling.tell(answer)
        await work


async def test_answers_that_come_meanwhile_go_together_and_in_order() -> None:
    kafka = Kafka()
    tasks = [kafka.tell(1)]
    await asyncio.sleep(0)
    tasks += [kafka.tell(n) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    kafka.may.set()
    await asyncio.gather(*tasks)
    assert kafka.sent == [[1], [2, 3, 4]]


async def test_who_gives_up_telling_leaves_it_to_the_others() -> None:
    kafka = Kafka()
    first, second = kafka.tell(1), kafka.tell(2)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    kafka.may.set()
    await second
    assert kafka.sent == [[1, 2]], "in the order in which they came"
