"""A row that somebody holds, and one that Postgres cannot give, stop no other shard of a relay."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import asyncpg
import pytest

from core_api.errors import UnavailableError, UnreadableRowError
from core_api.relay.outbox import Outbox
from core_api.relay.set_aside.statements import list_set_aside
from server_common.kafka_records.events import partition_of
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
    from collections.abc import Mapping

    from core_api.postgres.pool import Pool
    from core_api.relay.cycle import OutboxReading

STALLED = "12"
STORES = [str(number) for number in range(20)]
# What a damaged value does: each read of it raises, and all else of its table can be read.
DAMAGE = """
CREATE FUNCTION damaged(value text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF value LIKE '%broken on its disk%' THEN
        RAISE EXCEPTION 'missing chunk number 0 for toast value 16999' USING ERRCODE = '{code}';
    END IF;
    RETURN value;
END $$;
ALTER TABLE channel_log RENAME TO channel_log_kept;
CREATE VIEW channel_log AS
    SELECT channel, seq, order_id, order_version, document_key, type, occurred_at,
        damaged(body) AS body
    FROM channel_log_kept;
"""


async def test_a_row_that_somebody_holds_is_published_and_deleted_when_it_is_free(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    on = commands(pool)
    await place(on, STALLED)
    holder = await asyncpg.connect(database_url)
    held = holder.transaction()
    await held.start()
    await holder.execute("SELECT FROM outbox FOR UPDATE")
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        for store in [*STORES, STALLED]:
            await place(on, store)
        await all_arrive(pool, seen, 60)
        await until_true(pool, "SELECT count(*) = 1 FROM outbox", 60)
        assert seen.repeated == 0
        await held.rollback()
        await until_empty(pool)
        assert seen.repeated == 0
    await holder.close()


async def filled(pool: Pool, outbox: Outbox) -> tuple[Mapping[int, int], OutboxReading, list[int]]:
    """Put an order of each store into the outbox, and read it: fences, rows, the rows' ids."""
    on = commands(pool)
    for store in STORES:
        await place(on, store)
    fences = await outbox.claim(range(PARTITIONS))
    reading = await outbox.read(fences, 100)
    assert reading is not None
    return fences, reading, [row.id for rows in reading.shards.values() for row in rows]


async def test_a_delete_waits_for_nobody_for_long_and_tells_what_is_left(
    pool: Pool, database_url: str
) -> None:
    outbox = Outbox(pool, "me", 60.0)
    fences, reading, ids = await filled(pool, outbox)
    holder = await asyncpg.connect(database_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM outbox WHERE id = $1 FOR UPDATE", ids[0])
        assert await outbox.delete(fences, ids, reading.epoch) == len(ids) - 1
        assert await outbox.delete(fences, ids[:1], reading.epoch) == 0
        assert await outbox.set_aside(fences, {ids[0]: "held"}, reading.epoch) == 0
    assert await outbox.delete(fences, ids[:1], reading.epoch) == 1
    await holder.close()


async def test_a_row_that_is_held_is_waited_for_once_only(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []

    async def seen(statement: str, *arguments: object) -> str:
        statements.append("skips" if "SKIP LOCKED" in statement else "waits")
        return str(await asyncpg.pool.Pool.execute(pool, statement, *arguments))

    outbox = Outbox(cast("Pool", SimpleNamespace(fetch=pool.fetch, execute=seen)), "me", 60.0)
    fences, reading, (held, *others) = await filled(pool, outbox)
    holder = await asyncpg.connect(database_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM outbox WHERE id = $1 FOR UPDATE", held)
        for ids in ([held, others[0]], others[1:], [held]):
            await outbox.delete(fences, ids, reading.epoch)
    assert statements == ["waits", "skips", "waits", "skips"]
    await holder.close()


async def test_a_lease_that_somebody_holds_keeps_only_its_own_rows(
    pool: Pool, database_url: str
) -> None:
    outbox = Outbox(pool, "me", 60.0)
    fences, reading, ids = await filled(pool, outbox)
    holder = await asyncpg.connect(database_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM relay_leases WHERE shard = 0 FOR UPDATE")
        kept = len(reading.shards[0])
        assert kept
        assert await outbox.delete(fences, ids, reading.epoch) == len(ids) - kept
    await holder.close()


@pytest.mark.parametrize("code", ["XX001", "22008", "58030"])
async def test_an_event_that_postgres_cannot_give_is_announced_and_set_aside(
    pool: Pool, database_url: str, bootstrap: str, topic: str, code: str
) -> None:
    on = commands(pool)
    for store in STORES:
        await place(on, store)
    await place(on, STALLED, note="broken on its disk")
    for store in STORES:
        await place(on, store)
    await pool.execute(DAMAGE.replace("{code}", code))
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await all_arrive(pool, seen, 60)
        await until_empty(pool)
        assert seen.left_out == {f"store:{STALLED}@2", f"table:{STALLED}/5@2"}
        assert seen.repeated == 0
    (one,) = await list_set_aside(pool, 10)
    assert (one.store_id, one.shard) == (STALLED, partition_of(STALLED, PARTITIONS))
    assert "missing chunk number 0" in one.reason


async def test_an_error_of_the_data_is_told_from_a_database_that_is_not_there(pool: Pool) -> None:
    await place(commands(pool), STALLED, note="broken on its disk")
    outbox = Outbox(pool, "me", 60.0)
    fences = await outbox.claim(range(PARTITIONS))
    await pool.execute("ALTER TABLE epoch RENAME TO gone")
    with pytest.raises(UnavailableError) as raised:
        await outbox.read(fences, 10)
    assert not isinstance(raised.value, UnreadableRowError)
    await pool.execute("ALTER TABLE gone RENAME TO epoch")
    await pool.execute(DAMAGE.replace("{code}", "XX001"))
    with pytest.raises(UnreadableRowError):
        await outbox.read(fences, 10)
