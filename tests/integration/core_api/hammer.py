"""Tests two ways of numbering a log with many writers, killed at random, and their followers.

Each channel's follower reads the log after the last seq that it has seen, as Fetch Sync does. By
the promise, it must see 1, 2, 3 … and every committed event.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import asyncpg

from core_api.access.callers import Caller
from core_api.errors import UnavailableError
from core_api.orders.admission import OpenLimits
from core_api.orders.lifecycle import NewItem, PlaceOrder, Transition
from core_api.orders.service import OrderService
from core_api.postgres.pool import Pool, mapped_errors, open_pool
from core_api.wiring import new_order_id, utc_now

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Write: TypeAlias = Callable[[str, random.Random], Awaitable[None]]

OWNER: Final = Caller("owner", "owner", frozenset({"*"}))
PROCESSES: Final = 8
WRITERS: Final = 5
"""Writers in each process."""
ORDERS_EACH: Final = 20
_CONNECTIONS: Final = 3
"""Connections of each process."""
_ROOM: Final = OpenLimits(table_orders=8000)


class Scheme(Protocol):
    """A way to keep a log."""

    async def make(self, url: str, stores: Sequence[str]) -> None:
        """Make the tables that its database does not have yet."""

    def writer(self, pool: Pool) -> Write:
        """A function that writes for one process: an order of the store, and one step of it."""

    def channels(self, store: str) -> list[str]:
        """The channels to follow for the store."""

    log: str
    """Selects the seqs of channel $1 after $2."""


class Counters:
    """Yabam's way: a counter row per channel, locked just before the commit.

    Its database must be migrated.
    """

    log = "SELECT seq FROM channel_log WHERE channel = $1 AND seq > $2 ORDER BY seq"

    async def make(self, url: str, stores: Sequence[str]) -> None:
        """Do nothing, because a migrated database has all tables."""

    def writer(self, pool: Pool) -> Write:
        commands = OrderService(
            pool, 4, utc_now, new_order_id, lambda _channels: None, open_limits=_ROOM
        )

        async def write(store: str, chance: random.Random) -> None:
            table = str(chance.randrange(3))
            order = PlaceOrder(store, "KRW", [NewItem("a", 1, 1)], table_id=table)
            written = await commands.place(OWNER, order)
            await commands.transition(OWNER, written.order_id, Transition("accepted"))

        return write

    def channels(self, store: str) -> list[str]:
        return [f"store:{store}", f"table:{store}/1"]


class Sequences:
    """The control: like a BIGSERIAL, but to be fair with one sequence for each channel."""

    log = "SELECT seq FROM log WHERE channel = $1 AND seq > $2 ORDER BY seq"

    async def make(self, url: str, stores: Sequence[str]) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE steps (id BIGSERIAL PRIMARY KEY, what TEXT)")
        await connection.execute(
            "CREATE TABLE log (channel TEXT, seq BIGINT, PRIMARY KEY (channel, seq))"
        )
        for store in stores:
            await connection.execute(f'CREATE SEQUENCE "seq_store:{store}"')
        await connection.close()

    def writer(self, pool: Pool) -> Write:
        async def write(store: str, _chance: random.Random) -> None:
            with mapped_errors():
                async with pool.acquire() as connection:
                    for what in ("placed", "accepted"):
                        async with connection.transaction():
                            await connection.execute(
                                "INSERT INTO log VALUES ($1, nextval(format('%I', 'seq_' || $1)))",
                                f"store:{store}",
                            )
                            await connection.execute("INSERT INTO steps (what) VALUES ($1)", what)

        return write

    def channels(self, store: str) -> list[str]:
        return [f"store:{store}"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one follower saw, and what the log has in the end."""

    channel: str
    shown: list[int]
    stored: list[int]

    @property
    def missed(self) -> list[int]:
        """Seqs that were committed but never shown."""
        return sorted(set(self.stored) - set(self.shown))

    @property
    def gaps(self) -> list[int]:
        """Numbers below the last one that no event has."""
        return sorted(set(range(1, max(self.stored, default=0) + 1)) - set(self.stored))

    @property
    def is_whole(self) -> bool:
        """Whether the promise holds: it saw 1, 2, 3 … and every committed event."""
        return self.shown == list(range(1, len(self.stored) + 1)) == self.stored


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run of the hammer."""

    seen: list[Seen]
    written: int
    killed: int


async def hammer(
    url: str, scheme: Scheme, stores: Sequence[str], killing: bool, seed: int
) -> Outcome:
    """Run all writers to the end, with followers; `killing` cuts writers' connections."""
    chance = random.Random(seed)
    await scheme.make(url, stores)
    channels = [channel for store in stores[:2] for channel in scheme.channels(store)]
    done = asyncio.Event()
    async with _pools(url) as pools:
        followers = [asyncio.create_task(_follow(url, scheme.log, name, done)) for name in channels]
        killer = asyncio.create_task(_kill_at_random(url, chance, done)) if killing else None
        counts = await asyncio.gather(
            *(_write_many(scheme.writer(pool), chance, stores) for pool in pools)
        )
        done.set()
        killed = await killer if killer else 0
        shown = await asyncio.gather(*followers)
    connection = await asyncpg.connect(url)
    seen = [
        Seen(channel, seqs, [row[0] for row in await connection.fetch(scheme.log, channel, 0)])
        for channel, seqs in zip(channels, shown, strict=True)
    ]
    await connection.close()
    return Outcome(seen, sum(counts), killed)


@asynccontextmanager
async def _pools(url: str) -> AsyncIterator[list[Pool]]:
    pools = [
        await open_pool(url, size=_CONNECTIONS, command_timeout_s=10, name="writer")
        for _ in range(PROCESSES)
    ]
    try:
        yield pools
    finally:
        for pool in pools:
            pool.terminate()


async def _write_many(write: Write, chance: random.Random, stores: Sequence[str]) -> int:
    """Run one process's writers. Returns how many orders they wrote."""
    written = 0

    async def one() -> None:
        nonlocal written
        for _ in range(ORDERS_EACH):
            try:
                await write(chance.choice(stores), chance)
                written += 1
            except UnavailableError:
                await asyncio.sleep(0)

    await asyncio.gather(*(one() for _ in range(WRITERS)))
    return written


async def _kill_at_random(url: str, chance: random.Random, done: asyncio.Event) -> int:
    """Cut a writer's connection at random times. Returns the number of cuts."""
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


async def _follow(url: str, log: str, channel: str, done: asyncio.Event) -> list[int]:
    """Read the log after the last seq seen, until the writers are done."""
    connection = await asyncpg.connect(url)
    shown: list[int] = []
    last_round = False
    while True:
        rows = await connection.fetch(log, channel, shown[-1] if shown else 0)
        shown += [row[0] for row in rows]
        if last_round:
            break
        last_round = done.is_set()
        await asyncio.sleep(0)
    await connection.close()
    return shown
