"""An event that Kafka will never take is set aside: all others go on, and nobody misses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from core_api.kafka.topics import events_topic
from core_api.relay.outbox import Outbox
from core_api.relay.set_aside.statements import list_set_aside, retry_set_aside
from deploy.kafka.server import KafkaServer
from server_common.kafka_records.events import partition_of
from tests.integration.core_api.relaying import (
    PARTITIONS,
    Topic,
    all_arrive,
    commands,
    followed,
    place,
    put_event,
    started,
    until_empty,
)

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

POISONED = "12"
BEYOND_KAFKA = 1_200_000
SMALL_TOPIC_BYTES = 20_000
BEYOND_THE_SMALL_TOPIC = 60_000


async def make_small_topic(bootstrap: str, topic: str) -> None:
    """The events topic as somebody made it who wanted small records."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    configs = {**events_topic(topic, PARTITIONS).configs, "max.message.bytes": SMALL_TOPIC_BYTES}
    await admin.create_topics(
        [NewTopic(topic, PARTITIONS, 1, topic_configs={k: str(v) for k, v in configs.items()})]
    )
    await admin.close()


async def until_marked(pool: Pool, seen: Topic) -> None:
    """Wait until every partition has a watermark of later than now."""
    now = await pool.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    await seen.until(
        lambda: (
            len(seen.watermarks) == PARTITIONS
            and all(of[-1][1] > now for of in seen.watermarks.values())
        )
    )


@pytest.mark.kafka
@pytest.mark.parametrize(
    "small_topic", [False, True], ids=["our topic", "a topic of small records"]
)
async def test_an_event_too_large_for_kafka_stops_nobody_and_is_announced(
    pool: Pool, database_url: str, kafka_server: KafkaServer, topic: str, small_topic: bool
) -> None:
    bootstrap = kafka_server.bootstrap
    if small_topic:
        await make_small_topic(bootstrap, topic)
    size = BEYOND_THE_SMALL_TOPIC if small_topic else BEYOND_KAFKA
    on = commands(pool)
    stores = [str(number) for number in range(20)]
    for store in stores:
        await place(on, store)
    await put_event(pool, POISONED, size)
    for store in stores:
        await place(on, store)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await all_arrive(pool, seen, 60)
        await until_empty(pool)
        await until_marked(pool, seen)
        assert seen.left_out == {f"store:{POISONED}@2"}
        assert seen.repeated == 0
    (one,) = await list_set_aside(pool, 10)
    assert (one.store_id, one.channels, one.seqs) == (POISONED, ("store:12",), (2,))
    assert "large" in one.reason.lower()


@pytest.mark.kafka
async def test_many_that_kafka_will_not_take_are_set_aside_one_by_one(
    pool: Pool, database_url: str, kafka_server: KafkaServer, topic: str
) -> None:
    bootstrap = kafka_server.bootstrap
    await make_small_topic(bootstrap, topic)
    for number in range(24):
        size = BEYOND_THE_SMALL_TOPIC if number % 8 == 3 else 1_000
        await put_event(pool, POISONED, size)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await all_arrive(pool, seen, 60)
        await until_empty(pool)
    assert seen.left_out == {f"store:{POISONED}@{seq}" for seq in (4, 12, 20)}


async def test_what_was_set_aside_is_tried_again_when_asked_for(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    await put_event(pool, POISONED, BEYOND_KAFKA)
    await put_event(pool, POISONED, 100)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await all_arrive(pool, seen)
        await until_empty(pool)
        (one,) = await list_set_aside(pool, 10)
        await pool.execute("UPDATE channel_log SET body = '\"data\":1}' WHERE seq = 1")
        assert await retry_set_aside(pool, [one.id, one.id + 1]) == 1
        await seen.until(lambda: any(r.ids == ("store:12@1",) for r in seen.records))
        await until_empty(pool)
    assert await list_set_aside(pool, 10) == []


async def test_a_line_that_would_break_the_record_is_set_aside(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    await put_event(pool, POISONED, 100)
    await pool.execute("UPDATE channel_log SET body = '\"data\":' || chr(10) || '1}'")
    await put_event(pool, POISONED, 100)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await all_arrive(pool, seen)
        await until_empty(pool)
    assert seen.left_out == {f"store:{POISONED}@1"}


async def test_events_that_retention_took_away_are_announced_before_any_watermark(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    on = commands(pool)
    for _ in range(3):
        await place(on, POISONED)
    await pool.execute("DELETE FROM channel_log WHERE seq <= 2 AND channel = 'store:12'")
    await pool.execute("DELETE FROM channel_log WHERE seq = 1 AND channel = 'table:12/5'")
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await all_arrive(pool, seen)
        await until_empty(pool)
        await until_marked(pool, seen)
    assert seen.left_out == {f"{of}@{seq}" for of in ("store:12", "table:12/5") for seq in (1, 2)}
    assert await list_set_aside(pool, 10) == [], "there is nothing to try again"


async def test_only_the_owner_of_the_lease_sets_aside(pool: Pool) -> None:
    shard = partition_of(POISONED, PARTITIONS)
    await place(commands(pool), POISONED)
    old, new = Outbox(pool, "old", 5.0), Outbox(pool, "new", 5.0)
    fences = await old.claim([shard])
    reading = await old.read(fences, 10)
    assert reading is not None
    (row,) = reading.shards[shard]
    await pool.execute("UPDATE relay_leases SET expires_at = now() - interval '1 s'")
    taken = await new.claim([shard])
    assert await old.set_aside(fences, {row.id: "too large"}, reading.epoch) == 0
    assert await new.set_aside(taken, {row.id: "too large"}, "another epoch") == 0
    assert await new.set_aside(taken, {row.id: "too large"}, reading.epoch) == 1
    assert await new.set_aside(taken, {row.id: "too large"}, reading.epoch) == 0
    (one,) = await list_set_aside(pool, 10)
    assert (one.id, one.shard, one.reason) == (row.id, shard, "too large")
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
