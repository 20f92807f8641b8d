"""Promise 1: seqs without a gap, in commit order, whatever writers do and whatever dies."""

from __future__ import annotations

import asyncio
import random
from typing import TypeAlias

import asyncpg
import pytest

from core_api.access import Caller
from core_api.commanding import Commands
from core_api.errors import UnavailableError
from core_api.main import new_order_id, utc_now
from core_api.orders import ChangeOrder, NewItem, PlaceOrder, Transition
from core_api.storage.migrate import upgrade
from core_api.storage.pool import Pool, open_pool

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

OWNER = Caller("owner", "owner", frozenset({"*"}))
WRITERS = 12
ORDERS_EACH = 40


async def write(pool: Pool, chance: random.Random, stores: list[str], tried: list[int]) -> None:
    """One process's writers: orders and steps, each tried again when the database is cut off."""
    commands = Commands(pool, 4, utc_now, new_order_id, lambda _channels: None)

    async def one() -> None:
        for _ in range(ORDERS_EACH):
            store = chance.choice(stores)
            order = PlaceOrder(
                store, "KRW", [NewItem("a", 1, 1)], table_id=str(chance.randrange(3))
            )
            try:
                written = await commands.place(OWNER, order)
                await commands.transition(OWNER, written.order_id, Transition("accepted"))
                tried.append(1)
            except UnavailableError:
                await asyncio.sleep(0)

    await asyncio.gather(*(one() for _ in range(WRITERS)))


async def kill_at_random(url: str, chance: random.Random, done: asyncio.Event) -> int:
    """Cut database connections of the writers now and then; how many it were."""
    connection = await asyncpg.connect(url)
    killed = 0
    while not done.is_set():
        killed += await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
            " WHERE application_name = 'writer' AND datname = current_database()"
            " ORDER BY random() LIMIT 1) AS victim"
        )
        await asyncio.sleep(chance.uniform(0.01, 0.05))
    await connection.close()
    return killed


async def follow(url: str, channel: str, done: asyncio.Event) -> list[int]:
    """Read the log after the last seq seen, as Fetch Sync does, until the writers are done."""
    connection = await asyncpg.connect(url)
    seen: list[int] = []
    last_round = False
    while True:
        rows = await connection.fetch(
            "SELECT seq FROM channel_log WHERE channel = $1 AND seq > $2 ORDER BY seq",
            channel,
            seen[-1] if seen else 0,
        )
        seen += [row["seq"] for row in rows]
        if last_round:
            break
        last_round = done.is_set()
        await asyncio.sleep(0)
    await connection.close()
    return seen


@pytest.mark.parametrize("stores", [["hot"], [f"s{n}" for n in range(20)]], ids=["one", "many"])
@pytest.mark.parametrize("killing", [False, True], ids=["calm", "killing"])
async def test_seqs_have_no_gap_and_a_follower_misses_nothing(
    database: str, stores: list[str], killing: bool
) -> None:
    await upgrade(database)
    chance = random.Random(11)
    pools = [await open_pool(database, size=6, command_timeout_s=10, name="writer") for _ in "ab"]
    done = asyncio.Event()
    tried: list[int] = []
    followers = [
        asyncio.create_task(follow(database, channel, done))
        for channel in (f"store:{stores[0]}", f"table:{stores[0]}/1")
    ]
    killer = asyncio.create_task(kill_at_random(database, chance, done)) if killing else None
    await asyncio.gather(*(write(pool, chance, stores, tried) for pool in pools))
    done.set()
    assert len(tried) > WRITERS * ORDERS_EACH // 4
    if killer is not None:
        assert await killer > 0
    for follower in followers:
        seen = await follower
        assert seen == list(range(1, len(seen) + 1))
    await check_whole(database)
    for pool in pools:
        pool.terminate()


async def check_whole(url: str) -> None:
    """Over all channels: contiguous logs, heads that fit, an outbox in the order of the log."""
    connection = await asyncpg.connect(url)
    broken = await connection.fetch(
        "SELECT channel FROM channel_heads h LEFT JOIN (SELECT channel, count(*) AS n,"
        " min(seq) AS low, max(seq) AS high FROM channel_log GROUP BY channel) AS l"
        " USING (channel) WHERE h.head <> l.high OR l.low <> 1 OR l.n <> l.high"
    )
    assert broken == []
    disordered = await connection.fetchval(
        "SELECT count(*) FROM (SELECT seqs[1] - lag(seqs[1]) OVER"
        " (PARTITION BY store_id ORDER BY id) AS step FROM outbox) AS o WHERE step <> 1"
    )
    assert disordered == 0
    unlike = await connection.fetchval(
        "SELECT count(*) FROM orders o WHERE version <> (SELECT count(*) FROM channel_log l"
        " WHERE l.channel = 'store:' || o.store_id AND l.order_id = o.id)"
    )
    assert unlike == 0
    await connection.close()


async def test_processes_that_change_one_order_at_once_never_skip_or_double_a_version(
    database: str,
) -> None:
    await upgrade(database)
    pools = [await open_pool(database, size=6, command_timeout_s=10, name="writer") for _ in "abcd"]
    cores = [Commands(pool, 4, utc_now, new_order_id, lambda _channels: None) for pool in pools]
    for _ in range(3):
        placed = await cores[0].place(OWNER, PlaceOrder("one", "KRW", [NewItem("a", 1, 1)]))
        written = await asyncio.gather(
            *(
                commands.change(OWNER, placed.order_id, ChangeOrder(note=f"{n}"))
                for n in range(6)
                for commands in cores
            )
        )
        assert sorted(answer.version for answer in written) == list(range(2, 26))
    await check_whole(database)
    for pool in pools:
        pool.terminate()


async def test_the_control_a_bigserial_lets_a_follower_miss_a_row(database: str) -> None:
    """The reason for counter rows: a sequence gives numbers before the commit, in any order."""
    slow, fast, reader = [await asyncpg.connect(database) for _ in range(3)]
    await reader.execute("CREATE TABLE log (seq BIGSERIAL PRIMARY KEY, word TEXT)")
    first = slow.transaction()
    await first.start()
    await slow.execute("INSERT INTO log (word) VALUES ('first')")
    await fast.execute("INSERT INTO log (word) VALUES ('second')")
    seen = await reader.fetch("SELECT seq, word FROM log WHERE seq > 0 ORDER BY seq")
    cursor = seen[-1]["seq"]
    await first.commit()
    later = await reader.fetch("SELECT seq, word FROM log WHERE seq > $1 ORDER BY seq", cursor)
    assert [row["word"] for row in [*seen, *later]] == ["second"], "the first row was never seen"
    for connection in (slow, fast, reader):
        await connection.close()
