"""A real standby: it takes over with or without what was committed last, and answers syncs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from core_api.errors import CoreError
from core_api.postgres.pool import Pool, check_database, open_pool
from core_api.restore.main import look_for_restore
from core_api.settings import RestoreSettings
from deploy.local.broker import EmbeddedBroker
from deploy.processes.ports import LOOPBACK
from tests.data_folder import data_folder
from tests.drilled_postgres import DrilledPostgres
from tests.integration.core_api.relaying import (
    PARTITIONS,
    commands,
    followed,
    place,
    started,
    until_empty,
)
from tests.integration.core_service import CoreService, bearer, token
from tests.parts import migrated_database
from tests.standbys import Standby

# Each starts servers of its own, whose death nobody else must meet.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("failover")]

EPOCH = "SELECT epoch FROM epoch"
WITNESSED = "SELECT replicated FROM epoch_witness"


@asynccontextmanager
async def failing_over(*, is_synchronous: bool) -> AsyncIterator[tuple[Standby, str, Pool]]:
    """A migrated database on a primary with a standby; its URL with both hosts, and a pool."""
    with data_folder("yabam-failover-") as folder:
        # No fsync, as the data is thrown away; commits wait for the standby all the same.
        waits = {"synchronous_commit": "on"}
        primary = DrilledPostgres(folder / "primary", durable=False, settings=waits)
        standby = Standby(primary, folder / "standby", durable=False, settings=waits)
        try:
            await asyncio.to_thread(primary.start)
            await asyncio.to_thread(standby.start)
            name = (await migrated_database(primary)).rpartition("/")[2]
            await standby.follow(is_synchronous=is_synchronous)
            hosts = f"{LOOPBACK}:{primary.port},{LOOPBACK}:{standby.server.port}"
            url = f"postgresql://postgres@{hosts}/{name}"
            pool = await open_pool(url, size=4, command_timeout_s=10, name="test")
            try:
                yield standby, url, pool
            finally:
                pool.terminate()
        finally:
            await asyncio.to_thread(standby.stop)
            if primary.process.running:
                await asyncio.to_thread(primary.stop_at_once)


async def until(pool: Pool, condition: str) -> None:
    """Return once the condition holds; the database may be away meanwhile."""
    async with asyncio.timeout(60):
        while True:
            try:
                await check_database(pool)
                if await pool.fetchval(condition):
                    return
            except (CoreError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass
            await asyncio.sleep(0.02)


async def test_a_synchronous_standby_takes_over_and_the_epoch_goes_on(
    embedded_broker: EmbeddedBroker, topic: str
) -> None:
    bootstrap = embedded_broker.bootstrap
    async with (
        failing_over(is_synchronous=True) as (standby, url, pool),
        started(pool, url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        keys = [f"key-{number}" for number in range(3)]
        placed = [await place(commands(pool), "12", table=None, key=key) for key in keys]
        await until_empty(pool, 60)
        epoch = await pool.fetchval(EPOCH)
        born_in = await pool.fetchval("SELECT born_in FROM epoch")
        await until(pool, WITNESSED)
        await asyncio.to_thread(standby.take_over)
        await until(pool, f"SELECT born_in <> '{born_in}' FROM epoch")
        again = [await place(commands(pool), "12", table=None, key=key) for key in keys]
        assert again == placed
        placed.append(await place(commands(pool), "12", table=None))
        await seen.until(lambda: seen.heads == {"store:12": 4}, 60)
        assert await pool.fetchval(EPOCH) == epoch
        assert {record.epoch for record in seen.records} == {epoch}
        rows = await pool.fetch("SELECT id::text FROM orders")
        assert {row[0] for row in rows} == set(placed)
        settings = {"database_url": url, "kafka": bootstrap, "events_topic": topic}
        look = RestoreSettings.model_validate(settings | {"partitions": PARTITIONS})
        assert await look_for_restore(look) == []


async def test_a_standby_that_lacks_commits_begins_a_new_epoch_by_itself(
    embedded_broker: EmbeddedBroker, topic: str
) -> None:
    bootstrap = embedded_broker.bootstrap
    async with (
        failing_over(is_synchronous=False) as (standby, url, pool),
        started(pool, url, bootstrap, topic),
        followed(bootstrap, topic, gapless=False) as seen,
    ):
        kept = await place(commands(pool), "12", table=None, key="kept")
        await until_empty(pool, 60)
        epoch = await pool.fetchval(EPOCH)
        await standby.fall_behind()
        lost = await place(commands(pool), "12", table=None, key="lost")
        await seen.until(lambda: seen.heads == {"store:12": 2}, 60)
        await asyncio.to_thread(standby.take_over)
        await until(pool, f"SELECT epoch > '{epoch}' FROM epoch")
        rows = await pool.fetch("SELECT id::text FROM orders")
        assert {row[0] for row in rows} == {kept}, f"{lost} was on the primary alone"
        # A writer that asks again with its key is told what is there, and what is not is placed.
        assert await place(commands(pool), "12", table=None, key="kept") == kept
        again = await place(commands(pool), "12", table=None, key="lost")
        assert await pool.fetchval("SELECT count(*) FROM orders WHERE id::text = $1", again) == 1
        assert again != lost
        await seen.until(lambda: seen.records[-1].epoch > epoch, 60)


async def test_writes_go_to_the_primary_whichever_host_stands_first() -> None:
    async with failing_over(is_synchronous=False) as (standby, url, _):
        before, name = url.rpartition("/")[::2]
        scheme, hosts = before.rpartition("@")[::2]
        backwards = f"{scheme}@{','.join(reversed(hosts.split(',')))}/{name}"
        pool = await open_pool(backwards, size=1, command_timeout_s=10, name="test")
        try:
            await check_database(pool)
            await asyncio.to_thread(standby.take_over)
            await until(pool, "SELECT true")
        finally:
            pool.terminate()


async def test_a_standby_alone_is_an_absent_database() -> None:
    async with failing_over(is_synchronous=False) as (standby, _, pool):
        standby.primary.kill()
        with pytest.raises(CoreError, match="read-only, as a standby is"):
            await check_database(pool)


async def test_a_standby_answers_the_syncs_of_clients_that_it_has_enough_for(
    embedded_broker: EmbeddedBroker, topic: str, tmp_path: Path
) -> None:
    async with failing_over(is_synchronous=False) as (standby, url, pool):
        replica = f"{standby.server.url.rpartition('/')[0]}/{url.rpartition('/')[2]}"
        settings = {"YABAM_REPLICA_DATABASE_URL": replica}
        core = await asyncio.to_thread(CoreService.start, url, tmp_path, settings)
        try:
            async with started(pool, url, embedded_broker.bootstrap, topic), core.client:
                await until(pool, "SELECT EXISTS (SELECT FROM epoch_witness)")
                owner = bearer(token("owner", "12"))
                asked = {"channel": "store:12"}
                first = (await core.client.get("/v1/sync", params=asked, headers=owner)).json()
                asked |= {"lastEventId": first["cursor"], "epoch": first["epoch"]}

                async def synced() -> dict[str, Any]:
                    answer = await core.client.get("/v1/sync", params=asked, headers=owner)
                    assert answer.status_code == 200, answer.text
                    return dict(answer.json())

                answers = [await synced() for _ in range(20)]
                assert {one["channels"][0]["head"] for one in answers} == {0}
                counted = await counts(core)
                assert counted["replica"] >= 15, "the first ones come before the primary is known"
                await place(commands(pool), "12", table=None)
                while (news := await synced())["channels"][0]["head"] == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                assert [one["seq"] for one in news["channels"][0]["events"]] == [1]
                assert news["stream"] is not None
                await standby.fall_behind()
                await place(commands(pool), "12", table=None)
                async with asyncio.timeout(30):
                    while (news := await synced())["channels"][0]["head"] == 1:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                assert (await counts(core))["stale"] > 0
        finally:
            await asyncio.to_thread(core.stop)


async def counts(core: CoreService) -> dict[str, float]:
    """What became of the syncs for which the standby was asked."""
    answer = await core.client.get("/metrics", headers=bearer(token("ops")))
    rows = re.findall(r'yabam_core_replica_syncs_total\{outcome="(\w+)"\} (\S+)', answer.text)
    return {outcome: float(count) for outcome, count in rows}
