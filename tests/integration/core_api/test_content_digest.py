"""The content digest over a real Postgres: kept by each write, filled in where nobody kept it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from random import Random
from typing import Any

import asyncpg
import pytest
import rfc8785
from asyncpg import BitString

from client_sdk.contract.channel import Channel, parse_channel
from core_api.access.callers import Caller
from core_api.orders.lifecycle import (
    CHANGEABLE,
    ChangeOrder,
    NewGuest,
    NewItem,
    PlaceOrder,
    Target,
    Transition,
    decode_stored_order,
    following,
)
from core_api.orders.service import OrderService
from core_api.postgres import migrate
from core_api.postgres.pool import Pool, open_pool
from core_api.sync import missing_digests as contents
from core_api.sync.missing_digest_statements import correct, read_unknown
from core_api.sync.missing_digests import DigestFiller
from core_api.sync.queries import PageQuery, SnapshotQuery
from core_api.sync.reading import read_pages, read_snapshots
from core_api.wiring import new_order_id, utc_now

OWNER = Caller("owner", "owner", frozenset({"*"}))
STORE = Channel("store", "1")
TABLE = Channel("table", "1", "5")
TEXTS = ("", "no onions", '"\\/\b\f\n\r\t\x01\x1f\x7f', "\u2028\u2029\u0085", "김밥 🍜 é")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, size=4, command_timeout_s=60, name="contents")
    yield pool
    pool.terminate()


def commands_over(pool: Pool) -> OrderService:
    return OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)


def an_order(chance: Random, **more: Any) -> PlaceOrder:
    items = [
        NewItem(f"dish {n}", chance.randint(1, 999), chance.randint(0, 10**9), chance.choice(TEXTS))
        for n in range(chance.randint(1, 3))
    ]
    guest = NewGuest(chance.choice(TEXTS), "010") if chance.random() < 0.5 else None
    table = chance.choice(("5", "6", None))
    known = {"items": items, "guest": guest, "table_id": table, "note": chance.choice(TEXTS)}
    return PlaceOrder(**({"store_id": chance.choice(("1", "2")), "currency": "KRW"} | known | more))


async def live(pool: Pool, chance: Random, steps: int) -> None:
    """Orders placed, changed and taken further at random, several at once."""
    commands = commands_over(pool)
    for _ in range(steps):
        rows = await pool.fetch("SELECT owner_view FROM orders")
        some = [decode_stored_order(row[0]) for row in chance.sample(rows, min(3, len(rows)))]
        work = [commands.place(OWNER, an_order(chance)) for _ in range(2)]
        for order in some:
            ahead: Sequence[Target] = following(order)  # type: ignore[assignment]
            if order.status in CHANGEABLE and chance.random() < 0.4:
                change = ChangeOrder(items=an_order(chance).items, note=chance.choice(TEXTS))
                work.append(commands.change(OWNER, order.id, change))
            elif ahead:
                work.append(commands.transition(OWNER, order.id, Transition(chance.choice(ahead))))
        await asyncio.gather(*work)


async def expected(pool: Pool) -> dict[str, int]:
    """What each channel's digest should be, by an independent library of RFC 8785."""
    digests = {row[0]: 0 for row in await pool.fetch("SELECT channel FROM channel_heads")}
    rows = await pool.fetch(
        "SELECT store_id, table_id, owner_view, table_view FROM orders"
        " WHERE status NOT IN ('rejected', 'paid', 'cancelled')"
    )
    for store, table, owner_view, table_view in rows:
        views = {f"store:{store}": owner_view}
        if table is not None:
            views[f"table:{store}/{table}"] = table_view
        for channel, view in views.items():
            hashed = sha256(rfc8785.dumps(json.loads(view))).digest()
            digests[channel] ^= int.from_bytes(hashed[:16], "big")
    return digests


async def told(pool: Pool) -> dict[str, int | None]:
    """What a sync says of each channel, both with events and with a snapshot."""
    names = [row[0] for row in await pool.fetch("SELECT channel FROM channel_heads")]
    channels = [parse_channel(name) for name in names]
    _, pages = await read_pages(pool, [PageQuery(name, 0, 10) for name in names])
    _, snapshots = await read_snapshots(
        pool,
        [SnapshotQuery(str(c), c.root, c.table_id, 1000, None, None) for c in channels],
    )
    assert [page.content for page in pages] == [opened.content for opened in snapshots]
    return {name: page.content for name, page in zip(names, pages, strict=True)}


async def is_known(pool: Pool, channel: str) -> bool:
    """Whether the channel's content digest is."""
    return bool(
        await pool.fetchval(
            "SELECT content_head = head FROM channel_heads WHERE channel = $1", channel
        )
    )


async def write_as_a_core_from_before(pool: Pool, channel: Channel) -> None:
    """What a Core without content digests does to an open order of the channel, and to its row."""
    await pool.execute(
        'UPDATE orders SET owner_view = replace(owner_view, \'"note":"\', \'"note":"old\'),'
        ' table_view = replace(table_view, \'"note":"\', \'"note":"old\') WHERE id ='
        " (SELECT id FROM orders WHERE store_id = $1 AND status = 'placed' ORDER BY id LIMIT 1)",
        channel.store_id,
    )
    await pool.execute(
        "UPDATE channel_heads SET head = head + 1, digest = digest # 7"
        " WHERE channel = $1 OR channel LIKE $2",
        f"store:{channel.store_id}",
        f"table:{channel.store_id}/%",
    )


@pytest.mark.parametrize("seed", range(3))
async def test_every_write_keeps_it_equal_to_what_the_database_holds(pool: Pool, seed: int) -> None:
    await live(pool, Random(seed), 15)
    digests = await told(pool)
    assert len(digests) > 4
    assert any(digests.values())
    assert digests == await expected(pool)


async def test_a_channel_that_nobody_has_written_to_has_no_order(pool: Pool) -> None:
    _, (page,) = await read_pages(pool, [PageQuery("store:nobody", 0, 10)])
    assert page.content == 0


async def test_it_is_not_believed_once_a_core_from_before_it_has_written(pool: Pool) -> None:
    await commands_over(pool).place(OWNER, an_order(Random(1), store_id="1", table_id="5"))
    await write_as_a_core_from_before(pool, STORE)
    await commands_over(pool).place(OWNER, an_order(Random(2), store_id="1", table_id="5"))
    assert await told(pool) == {"store:1": None, "table:1/5": None}


async def test_what_is_not_known_is_filled_in_and_kept_from_then_on(pool: Pool) -> None:
    chance = Random(5)
    await live(pool, chance, 6)
    for store in ("1", "2"):
        await write_as_a_core_from_before(pool, Channel("store", store))
    unknown = await told(pool)
    assert set(unknown.values()) == {None}
    filler = DigestFiller(pool)
    assert all([await filler.fill(parse_channel(name)) for name in unknown])
    assert await told(pool) == await expected(pool)
    await live(pool, chance, 3)
    assert await told(pool) == await expected(pool)


async def test_writes_of_today_may_come_between_looking_and_filling_in(pool: Pool) -> None:
    chance = Random(6)
    await commands_over(pool).place(OWNER, an_order(chance, store_id="1", table_id="5"))
    await write_as_a_core_from_before(pool, STORE)
    filled = [STORE, TABLE]
    seen = [await read_unknown(pool, channel) for channel in filled]
    await live(pool, chance, 4)
    for channel, one in zip(filled, seen, strict=True):
        assert one is not None
        assert await correct(pool, channel, one, await contents._digest_of(one.orders))
    digests, right = await told(pool), await expected(pool)
    assert [digests[str(channel)] for channel in filled] == [right[str(c)] for c in filled]


async def test_what_was_seen_before_a_core_from_before_wrote_again_is_not_filled_in(
    pool: Pool,
) -> None:
    await commands_over(pool).place(OWNER, an_order(Random(7), store_id="1", table_id="5"))
    await write_as_a_core_from_before(pool, STORE)
    seen = await read_unknown(pool, STORE)
    assert seen is not None
    await write_as_a_core_from_before(pool, STORE)
    assert not await correct(pool, STORE, seen, await contents._digest_of(seen.orders))
    assert (await told(pool))["store:1"] is None


async def test_of_two_that_fill_in_the_same_channel_one_does(pool: Pool) -> None:
    await commands_over(pool).place(OWNER, an_order(Random(8), store_id="1", table_id="5"))
    await write_as_a_core_from_before(pool, STORE)
    seen = await read_unknown(pool, STORE)
    assert seen is not None
    digest = await contents._digest_of(seen.orders)
    assert await correct(pool, STORE, seen, digest)
    assert not await correct(pool, STORE, seen, digest)
    assert (await told(pool))["store:1"] == (await expected(pool))["store:1"]


async def test_the_filler_goes_on_after_a_channel_that_it_cannot_fill_in(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_PAUSE_S", 0.0)
    await commands_over(pool).place(OWNER, an_order(Random(9), store_id="1", table_id=None))
    await commands_over(pool).place(OWNER, an_order(Random(9), store_id="2", table_id=None))
    for store in ("1", "2"):
        await write_as_a_core_from_before(pool, Channel("store", store))
    await pool.execute("UPDATE orders SET owner_view = 'no JSON' WHERE store_id = '1'")
    filler = DigestFiller(pool)
    running = asyncio.create_task(filler.run())
    filler.unknown(STORE)
    filler.unknown(Channel("store", "2"))
    async with asyncio.timeout(30):
        while not await is_known(pool, "store:2"):
            pass
    assert (await told(pool))["store:1"] is None
    assert not running.done()
    running.cancel()


async def test_an_upgrade_waits_for_no_order_and_no_order_for_it(
    database_url: str, pool: Pool
) -> None:
    await live(pool, Random(10), 3)
    await migrate.downgrade(database_url, "0004")
    reader = await asyncpg.connect(database_url)
    held = reader.transaction()
    await held.start()
    await reader.fetch("SELECT FROM channel_heads")  # as a backup does, for as long as it runs
    moving = asyncio.ensure_future(migrate.upgrade(database_url))
    async with asyncio.timeout(30):
        while not await pool.fetchval(
            "SELECT count(*) FROM pg_locks"
            " WHERE NOT granted AND relation = 'channel_heads'::regclass"
        ):
            assert not moving.done(), "it did not wait: the test shows nothing"
        await pool.execute("UPDATE channel_heads SET head = head + 1, digest = digest # 7")
    assert not moving.done(), "it did not wait: the test shows nothing"
    await held.rollback()
    await reader.close()
    async with asyncio.timeout(60):
        await moving
    assert set((await told(pool)).values()) == {None}
    filler = DigestFiller(pool)
    for name in await told(pool):
        assert await filler.fill(parse_channel(name))
    assert await told(pool) == await expected(pool)


async def test_the_column_holds_the_digest_with_its_first_byte_first(pool: Pool) -> None:
    await commands_over(pool).place(OWNER, an_order(Random(3), store_id="1", table_id=None))
    bits: BitString = await pool.fetchval("SELECT content_digest FROM channel_heads")
    assert int.from_bytes(bits.bytes, "big") == (await expected(pool))["store:1"]
