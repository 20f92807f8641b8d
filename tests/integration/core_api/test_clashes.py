"""A write that clashes with somebody else's transaction is done again, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from core_api.access.callers import Caller
from core_api.errors import UnavailableError
from core_api.orders.lifecycle import NewItem, PlaceOrder
from core_api.orders.service import OrderService
from core_api.orders.writing import MAX_CLASHES
from core_api.postgres.pool import Pool
from core_api.wiring import new_order_id, utc_now
from tests.integration.core_api.hammer import Connection

OWNER = Caller("owner", "owner", frozenset({"*"}))
ORDER = PlaceOrder("s", "KRW", [NewItem("a", 1, 1)], table_id="1")
_LOCK = "SELECT head FROM channel_heads WHERE channel = $1 FOR UPDATE"
_WAITS = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND application_name = $1 AND datname = current_database()
"""


class Clashing:
    """A pool whose first statements clash."""

    def __init__(self, pool: Pool, clashes: Sequence[Exception]) -> None:
        self._pool = pool
        self._clashes = list(clashes)

    async def fetch(self, *arguments: Any) -> Any:
        if self._clashes:
            raise self._clashes.pop()
        return await self._pool.fetch(*arguments)


def commands(pool: Any) -> OrderService:
    return OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)


CLASHES = [
    asyncpg.DeadlockDetectedError("deadlock detected"),
    asyncpg.SerializationError("could not serialize access"),
]


async def test_a_write_that_clashes_is_done_again(pool: Pool) -> None:
    await commands(Clashing(pool, CLASHES)).place(OWNER, ORDER)
    assert await pool.fetchval("SELECT count(*) FROM channel_log") == 2


async def test_a_write_that_keeps_clashing_is_given_up_with_nothing_written(pool: Pool) -> None:
    clashing = Clashing(pool, CLASHES * MAX_CLASHES)
    with pytest.raises(UnavailableError, match="conflicting"):
        await commands(clashing).place(OWNER, ORDER)
    assert await pool.fetchval("SELECT count(*) FROM channel_log") == 0


async def test_a_deadlock_with_an_operators_transaction_costs_no_order(
    pool: Pool, database_url: str
) -> None:
    """Locks taken by hand in the other order: Postgres ends the write, and it is done again."""
    await commands(pool).place(OWNER, ORDER)
    operator: Connection = await asyncpg.connect(
        database_url, server_settings={"deadlock_timeout": "60s", "application_name": "operator"}
    )
    transaction = operator.transaction()
    await transaction.start()
    await operator.execute(_LOCK, "table:s/1")
    writing = asyncio.create_task(commands(pool).place(OWNER, ORDER))
    await until_waiting(pool, "test")
    # The writer holds store:s and waits for table:s/1, which we hold while we wait for store:s.
    await operator.execute(_LOCK, "store:s")
    await transaction.commit()
    await writing
    await operator.close()
    assert await pool.fetchval("SELECT array_agg(DISTINCT head) FROM channel_heads") == [2]
    seqs = await pool.fetch("SELECT array_agg(seq ORDER BY seq) FROM channel_log GROUP BY channel")
    assert [row[0] for row in seqs] == [[1, 2], [1, 2]]


async def until_waiting(pool: Pool, name: str) -> None:
    """Return once somebody of this name waits for a lock."""
    waiting = 0
    async with asyncio.timeout(10):
        while not waiting:
            waiting = await pool.fetchval(_WAITS, name)
