"""A dump is restored under live clients: they notice, start again, and match the database."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from client_sdk import Item, OrderProducer
from deploy.local.postgres import EmbeddedPostgres, binaries
from deploy.processes.process import Process
from tests.end_to_end.conftest import Installation
from tests.end_to_end.followers import Follower, heads, orders_of
from tests.forked import FORKED

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

ITEMS = [Item("Bibimbap", 1, 9_500)]
CHANNELS = ("store:1", "table:1/1", "table:1/2")

Restore: TypeAlias = Callable[[EmbeddedPostgres, str, Path], None]


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def dump(database: str, to: Path) -> None:
    run(str(binaries() / "pg_dump"), "-Fc", "-f", str(to), "-d", database)


def into_a_new_database(postgres: EmbeddedPostgres, database: str, dumped: Path) -> None:
    """Drop the database, make one of the same name, load the dump into it."""
    name = database.rpartition("/")[2]

    async def make() -> None:
        admin = await asyncpg.connect(postgres.url)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {name}")
        await admin.close()

    asyncio.run(make())
    run(str(binaries() / "pg_restore"), "-d", database, str(dumped))


def in_place(_postgres: EmbeddedPostgres, database: str, dumped: Path) -> None:
    """Load the dump over the tables of the same database: its identity does not change."""
    run(str(binaries() / "pg_restore"), "--clean", "--if-exists", "-d", database, str(dumped))


def yabam(stack: Installation, *arguments: str) -> tuple[int | None, str]:
    """Run the command line as an operator does; its exit status, and what it said."""
    log = stack.folder / "log" / "operator.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "client_sdk.cli", *arguments]
    process = Process("yabam", command, stack.environment, log, None, starter=FORKED)
    process.start()
    return process.wait(timeout_s=60), log.read_text()


async def place(producer: OrderProducer, count: int) -> None:
    for n in range(count):
        order = await producer.place("1", ITEMS, currency="KRW", table_id=str(n % 2 + 1))
        await producer.transition(order.id, "accepted")


async def agree(database: str, followers: list[Follower], resets: int) -> None:
    """Return once every follower has had so many resets and holds the database's open orders."""
    for follower in followers:
        expected = await orders_of(database, follower.channel)
        still_open = {key: order for key, order in expected.items() if order.is_open}
        while True:
            held = {order.id: order for order in follower.client.orders}
            if held == still_open and len(follower.resets) == resets:
                break
            await asyncio.sleep(0.02)


@pytest.fixture
def extra_settings() -> dict[str, str]:
    return {"YABAM_RELAY_LEASE_S": "2"}


@pytest.mark.parametrize("restore", [into_a_new_database, in_place])
async def test_clients_of_a_restored_database_start_anew_and_agree_with_it(
    stack: Installation, postgres: EmbeddedPostgres, tmp_path: Path, restore: Restore
) -> None:
    database = stack.addresses.database
    token = stack.token("owner", "1")
    followers = [Follower(stack.core_url, token, channel) for channel in CHANNELS]
    async with OrderProducer(stack.core_url, token, attempts=30) as producer:
        await place(producer, 10)
        for follower in followers:
            follower.start()
        async with asyncio.timeout(60):
            await agree(database, followers, 1)
        dumped = tmp_path / "dump"
        await asyncio.to_thread(dump, database, dumped)
        status, said = await asyncio.to_thread(yabam, stack, "db", "restore-check")
        assert (status, "nothing shows" in said) == (0, True), said

        await place(producer, 10)
        async with asyncio.timeout(60):
            await agree(database, followers, 1)
        lost = await heads(database)

        for process in (stack.core, stack.relay, stack.ingest):
            await asyncio.to_thread(process.stop)
        await asyncio.to_thread(restore, postgres, database, dumped)
        assert (await heads(database))["store:1"] < lost["store:1"], "the dump is older"
        status, said = await asyncio.to_thread(yabam, stack, "db", "restore-check", "--look")
        assert (status, "store:1@" in said) == (1, True), said
        assert ("began in the database" in said) == (restore is into_a_new_database), said
        status, said = await asyncio.to_thread(yabam, stack, "db", "restore-check")
        assert status == 0, said
        for process in (stack.core, stack.relay, stack.ingest):
            process.start()
        await asyncio.to_thread(stack.core.wait_ready, 30)

        await place(producer, 25)
        assert (await heads(database))["store:1"] > lost["store:1"], "seqs are given again"
    try:
        async with asyncio.timeout(60):
            await agree(database, followers, 2)
        assert [follower.resets for follower in followers] == [["first_sync", "epoch"]] * 3
        status, said = await asyncio.to_thread(yabam, stack, "db", "restore-check", "--look")
        assert (status, "nothing shows" in said) == (0, True), said
    finally:
        for follower in followers:
            await follower.stop()
