"""A store whose rows somebody holds locked holds up no other; changes of one order wait in turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from core_api.access.callers import Caller
from core_api.errors import LockedError
from core_api.orders.idempotency import Idempotency
from core_api.orders.lifecycle import ChangeOrder, NewItem, PlaceOrder, Transition
from core_api.orders.service import OrderService
from core_api.postgres import lock_queues
from core_api.postgres.pool import Pool, open_pool
from core_api.wiring import new_order_id, utc_now
from tests.integration.core_api.hammer import Connection
from tests.integration.core_api.relaying import until_true

OWNER = Caller("owner", "owner", frozenset({"*"}))
OTHERS = [f"other-{n}" for n in range(20)]


def order(store: str) -> PlaceOrder:
    return PlaceOrder(store, "KRW", [NewItem("a", 1, 1)], table_id="1")


@pytest.fixture
async def writing(database_url: str) -> AsyncIterator[Pool]:
    """Connections as Core's, that wait for a lock for a moment only."""
    pool = await open_pool(
        database_url, size=3, command_timeout_s=30, name="writing", lock_wait_s=0.1
    )
    yield pool
    pool.terminate()


@pytest.fixture
def core(pool: Pool, writing: Pool) -> OrderService:
    return OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None, writing, 2)


@asynccontextmanager
async def held(database_url: str, statement: str, *arguments: Any) -> AsyncIterator[None]:
    """Somebody's open transaction that has locked these rows."""
    holder: Connection = await asyncpg.connect(database_url)
    try:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(statement, *arguments)
        yield
        await transaction.rollback()
    finally:
        await holder.close()


_STORE = "SELECT FROM channel_heads WHERE channel = $1 FOR UPDATE"
_ORDER = "SELECT FROM orders WHERE id = $1::text::uuid FOR UPDATE"
_KEY = """
INSERT INTO idempotency_keys (subject, key, request_hash, status, order_id, body)
VALUES ('owner', 'k', '', 201, gen_random_uuid(), '')
"""


async def until_aside(core: OrderService, count: int) -> None:
    """Return once so many writes wait for a lock."""
    async with asyncio.timeout(30):
        while core.waiting_for_lock != count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_held_store_holds_up_no_other_and_is_written_once_it_is_free(
    core: OrderService, pool: Pool, database_url: str
) -> None:
    await core.place(OWNER, order("held"))
    async with held(database_url, _STORE, "store:held"):
        waiting = [asyncio.create_task(core.place(OWNER, order("held"))) for _ in range(10)]
        await until_aside(core, len(waiting))
        for _ in range(5):
            await asyncio.gather(*(core.place(OWNER, order(store)) for store in OTHERS))
        more = asyncio.create_task(core.place(OWNER, order("held")))
        await until_aside(core, len(waiting) + 1)
        assert not any(task.done() for task in [*waiting, more])
    await asyncio.gather(*waiting, more)
    assert core.waiting_for_lock == 0
    heads = await pool.fetch("SELECT channel, head FROM channel_heads WHERE channel LIKE 'store:%'")
    assert {row["channel"]: row["head"] for row in heads} == {
        "store:held": 12, **{f"store:{store}": 5 for store in OTHERS}
    }  # fmt: skip
    await core.place(OWNER, order("held"))  # there is no queue any more


async def test_many_held_stores_hold_up_none_that_is_free(
    core: OrderService, database_url: str
) -> None:
    stores = [f"held-{n}" for n in range(30)]
    await asyncio.gather(*(core.place(OWNER, order(store)) for store in stores))
    every = "SELECT FROM channel_heads WHERE channel LIKE 'store:held-%' FOR UPDATE"
    async with held(database_url, every):
        waiting = [asyncio.create_task(core.place(OWNER, order(store))) for store in stores]
        await asyncio.gather(*(core.place(OWNER, order(store)) for store in OTHERS))
        await until_aside(core, len(stores))
        await asyncio.gather(*(core.place(OWNER, order(store)) for store in OTHERS))
    written = await asyncio.gather(*waiting)
    assert [one.status for one in written] == [201] * len(stores)


async def test_a_held_order_holds_up_no_other_of_its_store(
    core: OrderService, database_url: str
) -> None:
    first = await core.place(OWNER, order("s"))
    second = await core.place(OWNER, order("s"))
    async with held(database_url, _ORDER, first.order_id):
        step = asyncio.create_task(core.transition(OWNER, first.order_id, Transition("accepted")))
        await until_aside(core, 1)
        await core.transition(OWNER, second.order_id, Transition("accepted"))
        await core.place(OWNER, order("s"))
        assert not step.done()
    assert (await step).version == 2


async def test_a_key_that_somebody_is_about_to_claim_holds_up_no_other_store(
    core: OrderService, database_url: str
) -> None:
    async with held(database_url, _KEY):
        keyed = asyncio.create_task(core.place(OWNER, order("s"), Idempotency("owner", "k")))
        await until_aside(core, 1)
        await asyncio.gather(*(core.place(OWNER, order(store)) for store in OTHERS))
        assert not keyed.done()
    assert (await keyed).status == 201


_WAITS = """
SELECT waitstart FROM pg_locks
WHERE NOT granted AND waitstart IS NOT NULL AND relation = 'channel_heads'::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def test_a_locked_table_is_waited_for_by_all(
    core: OrderService, pool: Pool, database_url: str
) -> None:
    async with held(database_url, "LOCK TABLE channel_heads IN ACCESS EXCLUSIVE MODE"):
        waiting = [asyncio.create_task(core.place(OWNER, order(store))) for store in OTHERS]
        await until_true(pool, f"SELECT EXISTS ({_WAITS})")
        first = await pool.fetchval(f"SELECT max(waitstart) FROM ({_WAITS}) AS w")
        # They have waited in vain once, and try again.
        await until_true(pool, f"SELECT EXISTS ({_WAITS} AND waitstart > '{first}')")
        assert not any(one.done() for one in waiting)
        assert core.waiting_for_lock == 0
    await asyncio.gather(*waiting)


async def test_a_store_that_stays_held_is_given_up_with_nothing_written(
    core: OrderService, pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_queues, "PATIENCE_S", 0.5)
    await core.place(OWNER, order("held"))
    async with held(database_url, _STORE, "store:held"):
        with pytest.raises(LockedError):
            await core.place(OWNER, order("held"))
    assert await pool.fetchval("SELECT count(*) FROM orders") == 1
    await core.place(OWNER, order("held"))


async def test_only_so_many_wait_for_a_held_store(
    core: OrderService, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_queues, "MAX_IN_A_QUEUE", 5)
    await core.place(OWNER, order("held"))
    async with held(database_url, _STORE, "store:held"):
        waiting = [asyncio.create_task(core.place(OWNER, order("held"))) for _ in range(5)]
        await until_aside(core, 5)
        with pytest.raises(LockedError, match="too many"):
            await core.place(OWNER, order("held"))
        await core.place(OWNER, order("free"))
    await asyncio.gather(*waiting)


async def test_a_retry_while_its_store_is_held_is_written_once(
    core: OrderService, pool: Pool, database_url: str
) -> None:
    await core.place(OWNER, order("held"))
    key = Idempotency("owner", "again")
    async with held(database_url, _STORE, "store:held"):
        tries = [asyncio.create_task(core.place(OWNER, order("held"), key)) for _ in range(3)]
        await until_aside(core, 3)
    answers = await asyncio.gather(*tries)
    assert len({answer.order_id for answer in answers}) == 1
    assert Counter(answer.replayed for answer in answers) == {False: 1, True: 2}
    assert await pool.fetchval("SELECT count(*) FROM orders") == 2


async def test_two_hundred_changes_of_one_order_at_once_are_all_made(
    core: OrderService, pool: Pool
) -> None:
    placed = await core.place(OWNER, order("s"))
    changes = [core.change(OWNER, placed.order_id, ChangeOrder(note=str(n))) for n in range(200)]
    written = await asyncio.gather(*changes)
    assert [one.version for one in written] == list(range(2, 202)), "in the order of their coming"
    assert await pool.fetchval("SELECT head FROM channel_heads WHERE channel = 'store:s'") == 201
