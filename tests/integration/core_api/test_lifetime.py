"""A forgotten step after a restore: the relay finds it out and begins a new epoch by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from core_api.errors import UnavailableError
from core_api.ids import epoch_name
from core_api.kafka.topics import ensure_topics, events_topic
from core_api.relay.cycle import OutboxReading
from core_api.relay.outbox import Outbox
from core_api.restore.detection import EventIdentity, LastPublished
from core_api.restore.lineage import (
    adopt,
    leave_witness,
    read_lineage,
    read_stored,
    start_epoch,
)
from core_api.restore.main import begin_epoch, epoch_after
from core_api.settings import RestoreSettings
from server_common.kafka_records.events import WatermarkRecord, encode_watermark_record
from tests.integration.core_api.relaying import (
    PARTITIONS,
    all_arrive,
    commands,
    followed,
    place,
    started,
    until_empty,
    until_true,
)

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

EPOCH = "SELECT epoch FROM epoch"
FAR_AHEAD = epoch_name(4_000_000_000_000, bytes(10))


async def publish_some(pool: Pool, url: str, bootstrap: str, topic: str, count: int) -> None:
    for _ in range(count):
        await place(commands(pool), "12", table=None)
    async with started(pool, url, bootstrap, topic), followed(bootstrap, topic) as seen:
        await all_arrive(pool, seen, 60)
        await until_empty(pool, 60)


async def test_a_database_that_moved_gets_a_new_epoch_before_anything_is_published(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    before = await pool.fetchval(EPOCH)
    await pool.execute("UPDATE epoch SET born_in = '1/1/1'")
    await place(commands(pool), "12")
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await all_arrive(pool, seen, 60)
    after = await pool.fetchval(EPOCH)
    assert after > before
    assert {record.epoch for record in seen.records} == {after}


async def test_a_running_relay_finds_that_its_database_was_changed_for_another(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    before = await pool.fetchval(EPOCH)
    async with started(pool, database_url, bootstrap, topic):
        await place(commands(pool), "12")
        await until_empty(pool, 60)
        assert await pool.fetchval(EPOCH) == before, "nothing has changed yet"
        await pool.execute("UPDATE epoch SET born_in = '1/1/1'")
        await until_true(pool, f"SELECT epoch > '{before}' FROM epoch", 60)


async def test_a_snapshot_put_back_in_place_is_found_by_what_was_published(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    await publish_some(pool, database_url, bootstrap, topic, 3)
    before = await pool.fetchval(EPOCH)
    # As it was before the last of them: the seq is then given to another order.
    await pool.execute("DELETE FROM channel_log WHERE seq = 3")
    await pool.execute("UPDATE channel_heads SET head = 2")
    await place(commands(pool), "12", table=None)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic, gapless=False) as seen,
    ):
        await seen.until(lambda: len(seen.records) == 4, 60)
    after = await pool.fetchval(EPOCH)
    assert after > before
    assert [record.epoch for record in seen.records] == [before] * 3 + [after]


async def test_a_database_that_was_away_and_comes_back_older_is_found_by_a_relay_that_goes_on(
    pool: Pool, database_url: str, bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await pool.fetchval(EPOCH)
    read, away, missed = Outbox.read, asyncio.Event(), asyncio.Event()

    async def read_if_there(
        outbox: Outbox, fences: Mapping[int, int], rows_per_shard: int
    ) -> OutboxReading | None:
        if away.is_set():
            missed.set()
            raise UnavailableError("the database does not answer")
        return await read(outbox, fences, rows_per_shard)

    monkeypatch.setattr(Outbox, "read", read_if_there)
    for _ in range(3):
        await place(commands(pool), "12", table=None)
    async with started(pool, database_url, bootstrap, topic):
        await until_empty(pool, 60)
        away.set()
        async with asyncio.timeout(60):
            await missed.wait()
        # As it was before the last of them: the seq is then given to another order.
        await pool.execute("DELETE FROM channel_log WHERE seq = 3")
        await pool.execute("UPDATE channel_heads SET head = 2")
        await place(commands(pool), "12", table=None)
        assert await pool.fetchval(EPOCH) == before
        away.clear()
        await until_true(pool, f"SELECT epoch > '{before}' FROM epoch", 60)
        await until_empty(pool, 60)


async def test_a_backup_from_before_a_new_epoch_is_not_published_behind_it(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    old = await pool.fetchval(EPOCH)
    await pool.execute("UPDATE epoch SET epoch = $1", FAR_AHEAD)
    await publish_some(pool, database_url, bootstrap, topic, 1)
    await pool.execute("UPDATE epoch SET epoch = $1", old)
    await place(commands(pool), "12", table=None)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await seen.until(lambda: len(seen.records) == 2, 60)
    assert seen.records[1].epoch > FAR_AHEAD
    assert seen.records[1].epoch == await pool.fetchval(EPOCH)


async def test_an_epoch_in_the_topic_that_core_cannot_have_named_stops_no_relay(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    before = await pool.fetchval(EPOCH)
    await ensure_topics(bootstrap, [events_topic(topic, PARTITIONS)], 10)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as somebody:
        for epoch in ("zzzz", "7" + "Z" * 25):
            headers = encode_watermark_record(WatermarkRecord(epoch, 1.0))
            for partition in range(PARTITIONS):
                await somebody.send_and_wait(topic, b"x", None, partition, headers=headers)
    await publish_some(pool, database_url, bootstrap, topic, 2)
    assert await pool.fetchval(EPOCH) == before


async def test_an_unchanged_database_keeps_its_epoch_whoever_takes_over(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    before = await pool.fetchval(EPOCH)
    for _ in range(2):
        await publish_some(pool, database_url, bootstrap, topic, 2)
    assert await pool.fetchval(EPOCH) == before


async def test_who_looks_at_the_database_leaves_a_witness_in_it(pool: Pool) -> None:
    await pool.execute(f"UPDATE epoch SET born_in = '{await identity(pool)}'")
    async with pool.acquire() as connection:
        assert (await leave_witness(connection, 5.0)).witness is None
        found = (await leave_witness(connection, 5.0)).witness
    assert found is not None
    assert found.until - found.at == pytest.approx(5.0)
    assert not found.is_replicated, "nobody waits for a standby here"


async def test_nobody_leaves_a_witness_in_a_database_that_the_epoch_did_not_begin_in(
    pool: Pool,
) -> None:
    await pool.execute("UPDATE epoch SET born_in = '1/1/1'")
    async with pool.acquire() as connection:
        await leave_witness(connection, 5.0)
        assert (await read_lineage(connection)).witness is None


async def test_from_a_database_that_was_promoted_nothing_is_read_to_be_published(
    pool: Pool,
) -> None:
    outbox = Outbox(pool, "a", 5.0)
    await place(commands(pool), "12", table=None)
    fences = await outbox.claim([await pool.fetchval("SELECT shard FROM outbox")])
    assert await outbox.read(fences, 10) is not None
    assert await outbox.name_first(fences, "damaged") is not None
    cluster, timeline, database = (await identity(pool)).split("/")
    await pool.execute(f"UPDATE epoch SET born_in = '{cluster}/{int(timeline) + 1}/{database}'")
    with pytest.raises(UnavailableError, match="promoted"):
        await outbox.read(fences, 10)
    with pytest.raises(UnavailableError, match="promoted"):
        await outbox.name_first(fences, "damaged")


async def test_what_is_decided_of_one_database_is_done_in_no_other(pool: Pool) -> None:
    here = await identity(pool)
    await pool.execute("UPDATE epoch SET born_in = '1/1/1'")
    before = await pool.fetchrow("SELECT epoch, born_in FROM epoch")
    async with pool.acquire() as connection:
        judged = await read_lineage(connection)
        published = {"store:12": LastPublished(1, EventIdentity("a", 1))}
        assert (await read_stored(connection, published, here))["store:12"].head == 0
        for other in (replace(judged, identity="1/2/1"), replace(judged, born_in="1/3/1")):
            assert not await adopt(connection, other)
            assert await start_epoch(connection, epoch_after, judged.epoch, other) is None
        with pytest.raises(UnavailableError, match="1/2/1 was asked"):
            await read_stored(connection, published, "1/2/1")
        assert await pool.fetchrow("SELECT epoch, born_in FROM epoch") == before
        assert await adopt(connection, judged)
    assert await pool.fetchval("SELECT born_in FROM epoch") == here


async def identity(pool: Pool) -> str:
    """The identity of the database that the pool is connected to."""
    async with pool.acquire() as connection:
        return (await read_lineage(connection)).identity


async def test_a_person_begins_an_epoch_later_than_all_that_kafka_has(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    old = await pool.fetchval(EPOCH)
    await pool.execute("UPDATE epoch SET epoch = $1", FAR_AHEAD)
    await publish_some(pool, database_url, bootstrap, topic, 1)
    await pool.execute("UPDATE epoch SET epoch = $1", old)
    settings = RestoreSettings.model_validate(
        {
            "database_url": database_url,
            "kafka": bootstrap,
            "events_topic": topic,
            "partitions": PARTITIONS,
        }
    )
    assert await begin_epoch(settings) > FAR_AHEAD


async def test_an_epoch_that_a_fast_clock_began_has_a_later_successor(
    pool: Pool, database_url: str
) -> None:
    await pool.execute("UPDATE epoch SET epoch = $1", FAR_AHEAD)
    first = await begin_epoch(
        RestoreSettings.model_validate({"database_url": database_url, "kafka": ""})
    )
    second = await begin_epoch(
        RestoreSettings.model_validate({"database_url": database_url, "kafka": ""})
    )
    assert FAR_AHEAD < first < second


async def test_of_relays_that_find_the_same_one_begins_the_epoch(
    pool: Pool, database_url: str
) -> None:
    judged = await pool.fetchval(EPOCH)

    async def begin() -> str | None:
        connection = await asyncpg.connect(database_url)
        try:
            return await start_epoch(connection, epoch_after, judged)
        finally:
            await connection.close()

    begun = await asyncio.gather(*(begin() for _ in range(4)))
    (epoch,) = [one for one in begun if one is not None]
    assert epoch == await pool.fetchval(EPOCH)


async def test_a_role_without_any_privilege_but_of_its_tables_looks_and_leaves_its_witness(
    pool: Pool, database_url: str
) -> None:
    async with pool.acquire() as owning:
        await start_epoch(owning, epoch_after)
    role = f"plain_{database_url.rpartition('/')[2]}"
    await pool.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER")
    try:
        await pool.execute(f"GRANT SELECT, INSERT, UPDATE ON epoch, epoch_witness TO {role}")
        url = database_url.replace("://postgres@", f"://{role}@")
        connection = await asyncpg.connect(url)
        try:
            before = await leave_witness(connection, 5.0)
            seen = await read_lineage(connection)
        finally:
            await connection.close()
        async with pool.acquire() as owning:
            known = await read_lineage(owning)
        assert before.witness is None
        assert seen.witness is not None
        assert seen.flushed is not None
        assert known.flushed is not None
        # Others write to the same log meanwhile.
        assert known.flushed >= seen.flushed
        assert replace(seen, now=known.now, flushed=known.flushed) == known
    finally:
        await pool.execute(f"DROP OWNED BY {role}")
        await pool.execute(f"DROP ROLE {role}")
