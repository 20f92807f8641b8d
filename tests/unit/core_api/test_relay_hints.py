"""A relay that relies on hints: one wakes it, and what a lost one should have told of is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from core_api.kafka.messages import Message, PublishResult
from core_api.relay import pacing
from core_api.relay.cycle import OutboxReading
from core_api.relay.metrics import RelayMetrics
from core_api.relay.relay import Relay
from tests.unit.core_api.test_relay import Answers, Parts
from tests.unit.core_api.test_relay_independence import OTHER, SLOW, Database, Guard, Kafka

HOUR_S = 3600.0


class Counting(Database):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.fences: list[Mapping[int, int]] = []

    async def read(self, fences: Mapping[int, int], rows_per_shard: int) -> OutboxReading | None:
        self.reads += 1
        return await super().read(fences, rows_per_shard)

    async def delete(self, fences: Mapping[int, int], ids: Sequence[int], epoch: str) -> int:
        self.fences.append(fences)
        return await super().delete(fences, ids, epoch)


class SmallBatches(Kafka):
    """Takes one message at a time."""

    async def send(self, parts: Parts) -> Answers:
        first: dict[int, Sequence[Message]] = {at: messages[:1] for at, messages in parts.items()}
        answers = await super().send(first)
        assert all(answer.result() == PublishResult({at: 1}) for at, answer in answers.items())
        return answers


@asynccontextmanager
async def relying(database: Database, kafka: Kafka | None = None) -> AsyncIterator[Relay]:
    """A relay that knows that hints arrive, renews its leases once in hours, and is at rest."""
    kafka = kafka or Kafka()
    relay = Relay(
        database,
        kafka,
        Guard(),
        relay_id="me",
        partitions=2,
        lease_ttl_s=10 * HOUR_S,
        clock=asyncio.get_running_loop().time,
        metrics=RelayMetrics(CollectorRegistry()),
        hinted=lambda: True,
    )
    running = asyncio.create_task(relay.run())
    try:
        async with asyncio.timeout(20):
            while not (kafka.marks(SLOW) and kafka.marks(OTHER)):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        yield relay
    finally:
        relay.stop()
        await running


def let_watermarks_be_due_in_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "WATERMARK_IDLE_S", HOUR_S)
    monkeypatch.setattr(pacing, "WATERMARK_ACTIVE_S", HOUR_S)


async def test_an_event_whose_hint_was_lost_is_published_with_the_next_watermark() -> None:
    database = Database()
    async with relying(database):
        for number in range(1, 4):
            await database.put(number % 2, number)
            await database.until_gone(number)


async def test_a_hint_wakes_the_relay_long_before_a_watermark_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_watermarks_be_due_in_an_hour(monkeypatch)
    database = Database()
    async with relying(database) as relay:
        for number in range(1, 4):
            await database.put(number % 2, number)
            relay.hint()
            await database.until_gone(number)


async def test_after_a_lost_hint_events_are_found_long_before_a_watermark_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = Database()
    async with relying(database):
        await database.put(SLOW, 1)
        await database.until_gone(1)
        let_watermarks_be_due_in_an_hour(monkeypatch)
        for number in range(2, 5):
            await database.put(number % 2, number)
            await database.until_gone(number)


async def test_an_event_with_a_hint_takes_one_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_watermarks_be_due_in_an_hour(monkeypatch)
    database = Counting()
    async with relying(database) as relay:
        await _until_at_rest()
        before = database.reads
        for number in range(1, 4):
            await database.put(number % 2, number)
            relay.hint()
            await database.until_gone(number)
            await _until_at_rest()
        assert database.reads - before == 3


async def test_a_watermark_beside_an_event_locks_no_other_shards_lease() -> None:
    database = Counting()
    await database.put(OTHER, 1)
    async with relying(database):
        await database.until_gone(1)
    assert [list(fences) for fences in database.fences] == [[OTHER]]


async def test_what_did_not_fit_into_a_batch_is_sent_without_another_hint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_watermarks_be_due_in_an_hour(monkeypatch)
    database, kafka = Database(), SmallBatches()
    async with relying(database, kafka) as relay:
        await database.put(SLOW, 1, 2, 3)
        relay.hint()
        await database.until_gone(1, 2, 3)
    assert kafka.events(SLOW) == ["store:0@1", "store:0@2", "store:0@3"]


async def _until_at_rest() -> None:
    """Until whatever it does without waiting for a time is done."""
    for _ in range(50):
        await asyncio.sleep(0)
