"""Retention forgets what is old, keeps what is still to be published, and goes on past a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core_api.receipts.statements import find_unreached
from core_api.retention.statements import trim_log_round
from tests.integration.core_api.relaying import commands, place

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

DAY_S = 86_400.0
LEFT = "SELECT channel, count(*) FROM channel_log GROUP BY channel"


async def left(pool: Pool) -> dict[str, int]:
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
    assert await left(pool) == {"store:a": 5}


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
        assert await left(pool) == {"store:0": 10}
    assert await trim_log_round(pool, 7 * DAY_S, batch=4) == 10


async def test_an_order_counts_as_waiting_from_when_the_database_got_it(pool: Pool) -> None:
    for created in ("- interval '1 hour'", "+ interval '1 hour'"):
        await place(commands(pool), "12", table=None)
        await pool.execute(f"UPDATE orders SET created_at = now() {created}")
    assert await find_unreached(pool, 180.0, 300.0) == {}
    await pool.execute("UPDATE orders SET placed_at = now() - interval '200 s'")
    assert await find_unreached(pool, 180.0, 300.0) == {"unreceived": 2}
