"""Relays that are killed and frozen, Kafka and Postgres that come and go: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from core_api.errors import UnavailableError
from core_api.postgres.migrate import upgrade
from core_api.postgres.pool import open_pool
from core_api.relay.outbox import Outbox
from deploy.kafka.server import KafkaServer
from deploy.local.broker import EmbeddedBroker
from deploy.local.postgres import EmbeddedPostgres
from deploy.processes.process import Process
from tests.forked import FORKED
from tests.integration.core_api.relaying import (
    all_arrive,
    commands,
    followed,
    place,
    started,
    until_empty,
    until_true,
)
from tests.wiping import wipe_kafka

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

TTL_S = 1.0
Launch = Callable[[str], Process]


@pytest.fixture
def launch(database_url: str, bootstrap: str, topic: str, tmp_path: Path) -> Iterator[Launch]:
    """Starts relays in processes of their own."""
    relays: list[Process] = []

    def start(relay_id: str) -> Process:
        module = "tests.integration.core_api.relay_process"
        relay = Process(
            relay_id,
            [sys.executable, "-m", module, database_url, bootstrap, topic, relay_id, str(TTL_S)],
            {},
            tmp_path / f"{relay_id}.log",
            None,
            starter=FORKED,
        )
        relay.start()
        relays.append(relay)
        return relay

    yield start
    for relay in relays:
        relay.stop()


@pytest.fixture(scope="module")
def mortal_kafka(kafka_libs: Path) -> Iterator[KafkaServer]:
    """An Apache Kafka for the tests that kill it, and start it again."""
    with tempfile.TemporaryDirectory(prefix="yabam-kafka-") as folder:
        server = KafkaServer(Path(folder), kafka_libs)
        yield server
        server.kill()


@contextlib.asynccontextmanager
async def steady_orders(pool: Pool) -> AsyncIterator[None]:
    """Orders for some stores, one after the other, while the block lasts."""
    on = commands(pool)
    ended = asyncio.Event()

    async def keep_placing(store: str) -> None:
        while not ended.is_set():
            with contextlib.suppress(UnavailableError, asyncpg.InternalClientError):
                await place(on, store)
            await asyncio.sleep(0.002)

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(keep_placing(str(number)))
        try:
            yield
        finally:
            ended.set()


async def until_owned(pool: Pool, **shards: int) -> None:
    """Wait until each relay owns as many shards."""
    for relay, count in shards.items():
        await until_true(
            pool,
            f"SELECT count(*) = {count} FROM relay_leases"
            f" WHERE owner = '{relay}' AND expires_at > now()",
        )


async def until_renewed(pool: Pool) -> None:
    """Wait until every lease has been renewed after the ones that hold now had run out."""
    ends = await pool.fetchval("SELECT max(expires_at) FROM relay_leases")
    assert ends is not None
    async with asyncio.timeout(30):
        while not await pool.fetchval(  # noqa: ASYNC110
            "SELECT min(expires_at) > $1 AND now() > $1 FROM relay_leases", ends
        ):
            await asyncio.sleep(0.01)


async def test_a_second_relay_takes_its_share_and_gives_it_back_when_it_leaves(
    pool: Pool, bootstrap: str, topic: str, launch: Launch
) -> None:
    async with followed(bootstrap, topic) as seen:
        launch("a")
        await until_owned(pool, a=4)
        b = launch("b")
        async with steady_orders(pool):
            await until_owned(pool, a=2, b=2)
            assert b.stop() == 0
            await until_owned(pool, a=4)
        await all_arrive(pool, seen)
        await until_empty(pool)
        # Shards change hands between two turns, so nothing is even repeated.
        assert seen.repeated == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_shards_of_a_relay_that_dies_or_stalls_go_on_within_its_lease(
    pool: Pool, bootstrap: str, topic: str, launch: Launch, number: signal.Signals
) -> None:
    async with followed(bootstrap, topic) as seen:
        a = launch("a")
        await until_owned(pool, a=4)
        b = launch("b")
        await until_owned(pool, a=2, b=2)
        async with steady_orders(pool):
            await asyncio.sleep(0.2)
            b.signal(number)
            stalled_at = time.monotonic()
            await until_owned(pool, a=4)
            assert time.monotonic() - stalled_at < TTL_S + 0.5
            if number == signal.SIGSTOP:
                b.resume()
                await until_owned(pool, a=2, b=2)
        await all_arrive(pool, seen)
        await until_empty(pool)
        assert a.exit_status is None


async def test_relays_that_freeze_again_and_again_only_ever_repeat(
    pool: Pool, bootstrap: str, topic: str, launch: Launch
) -> None:
    async with followed(bootstrap, topic) as seen:
        relays = [launch(name) for name in "ab"]
        await until_owned(pool, a=2, b=2)
        async with steady_orders(pool):
            for round_ in range(6):
                frozen = relays[round_ % 2]
                frozen.suspend()
                await until_owned(pool, **{"ba"[round_ % 2]: 4})
                frozen.resume()
        await all_arrive(pool, seen)
        await until_empty(pool)
        assert len(seen.heads) == 8 * 2, "each store's channel and its table's"


async def test_a_frozen_relay_that_wakes_finds_its_shard_gone(pool: Pool) -> None:
    old = Outbox(pool, "old", TTL_S)
    fences = await old.claim([0])
    assert await old.beat(fences) == {0}
    await until_true(pool, "SELECT now() > max(expires_at) FROM relay_leases")
    assert (await Outbox(pool, "new", TTL_S).claim([0])) == {0: 2}
    assert await old.beat(fences) == set()


@pytest.mark.kafka
@pytest.mark.parametrize("wiped", [False, True], ids=["kept", "wiped"])
async def test_what_is_committed_while_kafka_is_down_is_published_when_it_is_back(
    pool: Pool, database_url: str, mortal_kafka: KafkaServer, topic: str, wiped: bool
) -> None:
    server = mortal_kafka
    if not server.process.running:
        await asyncio.to_thread(server.start)
    on = commands(pool)
    async with started(pool, database_url, server.bootstrap, topic, ttl_s=TTL_S):
        await place(on, "0")
        await until_empty(pool)
        async with steady_orders(pool):
            await asyncio.sleep(0.2)
            server.kill()
            await until_renewed(pool)
            await until_owned(pool, a=4)
        if wiped:
            wipe_kafka(server)
        await asyncio.to_thread(server.start)
        await until_empty(pool, 60)
        for number in range(8):
            await place(on, str(number))
        await until_empty(pool)
        # What had been published before the data was lost is not published again: event
        # servers say sync-required for it, and Fetch Sync has it.
        async with followed(server.bootstrap, topic, gapless=not wiped) as seen:
            await all_arrive(pool, seen)
            assert len(seen.heads) == 8 * 2, "each store's channel and its table's"


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
async def test_a_relay_can_be_stopped_while_kafka_is_away_and_gives_its_leases_back(
    pool: Pool, database_url: str, topic: str, tmp_path: Path, frozen: bool
) -> None:
    broker = EmbeddedBroker(tmp_path)
    await asyncio.to_thread(broker.start)
    try:
        async with started(pool, database_url, broker.bootstrap, topic, ttl_s=TTL_S):
            await place(commands(pool), "12")
            await until_empty(pool)
            broker.process.suspend() if frozen else broker.kill()
            await place(commands(pool), "12")
            await until_renewed(pool)
            await until_owned(pool, a=4)
            leaving_at = time.monotonic()
        assert time.monotonic() - leaving_at < 15
    finally:
        broker.process.resume()
        broker.stop()
    await until_owned(pool, a=0)
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 1


async def test_a_postgres_that_is_killed_and_comes_back_is_relayed_on(
    bootstrap: str, topic: str, tmp_path: Path
) -> None:
    server = EmbeddedPostgres(tmp_path / "data")
    await asyncio.to_thread(server.start)
    try:
        await upgrade(server.url)
        pool = await open_pool(server.url, size=8, command_timeout_s=5, name="test")
        async with (
            started(pool, server.url, bootstrap, topic, ttl_s=TTL_S),
            followed(bootstrap, topic) as seen,
        ):
            async with steady_orders(pool):
                await seen.until(lambda: bool(seen.heads))
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(server.start)
                await asyncio.sleep(0.3)
            await all_arrive(pool, seen)
            await until_empty(pool)
            assert len(seen.heads) == 8 * 2, "each store's channel and its table's"
        pool.terminate()
    finally:
        await asyncio.to_thread(server.stop)
