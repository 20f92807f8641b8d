"""How much may be open at once: counted beside the heads, refused beyond, right across versions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from core_api.access.callers import Caller
from core_api.errors import BadRequestError, TooManyOpenError
from core_api.orders import missing_counts
from core_api.orders.admission import OpenLimits
from core_api.orders.channel_entries import Views, log_write_of
from core_api.orders.idempotency import Idempotency
from core_api.orders.lifecycle import (
    ChangeOrder,
    NewItem,
    PlaceOrder,
    Recall,
    Target,
    Transition,
    place,
    transition,
)
from core_api.orders.service import OrderService
from core_api.orders.writes import OrderWrite, WriteOutcome
from core_api.orders.writing import OrderWriter
from core_api.postgres.pool import Pool
from core_api.wiring import new_order_id, utc_now
from tests.integration.core_api.test_write_costs import Counting, outcomes_of

OWNER = Caller("owner", "owner", frozenset({"*"}))
OTHER = Caller("pos-2", "producer", frozenset({"*"}))
LIMITS = OpenLimits(
    table_orders=3, table_bytes=4000, subject_orders=5, subject_bytes=50_000, store_orders=7,
    store_bytes=60_000,
)  # fmt: skip
# What is open by the orders themselves, and by the counter rows.
_OPEN = """
SELECT channel, count(*) AS orders, sum(bytes) AS bytes FROM (
    SELECT 'store:' || store_id AS channel, octet_length(owner_view) AS bytes, status FROM orders
    UNION ALL
    SELECT 'table:' || store_id || '/' || table_id, octet_length(table_view), status FROM orders
    WHERE table_id IS NOT NULL
) AS v WHERE status NOT IN ('rejected', 'paid', 'cancelled') GROUP BY channel ORDER BY channel
"""
_OPEN_AT_TABLE = """
SELECT count(*) FROM orders WHERE store_id = 's' AND table_id = '1' AND status <> 'rejected'
"""
_COUNTED = """
SELECT channel, open_orders AS orders, open_bytes AS bytes FROM channel_heads
WHERE counted = head AND open_orders > 0 ORDER BY channel
"""


def commands(pool: Any, limits: OpenLimits = LIMITS) -> OrderService:
    return OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None, open_limits=limits)


def an_order(table: str | None = "1", note: str = "", store: str = "s") -> PlaceOrder:
    return PlaceOrder(store, "KRW", [NewItem("김밥", 1, 1)], table_id=table, note=note)


async def assert_counted(pool: Pool) -> None:
    open_now = [tuple(row) for row in await pool.fetch(_OPEN)]
    assert open_now == [tuple(row) for row in await pool.fetch(_COUNTED)]


async def rows_of(pool: Pool) -> list[int]:
    tables = ("orders", "order_items", "channel_log", "outbox", "idempotency_keys")
    return [await pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]


async def test_the_count_is_what_is_open_after_every_kind_of_write(pool: Pool) -> None:
    core = commands(pool)
    first = await core.place(OWNER, an_order())
    second = await core.place(OWNER, an_order(None, "\u2028"))
    await assert_counted(pool)
    await core.change(OWNER, first.order_id, ChangeOrder(note="x" * 300))
    await core.transition(OWNER, second.order_id, Transition("accepted"))
    await assert_counted(pool)
    await core.transition(OWNER, first.order_id, Transition("cancelled", "too late"))
    await assert_counted(pool)


async def test_what_was_closed_is_opened_again_only_where_there_is_room(pool: Pool) -> None:
    core = commands(pool)
    closed = await core.place(OWNER, an_order())
    await core.transition(OWNER, closed.order_id, Transition("rejected"))
    others = [await core.place(OWNER, an_order()) for _ in range(3)]
    with pytest.raises(TooManyOpenError, match="at most 3 orders"):
        await core.recall(OWNER, closed.order_id, Recall("placed"))
    # A step back of what is open takes no room, and is never refused for it.
    await core.transition(OWNER, others[0].order_id, Transition("accepted"))
    await core.recall(OWNER, others[0].order_id, Recall("placed"))
    await core.transition(OWNER, others[0].order_id, Transition("rejected"))
    await core.recall(OWNER, closed.order_id, Recall("placed"))
    await assert_counted(pool)


async def test_a_table_with_no_room_is_refused_with_nothing_written_and_others_go_on(
    pool: Pool,
) -> None:
    core = commands(pool)
    placed = [await core.place(OWNER, an_order()) for _ in range(3)]
    before = await rows_of(pool)
    with pytest.raises(TooManyOpenError, match=r"table 1 of store s has no room.*at most 3 orders"):
        await core.place(OWNER, an_order(), Idempotency("owner", "k"))
    assert await rows_of(pool) == before, "not even the idempotency key"
    await core.place(OWNER, an_order("2"))
    await core.transition(OWNER, placed[0].order_id, Transition("rejected"))
    await core.place(OWNER, an_order(), Idempotency("owner", "k"))
    await assert_counted(pool)


async def test_of_one_batch_only_those_beyond_the_limit_are_refused(pool: Pool) -> None:
    core = commands(pool)
    orders = [an_order("1") for _ in range(5)] + [an_order("2") for _ in range(2)]
    done = await asyncio.gather(
        *(core.place(OWNER, order) for order in orders), return_exceptions=True
    )
    refused = [isinstance(result, TooManyOpenError) for result in done]
    assert refused == [False] * 3 + [True] * 2 + [False] * 2
    await assert_counted(pool)


async def test_the_first_orders_of_a_table_have_no_more_room_than_others(pool: Pool) -> None:
    core = commands(pool)
    # The first goes out alone; those that come meanwhile share the next statement.
    orders = [an_order(store="t"), *(an_order() for _ in range(5))]
    done = await asyncio.gather(
        *(core.place(OWNER, order) for order in orders), return_exceptions=True
    )
    assert [isinstance(result, TooManyOpenError) for result in done] == [False] * 4 + [True] * 2
    await assert_counted(pool)


async def test_who_has_no_room_costs_a_second_statement_only_once(pool: Pool) -> None:
    """However many are refused, or are placed beside those that are refused."""
    counting = Counting(pool)
    core = commands(counting)
    for _ in range(3):
        await core.place(OWNER, an_order())
    before = counting.sent
    for _ in range(5):
        with pytest.raises(TooManyOpenError):
            await core.place(OWNER, an_order())
        await core.place(OWNER, an_order("2", store="t" + str(counting.sent)))
    assert counting.sent - before == 1 + 10
    await assert_counted(pool)


async def test_what_is_closed_in_the_same_statement_makes_room_for_none_beyond(pool: Pool) -> None:
    core = commands(pool)
    placed = [await core.place(OWNER, an_order()) for _ in range(3)]
    results = await asyncio.gather(
        core.place(OWNER, an_order(store="t")),
        *(core.place(OWNER, an_order()) for _ in range(3)),
        core.transition(OWNER, placed[0].order_id, Transition("rejected")),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, TooManyOpenError) for result in results[1:4]) <= 1
    assert await pool.fetchval(_OPEN_AT_TABLE) <= LIMITS.table_orders
    await assert_counted(pool)


async def test_bytes_are_bounded_for_what_is_placed_and_for_what_is_changed(pool: Pool) -> None:
    core = commands(pool)
    first = await core.place(OWNER, an_order(note="x" * 500))
    await core.place(OWNER, an_order(note="x" * 500))
    grown = ChangeOrder(items=[NewItem("x" * 200, 1, 1, "y" * 500)] * 5)
    with pytest.raises(TooManyOpenError, match="4000 bytes"):
        await core.change(OWNER, first.order_id, grown)
    await core.change(OWNER, first.order_id, ChangeOrder(note=""))
    await core.transition(OWNER, first.order_id, Transition("accepted"))
    await assert_counted(pool)


async def test_a_store_and_a_subject_have_limits_of_their_own(pool: Pool) -> None:
    core = commands(pool)
    for _ in range(5):
        await core.place(OWNER, an_order(None))
    await core.place(OTHER, an_order(None))
    with pytest.raises(TooManyOpenError, match="subject placed in store s"):
        await core.place(OWNER, an_order(None))
    await core.place(OTHER, an_order(None))
    with pytest.raises(TooManyOpenError, match="store s has no room"):
        await core.place(OTHER, an_order(None))
    await core.place(OTHER, an_order(None, store="t"))
    await assert_counted(pool)


async def test_what_others_close_in_the_same_statement_gives_a_subject_no_room(pool: Pool) -> None:
    limits = replace(LIMITS, store_orders=20)
    placed = [new_write("owner") for _ in range(5)] + [new_write("pos-2") for _ in range(2)]
    _, results = await OrderWriter(pool, limits).write_each(placed)
    assert outcomes_of(results) == [WriteOutcome.WRITTEN] * 7
    for other in placed[5:]:
        batch = [new_write("owner"), step_of(other, "rejected")]
        _, results = await OrderWriter(pool, limits).write_each(batch)
        assert outcomes_of(results) == [WriteOutcome.SUBJECT_FULL, WriteOutcome.WRITTEN]
        await assert_counted(pool)


def new_write(by: str) -> OrderWrite:
    made = place(an_order(None), order_id=str(new_order_id()), placed_by=by, now=utc_now())
    return OrderWrite(log_write_of(made, None), 0, None)


def step_of(write: OrderWrite, status: Target) -> OrderWrite:
    views = Views(write.rows.owner_view, write.rows.table_view)
    changed = transition(write.rows.change.after, Transition(status), now=utc_now())
    return OrderWrite(log_write_of(changed, views), 0, None)


async def test_a_retry_gets_its_answer_even_where_there_is_no_room_any_more(pool: Pool) -> None:
    core = commands(pool)
    key = Idempotency("owner", "k")
    placed = await core.place(OWNER, an_order(), key)
    for _ in range(2):
        await core.place(OWNER, an_order())
    again = await core.place(OWNER, an_order(), key)
    assert (again.order_id, again.replayed) == (placed.order_id, True)


async def test_what_an_older_core_wrote_is_counted_by_the_next_write_of_a_newer_one(
    pool: Pool,
) -> None:
    core = commands(pool)
    for _ in range(2):
        await core.place(OWNER, an_order())
    # An older Core moves the head and leaves the count.
    await pool.execute("UPDATE channel_heads SET counted = 0, open_orders = 0, open_bytes = -7")
    await core.place(OWNER, an_order())
    await assert_counted(pool)
    with pytest.raises(TooManyOpenError):
        await core.place(OWNER, an_order())


async def test_a_count_that_cannot_be_had_at_once_is_left_for_the_next_write(pool: Pool) -> None:
    core = commands(pool)
    await core.place(OWNER, an_order())
    await pool.execute("UPDATE channel_heads SET counted = 0")
    placed = await core.place(OWNER, an_order(None, store="t"))
    assert placed.status == 201
    uncounted = "SELECT array_agg(channel ORDER BY channel) FROM channel_heads WHERE counted < head"
    assert await pool.fetchval(uncounted) == ["store:s", "table:s/1"]
    await core.place(OWNER, an_order())
    assert await pool.fetchval(uncounted) is None
    await assert_counted(pool)


async def test_an_order_of_any_door_is_refused_above_the_size_and_an_old_one_can_be_stepped(
    pool: Pool,
) -> None:
    core = commands(pool, OpenLimits())
    lines = [NewItem("x" * 200, 1, 1, "y" * 500)] * 80
    with pytest.raises(BadRequestError, match=r"the order has 6\d{4} bytes") as refused:
        await core.place(OWNER, PlaceOrder("s", "KRW", lines))
    assert refused.value.slug == "too-large"
    placed = await core.place(OWNER, PlaceOrder("s", "KRW", lines[:70]))
    with pytest.raises(BadRequestError, match="at most 59392"):
        await core.change(OWNER, placed.order_id, ChangeOrder(items=lines))
    await pool.execute("UPDATE channel_heads SET counted = 0")
    await pool.execute(
        'UPDATE orders SET owner_view = replace(owner_view, \'"note":""\', $1)',
        f'"note":"{"z" * 70_000}"',
    )
    stepped = await core.transition(OWNER, placed.order_id, Transition("accepted"))
    assert len(stepped.body) > 70_000
    await assert_counted(pool)


async def test_orders_are_written_though_they_cannot_be_counted(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error would say of what is committed that it is not, and it would be written again."""
    on = commands(pool)
    await on.place(OWNER, an_order())
    await pool.execute("UPDATE channel_heads SET counted = 0")
    monkeypatch.setattr(
        missing_counts, "_COUNT", "SELECT 1 / 0, $1::text[], $2::text[], $3::text[]"
    )
    await on.place(OWNER, an_order())
    assert await pool.fetchval("SELECT count(*) FROM orders") == 2
    monkeypatch.undo()
    await on.place(OWNER, an_order())
    assert await pool.fetchval("SELECT count(*) FROM orders") == 3
