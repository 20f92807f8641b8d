"""Batches of partitions go on by themselves: what stalls is paused, and the others are read on."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from core_api.ingest import under_way
from core_api.ingest.under_way import UnderWay, at_once
from server_common.kafka.raw_records import LeftOut, ReadRecord, Record
from server_common.limits import INGEST_BYTES
from server_common.short_tasks import CancelledInsideError

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


class Consumer:
    """What a consumer has, and what of it is paused."""

    def __init__(self) -> None:
        self.mine = {A, B}
        self.asleep: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return self.mine

    def paused(self) -> set[TopicPartition]:
        return self.asleep & self.mine

    def pause(self, partition: TopicPartition) -> None:
        assert partition in self.mine
        self.asleep.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        assert partition in self.mine
        self.asleep.discard(partition)


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    monkeypatch.setattr(under_way, "ROUND_S", 0.01)
    monkeypatch.setattr(under_way, "HAND_OVER_S", 0.01)
    return Consumer()


def of(consumer: Consumer, now: list[float] | None = None, limit: int = 0) -> UnderWay:
    clock = now or [0.0]
    return UnderWay(cast(AIOKafkaConsumer, consumer), lambda: clock[0], limit)


async def until(event: asyncio.Event) -> None:
    await event.wait()


async def test_a_batch_that_takes_long_is_paused_until_it_is_done(consumer: Consumer) -> None:
    batches, done = of(consumer), asyncio.Event()
    batches.start(A, [record(1)], until(done))
    batches.start(B, [record(1)], asyncio.sleep(0))
    await batches.settle()
    assert (set(batches.partitions), consumer.asleep) == ({A}, {A})
    done.set()
    await batches.finish()
    assert (set(batches.partitions), consumer.asleep) == (set(), set())


async def test_a_batch_that_stalls_is_waited_for_once(consumer: Consumer) -> None:
    batches, done = of(consumer), asyncio.Event()
    batches.start(A, [record(1)], until(done))
    await batches.settle()
    loop = asyncio.get_running_loop()
    seen: list[str] = []
    loop.call_soon(seen.append, "others had their turn")
    await batches.settle()  # nothing but what stalls is under way, so it returns at once
    assert not seen
    await batches.give_up()


async def test_what_a_batch_failed_with_is_told_by_the_next_round(consumer: Consumer) -> None:
    batches = of(consumer)

    async def fail() -> None:
        raise ZeroDivisionError

    batches.start(A, [record(1)], fail())
    with pytest.raises(ZeroDivisionError):
        await batches.settle()
    await batches.settle()


async def test_a_new_division_of_the_partitions_ends_what_does_not_end_by_itself(
    consumer: Consumer,
) -> None:
    batches, quick = of(consumer), asyncio.Event()
    batches.start(A, [record(1)], until(asyncio.Event()))
    batches.start(B, [record(1)], until(quick))
    ended: list[str] = []
    (last,) = batches._batches[B]
    last.task.add_done_callback(lambda task: ended.append(str(task.cancelled())))
    quick.set()
    await batches.on_partitions_revoked({A, B})
    assert (list(batches.partitions), ended) == ([], ["False"])
    consumer.mine = {B}
    await batches.settle()


async def test_what_was_taken_away_is_not_read_on(consumer: Consumer) -> None:
    batches, done = of(consumer), asyncio.Event()
    batches.start(A, [record(1)], until(done))
    consumer.mine = {B}
    await batches.settle()
    done.set()
    await batches.finish()
    assert consumer.asleep == set()


async def test_a_batch_counts_as_stalled_after_its_time(consumer: Consumer) -> None:
    now = [100.0]
    batches = of(consumer, now)
    batches.start(A, [record(1)], until(asyncio.Event()))
    assert batches.stalled == 0
    now[0] += under_way.STALLED_S
    assert batches.stalled == 1
    await batches.give_up()


def record(size: int, offset: int = 1) -> ReadRecord:
    return Record("t", 0, offset, 1, None, bytes(size), ())


async def test_a_partition_is_read_on_while_there_is_room_for_what_waits(
    consumer: Consumer,
) -> None:
    batches, first, second = of(consumer, limit=3), asyncio.Event(), asyncio.Event()
    batches.start(A, [record(1, 7), record(1, 8)], until(first))
    await batches.settle()
    assert (consumer.asleep, batches.read_to(A), batches.read_to(B)) == (set(), 9, None)
    batches.start(A, [record(1, 9)], until(second))
    await batches.settle()
    assert (consumer.asleep, batches.read_to(A)) == ({A}, 10)
    first.set()
    second.set()
    await batches.finish()
    assert consumer.asleep == set()


async def test_a_partition_is_read_on_while_what_waits_is_small(consumer: Consumer) -> None:
    batches = of(consumer, limit=100)
    batches.start(A, [record(INGEST_BYTES // 2, 1)], until(asyncio.Event()))
    await batches.settle()
    assert consumer.asleep == set()
    batches.start(A, [record(INGEST_BYTES // 2, 2)], until(asyncio.Event()))
    await batches.settle()
    assert consumer.asleep == {A}
    await batches.give_up()


async def test_batches_that_end_at_once_are_all_heard_of(consumer: Consumer) -> None:
    batches, now = of(consumer, limit=100), asyncio.Event()

    async def fail() -> None:
        await now.wait()
        raise ZeroDivisionError

    batches.start(A, [record(1, 1)], until(now))
    batches.start(A, [record(1, 2)], fail())
    await batches.settle()
    now.set()
    with pytest.raises(ZeroDivisionError):
        await batches.finish()
    assert not batches.partitions


async def test_no_offset_passes_a_batch_that_is_not_dealt_with(consumer: Consumer) -> None:
    batches, first = of(consumer, limit=100), asyncio.Event()
    batches.start(A, [record(1, 1)], until(first))
    batches.start(A, [record(1, 2)], asyncio.sleep(0))
    batches.start(A, [record(1, 3)], until(asyncio.Event()))
    assert batches.dealt_with(A, 3) is None
    await batches.settle()
    assert batches.dealt_with(A, 2) == 3, "with what was done before it"
    assert batches.read_to(A) == 4
    await batches.give_up()
    assert batches.dealt_with(A, 4) is None


def test_only_so_many_bytes_of_a_partition_are_under_way() -> None:
    part = INGEST_BYTES // 4
    assert len(at_once([record(part)] * 4)) == 4
    assert len(at_once([record(part)] * 9)) == 4
    assert len(at_once([LeftOut(1, 2, "damaged", bytes(3 * part), None), *[record(part)] * 3])) == 2


def test_a_record_that_is_larger_is_under_way_alone() -> None:
    large = record(2 * INGEST_BYTES)
    assert at_once([large, large]) == [large]
    assert at_once([large]) == [large]


async def test_a_batch_that_is_cancelled_from_inside_has_failed(consumer: Consumer) -> None:
    batches = of(consumer)

    async def lost() -> None:
        raise asyncio.CancelledError("a library has lost a future")

    batches.start(A, [record(1)], lost())
    with pytest.raises(CancelledInsideError):
        await batches.settle()
