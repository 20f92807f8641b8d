"""The relay on a real Postgres and real brokers: order, watermarks, fences, odd rows."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from client_sdk.contract.order import decode_event
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import Topic, ensure_topics, events_topic
from core_api.relay.outbox import Outbox
from server_common.errors import SettingsError
from server_common.kafka_records.events import partition_of
from tests.integration.core_api.relaying import (
    PARTITIONS,
    all_arrive,
    commands,
    followed,
    place,
    put_event,
    started,
    until_empty,
    until_true,
)

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool


async def test_every_event_arrives_once_in_order_and_leaves_the_outbox(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    on = commands(pool)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await asyncio.gather(*(place(on, str(n % 7)) for n in range(200)))
        await all_arrive(pool, seen)
        await until_empty(pool)
        assert seen.repeated == 0
        assert len(seen.records) == 200
        assert set(seen.keys) == {
            (str(n).encode(), partition_of(str(n), PARTITIONS)) for n in range(7)
        }


async def test_the_record_carries_the_event_of_each_channel_as_the_log_has_it(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    note = 'a\u2028b\u0085c\nd "e" \\ 早く ✨'
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        order_id = await place(commands(pool), "12", note)
        await all_arrive(pool, seen)
    (record,) = seen.records
    assert record.ids == ("store:12@1", "table:12/5@1")
    assert record.type == "order.placed"
    for id_, line in zip(record.ids, record.lines, strict=True):
        event = decode_event(line)
        assert (event.id, event.seq, event.order_id) == (id_, 1, order_id)
        assert event.data.note == note
    assert b"placed_by" in record.lines[0]
    assert b"placed_by" not in record.lines[1]


async def test_every_partition_hears_a_watermark_each_second_while_nothing_happens(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await seen.until(
            lambda: (
                len(seen.watermarks) == PARTITIONS
                and all(len(of) >= 4 for of in seen.watermarks.values())
            )
        )
    for of_partition in seen.watermarks.values():
        arrivals = [arrived for _, _, arrived in of_partition]
        values = [value for _, value, _ in of_partition]
        assert values == sorted(values)
        assert max(b - a for a, b in itertools.pairwise(arrivals[1:])) < 1.0


async def test_all_that_was_committed_before_a_watermark_stands_before_it(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    """Writers write as fast as they can; no watermark may overtake what it promises."""
    on = commands(pool)
    committed: dict[str, tuple[int, float]] = {}
    seqs: dict[str, int] = {}

    async def write(store: str) -> None:
        while min(len(of) for of in seen.watermarks.values()) < 6:
            await place(on, store, table=None)
            seqs[store] = seqs.get(store, 0) + 1
            now = await pool.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
            committed[f"store:{store}@{seqs[store]}"] = (partition_of(store, PARTITIONS), now)

    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await seen.until(lambda: len(seen.watermarks) == PARTITIONS)
        await asyncio.gather(*(write(f"s{n}") for n in range(8)))
        await all_arrive(pool, seen)
    promises = 0
    for id_, (partition, committed_by) in committed.items():
        place_of = seen.places[id_]
        assert place_of[0] == partition
        for offset, watermark, _ in seen.watermarks[partition]:
            if watermark >= committed_by:
                assert offset > place_of[1], f"{id_} came after the watermark that covers it"
                promises += 1
    assert promises > 0


async def test_a_watermark_comes_soon_after_the_last_event(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await seen.until(lambda: len(seen.watermarks) == PARTITIONS)
        partition = partition_of("12", PARTITIONS)
        committed_by = 0.0

        def covered() -> bool:
            return seen.watermarks[partition][-1][1] >= committed_by

        for attempts_left in reversed(range(5)):  # a busy machine may be late, but not each time
            await place(commands(pool), "12")
            committed_by = await pool.fetchval("SELECT extract(epoch FROM now())::float8")
            try:
                await seen.until(covered, 0.6)
                break
            except TimeoutError:
                if not attempts_left:
                    raise
        assert covered()


async def test_a_row_that_becomes_visible_behind_a_published_one_is_published_too(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    """Another store's commit that comes late takes a lower outbox id into view."""
    early, late = same_partition()
    on = commands(pool)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        async with pool.acquire() as slow, slow.transaction():
            await slow.execute(LOG_AND_QUEUE, f"store:{late}", late, partition_of(late, PARTITIONS))
            await place(on, early)
            await all_arrive(pool, seen)
            assert f"store:{late}@1" not in seen.places
        await seen.until(lambda: f"store:{late}@1" in seen.places)
        await until_empty(pool)


async def test_more_than_fits_into_a_batch_goes_out_in_order(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    for _ in range(30):
        await put_event(pool, "12", 60_000)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await seen.until(lambda: seen.heads.get("store:12") == 30)
        await until_empty(pool)
        assert seen.repeated == 0


async def test_events_that_retention_took_away_do_not_hold_up_the_shard(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    on = commands(pool)
    for _ in range(3):
        await place(on, "12")
    await pool.execute("DELETE FROM channel_log WHERE seq <= 2 AND channel = 'store:12'")
    await pool.execute("DELETE FROM channel_log WHERE seq = 1 AND channel = 'table:12/5'")
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic, gapless=False) as seen,
    ):
        await until_empty(pool)
        await all_arrive(pool, seen)
    assert seen.left_out == {"store:12@1", "table:12/5@1", "store:12@2", "table:12/5@2"}
    assert seen.places.keys() - seen.left_out == {"store:12@3", "table:12/5@3"}


async def test_a_new_epoch_is_told_with_the_next_record(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    on = commands(pool)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await place(on, "12")
        await all_arrive(pool, seen)
        await pool.execute("UPDATE epoch SET epoch = 'ZZZ'")
        await place(on, "12")
        await all_arrive(pool, seen)
    assert seen.records[0].epoch != "ZZZ"
    assert seen.records[1].epoch == "ZZZ"


async def test_a_topic_with_another_number_of_partitions_stops_the_start(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    await ensure_topics(bootstrap, [events_topic(topic, PARTITIONS)], 5)
    with pytest.raises(SettingsError, match="YABAM_PARTITIONS=5"):
        await KafkaPublisher(bootstrap, events_topic(topic, 5)).open()


@pytest.mark.kafka
async def test_topics_are_made_as_they_are_described(kafka_server: object, topic: str) -> None:
    bootstrap: str = kafka_server.bootstrap  # type: ignore[attr-defined]
    wanted = [events_topic(topic, 6), Topic(f"{topic}.other", 3)]
    await asyncio.gather(*(ensure_topics(bootstrap, wanted, 5) for _ in range(3)))
    await ensure_topics(bootstrap, wanted, 5)
    with pytest.raises(SettingsError):
        await ensure_topics(bootstrap, [events_topic(topic, 4)], 5)


async def test_a_lease_is_had_by_one_and_its_number_rises_with_each_owner(pool: Pool) -> None:
    a, b = Outbox(pool, "a", 5.0), Outbox(pool, "b", 5.0)
    claims = await asyncio.gather(a.claim([0, 1, 2]), b.claim([0, 1, 2]))
    assert {shard for claim in claims for shard in claim} == {0, 1, 2}
    assert not claims[0].keys() & claims[1].keys()
    await a.release(claims[0])
    await b.release(claims[1])
    assert await b.claim([0, 1, 2]) == {0: 2, 1: 2, 2: 2}
    assert await a.claim([0]) == {}


async def test_the_old_owner_of_a_shard_reads_and_deletes_nothing_and_the_new_one_does(
    pool: Pool,
) -> None:
    shard = partition_of("12", PARTITIONS)
    await place(commands(pool), "12")
    old, new = Outbox(pool, "old", 5.0), Outbox(pool, "new", 5.0)
    fences = await old.claim([shard])
    reading = await old.read(fences, 10)
    assert reading is not None
    (row,) = reading.shards[shard]
    # Its lease runs out and another relay takes over, while `old` believes that it owns the shard.
    await pool.execute("UPDATE relay_leases SET expires_at = now() - interval '1 s'")
    assert await old.read(fences, 10) is None
    taken = await new.claim([shard])
    assert await old.beat(fences) == set()
    assert await old.read(fences, 10) is None
    assert await old.delete(fences, [row.id], reading.epoch) == 0
    assert await new.delete(fences, [row.id], reading.epoch) == 0
    assert await new.delete(taken, [row.id], "another epoch") == 0
    assert await new.delete({shard + 1: 1}, [row.id], reading.epoch) == 0
    assert await new.delete(taken, [row.id], reading.epoch) == 1


async def test_a_relay_that_lost_a_shard_and_regained_it_does_nothing_with_its_first_number(
    pool: Pool,
) -> None:
    """A cycle that hung from before the loss would publish what the other owner has published."""
    shard = partition_of("12", PARTITIONS)
    await place(commands(pool), "12")
    relay, other = Outbox(pool, "relay", 5.0), Outbox(pool, "other", 5.0)
    first = await relay.claim([shard])
    reading = await relay.read(first, 10)
    assert reading is not None
    (row,) = reading.shards[shard]
    await pool.execute("UPDATE relay_leases SET expires_at = now() - interval '1 s'")
    await other.release(await other.claim([shard]))
    regained = await relay.claim([shard])
    assert await relay.read(first, 10) is None
    assert await relay.beat(first) == set()
    assert await relay.delete(first, [row.id], reading.epoch) == 0
    assert await relay.delete(regained, [row.id], reading.epoch) == 1


async def test_a_delete_that_meets_a_takeover_waits_for_it_and_then_deletes_nothing(
    pool: Pool,
) -> None:
    """Without its lock on the lease the delete would still see the old number, and go through."""
    shard = partition_of("12", PARTITIONS)
    await place(commands(pool), "12")
    old = Outbox(pool, "old", 5.0)
    fences = await old.claim([shard])
    reading = await old.read(fences, 10)
    assert reading is not None
    (row,) = reading.shards[shard]
    async with pool.acquire() as taker, taker.transaction():
        await taker.execute("UPDATE relay_leases SET owner = 'new', fence = fence + 1")
        deleting = asyncio.create_task(old.delete(fences, [row.id], reading.epoch))
        await until_true(pool, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
    assert await deleting == 0


def same_partition() -> tuple[str, str]:
    first = partition_of("0", PARTITIONS)
    return "0", next(str(n) for n in range(1, 99) if partition_of(str(n), PARTITIONS) == first)


LOG_AND_QUEUE = """
WITH logged AS (
    INSERT INTO channel_log (channel, seq, order_id, order_version, type, occurred_at, body)
    VALUES ($1, 1, gen_random_uuid(), 1, 'order.placed', now(), '"data":null}')
)
INSERT INTO outbox (shard, store_id, channels, seqs) VALUES ($3, $2, ARRAY[$1], ARRAY[1])
"""
