"""Migrations run while orders are written: no write waits for the snapshot indexes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from core_api.access.callers import Caller
from core_api.orders.lifecycle import NewItem, PlaceOrder, Transition
from core_api.orders.service import OrderService
from core_api.postgres import migrate
from core_api.postgres.pool import Pool, open_pool
from core_api.wiring import new_order_id, utc_now
from deploy.local.postgres import EmbeddedPostgres
from tests.parts import copied_database, migrated_database

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Move: TypeAlias = Callable[[str], Awaitable[None]]

# The filled databases are made once.
pytestmark = pytest.mark.xdist_group("migrations-online")

OWNER = Caller("owner", "owner", frozenset({"*"}))
ORDER = PlaceOrder("1", "KRW", [NewItem("a", 1, 1)], table_id="5")
VERSIONS = Path(migrate.__file__).parent / "migrations/versions"
NEWEST = max(path.name[1:5] for path in VERSIONS.glob("v*.py"))
FILLED = 30_000
STUCK_S = 5.0
"""A write behind a lock would wait for as long as the test keeps its transaction open: for ever."""

# What CREATE INDEX and DROP INDEX take, and an INSERT waits for (PostgreSQL 18, table 13.2).
_IN_THE_WAY = """
SELECT mode, granted, query FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE relation = 'orders'::regclass AND pg_locks.pid <> pg_backend_pid()
  AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""
_COLUMNS_OF_TODAY = """
SELECT format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS %I %s', attrelid::regclass, attname,
              concat_ws(' ', format_type(atttypid, atttypmod),
                        'DEFAULT ' || pg_get_expr(adbin, adrelid),
                        CASE WHEN attnotnull THEN 'NOT NULL' END))
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid IN ('channel_heads'::regclass, 'orders'::regclass, 'outbox'::regclass)
      AND attnum > 0 AND NOT attisdropped
"""
_INDEXES = """
SELECT indexrelid::regclass::text, indisvalid, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = 'orders'::regclass AND NOT indisprimary ORDER BY 1
"""


async def forward(url: str) -> None:
    """Both indexes made to go by id."""
    await migrate.upgrade(url, "0003")


async def back(url: str) -> None:
    """Both indexes made as they were before."""
    await migrate.downgrade(url, "0002")


@pytest.fixture(scope="module")
def filled(postgres_server: EmbeddedPostgres) -> Filled:
    """Made once for the whole module."""
    return Filled(postgres_server)


@pytest.fixture
def move() -> Move | None:
    """What a test does to its database; None: it is only filled, and at revision 0002."""
    return None


@pytest.fixture
async def orders_url(filled: Filled, move: Move | None) -> str:
    """A database with many orders at where `move` begins; its URL."""
    return await filled.copy(move)


@pytest.fixture
async def pool(orders_url: str) -> AsyncIterator[Pool]:
    """Connections to it."""
    pool = await open_pool(orders_url, size=4, command_timeout_s=60, name="writer")
    yield pool
    pool.terminate()


@pytest.fixture
async def holder(orders_url: str) -> AsyncIterator[Connection]:
    """A connection to it for a transaction that stays open."""
    connection = await asyncpg.connect(orders_url)
    yield connection
    connection.terminate()


@pytest.fixture
async def writer(database: str) -> AsyncIterator[Connection]:
    """A connection to an empty database for a transaction that stays open."""
    connection = await asyncpg.connect(database)
    yield connection
    connection.terminate()


class Filled:
    """Databases with many orders, one for each revision at which a test begins, to be copied."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._made: dict[str, str] = {}

    async def copy(self, move: Move | None) -> str:
        """A copy of the one at where `move` begins; its URL."""
        if move is None:
            return await self._copy_of(await self._at("0002"))
        return await self._copy_of(await self._of_today("0002" if move is forward else "0003"))

    async def _of_today(self, revision: str) -> str:
        """At the revision, and with the columns of today: today's Core writes in it."""
        name = f"{revision} of today"
        if name not in self._made:
            url = self._made[name] = await self._copy_of(await self._at(revision))
            today = await asyncpg.connect(await migrated_database(self._server))
            additions = await today.fetch(_COLUMNS_OF_TODAY)
            await today.close()
            connection = await asyncpg.connect(url)
            for (addition,) in additions:
                await connection.execute(addition)
            await connection.close()
        return self._made[name]

    async def _at(self, revision: str) -> str:
        if revision not in self._made:
            above = await (self._newest() if revision == "0003" else self._at("0003"))
            url = self._made[revision] = await self._copy_of(above)
            await migrate.downgrade(url, revision)
        return self._made[revision]

    async def _newest(self) -> str:
        url = await migrated_database(self._server)
        pool = await open_pool(url, size=1, command_timeout_s=60, name="filling")
        await OrderService(pool, 4, utc_now, new_order_id, lambda _: None).place(OWNER, ORDER)
        await pool.execute(
            "INSERT INTO orders SELECT (json_populate_record(o, json_build_object("
            "'id', gen_random_uuid(), 'store_id', (n % 1000)::text))).*"
            " FROM orders o, generate_series(1, $1::int) AS n",
            FILLED,
        )
        await pool.close()
        return url

    async def _copy_of(self, url: str) -> str:
        return await copied_database(self._server, url)


@pytest.mark.parametrize("move", [forward, back])
async def test_orders_are_written_while_a_migration_waits_for_an_open_transaction(
    orders_url: str, pool: Pool, holder: Connection, move: Move
) -> None:
    commands = OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)
    held = holder.transaction()
    await held.start()
    await holder.execute("UPDATE orders SET note = 'held' WHERE store_id = '7'")
    moving = asyncio.ensure_future(move(orders_url))
    await until_it_waits(pool)
    async with asyncio.timeout(STUCK_S):
        for _ in range(20):
            written = await commands.place(OWNER, ORDER)
            await commands.transition(OWNER, written.order_id, Transition("accepted"))
        assert await pool.fetch(_IN_THE_WAY) == []
    assert not moving.done(), "it did not wait: the test shows nothing"
    await held.rollback()
    await moving
    assert [row[:2] for row in await pool.fetch(_INDEXES)] == [
        ("ix_orders_open_store", True),
        ("ix_orders_open_table", True),
    ]


async def until_it_waits(pool: Pool) -> None:
    """Return once the migration waits for the writer's transaction.

    It may wait for the table's autovacuum before: by then it has begun nothing.
    """
    waiting = 0
    async with asyncio.timeout(30):
        while not waiting:
            waiting = await pool.fetchval(
                "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE NOT granted AND locktype = 'virtualxid' AND application_name <> 'writer'"
                " AND datname = current_database()"
            )


@pytest.mark.parametrize("move", [forward, back])
async def test_no_lock_that_a_write_waits_for_is_ever_held(
    orders_url: str, pool: Pool, move: Move
) -> None:
    commands = OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)
    moving = asyncio.ensure_future(move(orders_url))
    longest, written, looks = 0.0, 0, 0
    while not moving.done():
        began = time.monotonic()
        await commands.place(OWNER, ORDER)
        longest, written = max(longest, time.monotonic() - began), written + 1
        found = await pool.fetch(_IN_THE_WAY)
        looks += 1
        assert found == []
    await moving
    assert min(written, looks) > 5, "nothing was written meanwhile: the test shows nothing"
    assert longest < STUCK_S
    count = await pool.fetchval("SELECT count(*) FROM orders")
    assert count == FILLED + 1 + written


@pytest.mark.parametrize("move", [forward, back])
async def test_a_migration_that_was_cut_off_is_taken_up_again(
    orders_url: str, pool: Pool, holder: Connection, move: Move
) -> None:
    held = holder.transaction()
    await held.start()
    await holder.execute("UPDATE orders SET note = 'held' WHERE store_id = '7'")
    moving = asyncio.ensure_future(move(orders_url))
    await until_it_waits(pool)
    await pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND datname = current_database()"
    )
    await asyncio.wait([moving])
    assert moving.exception() is not None
    await held.rollback()
    left = {row[0]: row[1] for row in await pool.fetch(_INDEXES)}
    assert left["ix_orders_open_store_new"] is False, "half an index was left"
    assert left["ix_orders_open_store"], "and the one in use with it"
    await move(orders_url)
    defined = [row[2].partition("USING")[2] for row in await pool.fetch(_INDEXES)]
    open_ = "WHERE (status <> ALL (ARRAY['rejected'::text, 'paid'::text, 'cancelled'::text]))"
    by_id = ", id" if move is forward else ""
    assert defined == [
        f" btree (store_id{by_id}) {open_}",
        f" btree (store_id, table_id{by_id}) {open_}",
    ]


async def test_two_that_migrate_at_once_do_not_wait_for_each_other_for_ever(
    orders_url: str, pool: Pool
) -> None:
    async with asyncio.timeout(30):
        await asyncio.gather(*(migrate.upgrade(orders_url) for _ in range(3)))
    assert await pool.fetchval("SELECT version_num FROM alembic_version") == NEWEST


@pytest.mark.parametrize(("before", "after"), [("0017", "0018"), ("0018", "0017")])
async def test_a_webhook_is_added_while_the_migration_of_secrets_waits_for_it(
    database: str, writer: Connection, before: str, after: str
) -> None:
    await migrate.upgrade(database, before)
    move = migrate.upgrade if before < after else migrate.downgrade
    adding = writer.transaction()
    await adding.start()
    await writer.execute("SELECT count(*) FROM webhooks")
    moving = asyncio.ensure_future(move(database, after))
    async with asyncio.timeout(30):
        waiting = 0
        while not waiting:
            waiting = await writer.fetchval(
                "SELECT count(*) FROM pg_locks"
                " WHERE relation = 'webhooks'::regclass AND NOT granted"
            )
    await writer.execute(
        "INSERT INTO webhooks (id, url, types, generation, kid, made_by)"
        " VALUES ('wh-1', 'https://a.example', '{}', 1, 'k1', 'ann')"
    )
    await adding.commit()
    await moving
    assert await writer.fetchval("SELECT version_num FROM alembic_version") == after
    assert await writer.fetchval("SELECT count(*) FROM webhooks") == 1


async def test_the_old_secrets_of_webhooks_go_on_signing_forward_and_back(
    database: str, writer: Connection
) -> None:
    await migrate.upgrade(database, "0017")
    await writer.execute(
        "INSERT INTO webhooks (id, url, types, generation, kid, made_by, old_kid, old_until)"
        " VALUES ('signs', 'https://a.example', '{}', 3, 'k2', 'ann', 'k1', now() + '1 hour'),"
        " ('is-over', 'https://a.example', '{}', 2, 'k2', 'ann', 'k1', now() - '1 hour'::interval),"
        " ('is-first', 'https://a.example', '{}', 1, 'k2', 'ann', NULL, NULL)"
    )
    old = "SELECT id, old_kid, old_until FROM webhooks WHERE old_until > now()"
    before = await writer.fetch(old)
    await migrate.upgrade(database, "0018")
    kept = await writer.fetch("SELECT webhook_id, generation, kid FROM webhook_old_secrets")
    assert [tuple(row) for row in kept] == [("signs", 2, "k1")]
    await migrate.downgrade(database, "0017")
    assert await writer.fetch(old) == before
