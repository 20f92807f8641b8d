"""No order passes a committed `sold-out` or a closed store: races of two processes, none wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from client_sdk.contract.state.edit import Edit, EditBatch
from client_sdk.contract.state.operations import Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.edits.service import EditService
from core_api.errors import NotTakingOrdersError, SoldOutError, UnreadableRowError
from core_api.orders.lifecycle import ChangeOrder, NewItem, PlaceOrder
from core_api.orders.service import OrderService
from core_api.postgres.pool import LOCK_WAIT_S, Pool, open_pool
from core_api.store_rules.sold_out_or_closed import is_obeyed
from core_api.wiring import new_order_id, utc_now

OWNER = Caller("owner", "owner", frozenset({"*"}))
STORES = 250
ORDERS_EACH = 4

# Notes how many orders a store had when its rules changed, under the lock that orders take.
_WITNESS = """
CREATE TABLE closings (channel text PRIMARY KEY, head bigint);
CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.rules > 0 AND (TG_OP = 'INSERT' OR NEW.rules <> OLD.rules) THEN
        INSERT INTO closings VALUES (NEW.channel, NEW.head);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER witness AFTER INSERT OR UPDATE ON channel_heads
FOR EACH ROW EXECUTE FUNCTION witness();
"""


@pytest.fixture
async def pools(database_url: str) -> AsyncIterator[list[Pool]]:
    pools = [
        await open_pool(
            database_url, size=4, command_timeout_s=20, name="race", lock_wait_s=LOCK_WAIT_S
        )
        for _ in range(2)
    ]
    yield pools
    for pool in pools:
        pool.terminate()


def orders_of(pool: Pool) -> OrderService:
    return OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)


def edits_of(pool: Pool) -> EditService:
    return EditService(pool, Definitions(DEFINITIONS), 4, lambda _channels: None, is_obeyed)


def an_order(store: str) -> PlaceOrder:
    return PlaceOrder(store, "KRW", [NewItem("김밥", 1, 3500)])


async def set_value(edits: EditService, store: str, key: str, value: dict[str, object]) -> None:
    edit = Edit(n=1, channel=f"public:{store}", key=key, do=Set(value), base=0)
    answer = await edits.apply(OWNER, EditBatch(f"c-{uuid4().hex}", [edit]))
    assert answer.outcomes[0].outcome == "applied"


@pytest.mark.parametrize("key", ["taking-orders", "sold-out"])
async def test_a_thousand_races_of_orders_and_a_closing_store(pools: list[Pool], key: str) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    await pools[0].execute(_WITNESS)
    services = [orders_of(pool) for pool in pools]
    edits = [edits_of(pool) for pool in pools]
    value: dict[str, object] = (
        {"value": False} if key == "taking-orders" else {"items": {"k": {"name": "김밥"}}}
    )
    refusal = NotTakingOrdersError if key == "taking-orders" else SoldOutError

    async def place(service: OrderService, store: str, later_s: float) -> bool:
        await asyncio.sleep(later_s)
        try:
            await service.place(OWNER, an_order(store))
        except refusal:
            return False
        return True

    async def race(store: str) -> int:
        *placed, _ = await asyncio.gather(
            *(place(services[n % 2], store, chance.uniform(0, 0.02)) for n in range(ORDERS_EACH)),
            set_value(edits[chance.randrange(2)], store, key, value),
        )
        return sum(bool(one) for one in placed)

    taken = 0
    for first in range(0, STORES, 10):
        taken += sum(await asyncio.gather(*(race(f"{n}") for n in range(first, first + 10))))
    wrong = await pools[0].fetch(
        "SELECT c.channel FROM closings c JOIN channel_heads h USING (channel)"
        " WHERE h.head <> c.head"
    )
    assert wrong == [], f"seed {seed}"
    assert await pools[0].fetchval("SELECT count(*) FROM closings") == STORES
    assert await pools[0].fetchval("SELECT count(*) FROM orders") == taken
    assert 0 < taken < STORES * ORDERS_EACH, f"seed {seed}: there was no race"


async def test_an_order_cannot_be_changed_to_more_of_what_is_sold_out(pools: list[Pool]) -> None:
    orders, edits = orders_of(pools[0]), edits_of(pools[0])
    written = await orders.place(OWNER, an_order("1"))
    await set_value(edits, "1", "sold-out", {"items": {"k": {"name": "김밥"}}})
    more = ChangeOrder([NewItem("김밥", 2, 3500)])
    with pytest.raises(SoldOutError):
        await orders.change(OWNER, written.order_id, more)
    less = ChangeOrder([NewItem("김밥", 1, 3500), NewItem("물", 1, 0)])
    assert (await orders.change(OWNER, written.order_id, less)).status == 200


async def test_one_store_that_has_changed_its_rules_holds_up_no_other(pools: list[Pool]) -> None:
    orders, edits = orders_of(pools[0]), edits_of(pools[1])
    for store in ("1", "2"):
        await orders.place(OWNER, an_order(store))
    await set_value(edits, "1", "taking-orders", {"value": False})
    results = await asyncio.gather(
        *(orders.place(OWNER, an_order(store)) for store in ("1", "2", "1", "2")),
        return_exceptions=True,
    )
    assert [isinstance(one, NotTakingOrdersError) for one in results] == [True, False, True, False]


async def test_a_dish_is_the_same_however_its_name_is_written(pools: list[Pool]) -> None:
    orders, edits = orders_of(pools[0]), edits_of(pools[0])
    await set_value(edits, "1", "sold-out", {"items": {"k": {"name": "Caf\u00e9  au Lait"}}})
    for name in ("cafe\u0301 au lait", " CAF\u00c9 AU LAIT "):
        with pytest.raises(SoldOutError):
            await orders.place(OWNER, PlaceOrder("1", "KRW", [NewItem(name, 1, 1)]))


async def test_a_stores_documents_that_cannot_be_read_hold_up_no_other_stores_orders(
    pools: list[Pool],
) -> None:
    edits, orders = edits_of(pools[0]), orders_of(pools[1])
    stores = [f"{n}" for n in range(8)]
    for store in stores:
        await set_value(edits, store, "taking-orders", {"value": True})
    await pools[0].execute("UPDATE documents SET value = 'no json' WHERE channel = 'public:3'")
    # Text that is none: Postgres itself reads it, and whoever gets it cannot.
    await pools[0].execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")
    await pools[0].execute(
        "UPDATE documents SET value = '\\xff'::bytea::text WHERE channel = 'public:5'"
    )
    placed = await asyncio.gather(
        *(orders.place(OWNER, an_order(store)) for store in stores), return_exceptions=True
    )
    failed = {s: one for s, one in zip(stores, placed, strict=True) if isinstance(one, Exception)}
    assert sorted(failed) == ["3", "5"]
    assert all(isinstance(one, UnreadableRowError) for one in failed.values())
