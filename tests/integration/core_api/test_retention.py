"""Retention forgets what is old, keeps what is still to be published, and goes on past a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core_api.postgres.trim_around_damage import MAX_LEFT, trim_around
from core_api.receipts.devices import Sighting
from core_api.receipts.statements import find_unreached, store_sightings, trim_devices
from core_api.retention.log_trim import trim_log_round
from tests.integration.core_api.relaying import commands, place

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

DAY_S = 86_400.0
LEFT = "SELECT channel, count(*) FROM channel_log GROUP BY channel"


async def left_over(pool: Pool) -> dict[str, int]:
    return {row[0]: row[1] for row in await pool.fetch(LEFT)}


async def age(pool: Pool) -> None:
    await pool.execute("UPDATE channel_log SET occurred_at = now() - interval '8 days'")


async def test_what_is_not_published_is_kept_however_old_core_says_it_is(pool: Pool) -> None:
    on = commands(pool)
    for _ in range(4):
        await place(on, "12", table=None)
    await age(pool)
    await pool.execute("DELETE FROM outbox WHERE id < (SELECT max(id) - 1 FROM outbox)")
    assert await trim_log_round(pool, 7 * DAY_S) == 2
    assert [row[0] for row in await pool.fetch("SELECT seq FROM channel_log ORDER BY 1")] == [3, 4]
    assert await pool.fetchval("SELECT floor FROM channel_heads") == 2
    await pool.execute("DELETE FROM outbox")
    assert await trim_log_round(pool, 7 * DAY_S) == 2


async def test_a_store_that_is_not_published_does_not_keep_the_others_events(pool: Pool) -> None:
    on = commands(pool)
    for store in ("a", "b"):
        for _ in range(5):
            await place(on, store, table=None)
    await age(pool)
    await pool.execute("DELETE FROM outbox WHERE store_id = 'b'")
    assert await trim_log_round(pool, 7 * DAY_S, batch=2) == 5
    assert await left_over(pool) == {"store:a": 5}


async def test_a_round_goes_on_until_nothing_is_left_past_a_channel_that_is_locked(
    pool: Pool,
) -> None:
    on = commands(pool)
    for number in range(60):
        await place(on, str(number % 6), table=None)
    await age(pool)
    await pool.execute("DELETE FROM outbox")
    async with pool.acquire() as writer, writer.transaction():
        await writer.execute("SELECT FROM channel_heads WHERE channel = 'store:0' FOR UPDATE")
        assert await trim_log_round(pool, 7 * DAY_S, batch=4) == 50
        assert await left_over(pool) == {"store:0": 10}
    assert await trim_log_round(pool, 7 * DAY_S, batch=4) == 10


async def test_an_order_counts_as_waiting_from_when_the_database_got_it(pool: Pool) -> None:
    for created in ("- interval '1 hour'", "+ interval '1 hour'"):
        await place(commands(pool), "12", table=None)
        await pool.execute(f"UPDATE orders SET created_at = now() {created}")
    assert await find_unreached(pool, 180.0, 300.0) == {}
    await pool.execute("UPDATE orders SET placed_at = now() - interval '200 s'")
    assert await find_unreached(pool, 180.0, 300.0) == {"unreceived": 2}


UNDELETABLE = """
CREATE FUNCTION keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.{column} = '{value}' THEN
        RAISE EXCEPTION 'invalid page in block 7' USING ERRCODE = '{code}';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER keeps BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION keeps();
"""


async def cannot_delete(pool: Pool, table: str, column: str, value: str, code: str) -> None:
    """From now on the deletion of such a row raises, as of a damaged one."""
    names = {"table": table, "column": column, "value": value, "code": code}
    await pool.execute(UNDELETABLE.format(**names))


async def seen_devices(pool: Pool) -> set[str]:
    return {row[0] for row in await pool.fetch("SELECT device FROM devices")}


@pytest.mark.parametrize("code", ["XX001", "58030", "23503", "P0001"])
async def test_a_row_that_cannot_be_deleted_is_left_alone_and_told(pool: Pool, code: str) -> None:
    names = [f"till-{number}" for number in range(20)]
    await store_sightings(
        pool, [Sighting("12", name, "till", "live", None, 0) for name in [*names, "young"]]
    )
    for days, name in enumerate(names, 8):
        await pool.execute(
            "UPDATE devices SET seen_at = now() - make_interval(days => $1) WHERE device = $2",
            days,
            name,
        )
    # In the middle, so that some are older and some are younger.
    await cannot_delete(pool, "devices", "device", "till-7", code)
    left: list[str] = []
    gone = await trim_around(trim_devices, pool, 7 * DAY_S, 4, lambda: left.append("a row"))
    assert await seen_devices(pool) == {"till-7", "young"}
    assert (gone, left) == (19, ["a row"])


async def test_a_round_leaves_a_table_of_which_nothing_can_be_deleted(pool: Pool) -> None:
    devices = [Sighting("12", f"till-{number}", "till", "live", None, 0) for number in range(50)]
    await store_sightings(pool, devices)
    await pool.execute(
        "UPDATE devices SET seen_at = now() - interval '8 days'"
        " - make_interval(mins => substr(device, 6)::int)"
    )
    await cannot_delete(pool, "devices", "store_id", "12", "XX001")
    left: list[str] = []
    assert await trim_around(trim_devices, pool, 7 * DAY_S, 4, lambda: left.append("a row")) == 0
    assert len(left) == MAX_LEFT


async def test_a_channel_with_an_event_that_cannot_be_deleted_stops_no_other(pool: Pool) -> None:
    on = commands(pool)
    for number in range(30):
        await place(on, str(number % 3), table=None)
    await age(pool)
    await pool.execute("DELETE FROM outbox")
    await cannot_delete(pool, "channel_log", "channel", "store:1", "XX001")
    left: list[str] = []
    assert await trim_log_round(pool, 7 * DAY_S, batch=4, left=left.append) == 20
    assert await left_over(pool) == {"store:1": 10}
    assert left == ["store:1"]
