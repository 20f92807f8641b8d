"""What a command costs the database: one round trip, shared with others, and no NOTIFY."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from core_api.access.callers import Caller
from core_api.orders.channel_entries import log_write_of
from core_api.orders.idempotency import Idempotency
from core_api.orders.lifecycle import NewItem, PlaceOrder, Transition, place
from core_api.orders.service import OrderService
from core_api.orders.writes import KeyClaim, OrderWrite, WriteOutcome, WriteResult
from core_api.orders.writing import OrderWriter
from core_api.postgres.commit_hints import CHANNEL
from core_api.postgres.pool import Pool
from core_api.wiring import new_order_id, utc_now

OWNER = Caller("owner", "owner", frozenset({"*"}))
ORDER = PlaceOrder("s", "KRW", [NewItem("a", 1, 1)], table_id="1")


class Counting:
    """A pool that counts the statements sent through it; it offers nothing but to send them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.sent = 0

    async def fetch(self, *arguments: Any) -> Any:
        self.sent += 1
        return await self._pool.fetch(*arguments)

    async def fetchrow(self, *arguments: Any) -> Any:
        self.sent += 1
        return await self._pool.fetchrow(*arguments)


def commands(pool: Any) -> OrderService:
    return OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)


async def test_placing_is_one_round_trip_and_a_step_is_a_read_more(pool: Pool) -> None:
    counting = Counting(pool)
    placed = await commands(counting).place(OWNER, ORDER)
    assert counting.sent == 1
    await commands(counting).transition(OWNER, placed.order_id, Transition("accepted"))
    assert counting.sent == 1 + 2


async def test_orders_placed_at_once_share_their_statements(pool: Pool) -> None:
    counting = Counting(pool)
    core = commands(counting)
    await asyncio.gather(*(core.place(OWNER, ORDER) for _ in range(50)))
    assert counting.sent <= 3
    assert await pool.fetchval("SELECT count(*) FROM orders") == 50


async def test_orders_that_share_a_statement_keep_what_only_some_of_them_have(pool: Pool) -> None:
    counting = Counting(pool)
    core = commands(counting)
    bare = PlaceOrder("s", "KRW", [NewItem("a", 1, 1)])
    full = msgspec.structs.replace(bare, table_id="1", reference="r")
    # The first goes out alone; those that come meanwhile share the next statement.
    await asyncio.gather(
        *(core.place(OWNER, one) for one in (bare, bare, full, bare)),
        core.place(OWNER, full, Idempotency("owner:owner", "key")),
    )
    assert counting.sent <= 2
    found = await pool.fetch("SELECT table_id, reference FROM orders ORDER BY table_id, id")
    assert [tuple(row) for row in found] == [("1", "r")] * 2 + [(None, None)] * 3
    assert await pool.fetchval("SELECT key FROM idempotency_keys") == "key"


class Explaining:
    """A pool that keeps how each writing statement was carried out."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.plans: list[dict[str, Any]] = []

    async def fetch(self, statement: str, *arguments: Any) -> Any:
        if "INSERT" not in statement:
            return await self._pool.fetch(statement, *arguments)
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
        async with self._pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            ((plan,),) = await connection.fetch(explain, *arguments)
            await transaction.rollback()
        self.plans.append(msgspec.json.decode(plan)[0]["Plan"])
        return await self._pool.fetch(statement, *arguments)


def outcomes_of(results: Sequence[WriteResult | Exception]) -> list[WriteOutcome | None]:
    """What became of each; None: it raised."""
    return [one.outcome if isinstance(one, WriteResult) else None for one in results]


def visits(plan: dict[str, Any]) -> float:
    """How many rows the parts of a plan gave, and compared in vain, over all their runs."""
    rows = plan["Actual Rows"] + plan.get("Rows Removed by Join Filter", 0)
    return float(rows * plan["Actual Loops"]) + sum(map(visits, plan.get("Plans", ())))


async def test_an_order_costs_no_more_the_more_share_its_statement(pool: Pool) -> None:
    explaining: Any = Explaining(pool)
    writer = OrderWriter(explaining)
    for count in (10, 90):
        _, results = await writer.write_each([new_order(f"{count}-{n}") for n in range(count)])
        assert outcomes_of(results) == [WriteOutcome.WRITTEN] * count
    few, many = map(visits, explaining.plans)
    assert many / 90 < 1.2 * few / 10


def new_order(store: str) -> OrderWrite:
    command = PlaceOrder(store, "KRW", [NewItem("a", 1, 1)] * 2, table_id="1")
    made = place(command, order_id=str(new_order_id()), placed_by="pos", now=utc_now())
    return OrderWrite(log_write_of(made, None), 0, KeyClaim("pos", store, b"", 201, "{}"), 0)


async def test_an_order_notifies_nobody_within_its_transaction(
    pool: Pool, database_url: str
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(database_url)
    for channel in (CHANNEL, "after"):
        await listener.add_listener(channel, lambda *said: heard.put_nowait(said[2]))
    await commands(pool).place(OWNER, ORDER)
    await pool.execute("NOTIFY after")
    async with asyncio.timeout(10):
        assert await heard.get() == "after", "notifications come in the order of the commits"
    await listener.close()
