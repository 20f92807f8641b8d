"""A real PgBouncer in transaction mode before Postgres: what needs a session goes past it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from core_api.errors import UnavailableError
from core_api.postgres.pool import check_database, open_pool
from deploy.local.broker import EmbeddedBroker
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.webhook_sender import LOOPBACK, add_sender
from tests.integration.core_api.relaying import commands, followed, place, started
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.parts import migrated_database
from tests.pgbouncer import PgBouncer
from tests.webhook_receiver import Receiver

pytestmark = pytest.mark.xdist_group("pgbouncer")

CONNECTIONS = 2
"""Fewer than there are statements at once, so that they change places."""


@pytest.fixture(scope="module")
def direct_url(postgres_server: EmbeddedPostgres) -> str:
    return asyncio.run(migrated_database(postgres_server))


@pytest.fixture(scope="module")
def pooler(direct_url: str) -> Iterator[PgBouncer]:
    folder = Path(tempfile.mkdtemp(prefix="yabam-pgbouncer-"))
    folder.chmod(0o777)
    pooler = PgBouncer(folder, direct_url, CONNECTIONS)
    pooler.start()
    yield pooler
    pooler.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def process(
    pooler: PgBouncer, direct_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    settings = {"YABAM_SESSION_DATABASE_URL": direct_url, **LOOPBACK}
    service = CoreService.start(pooler.url, tmp_path_factory.mktemp("core"), settings)
    yield service
    service.stop()


@pytest.fixture
async def core(process: CoreService) -> AsyncIterator[CoreService]:
    service = CoreService.over(process.database, process.stack)
    async with service.client:
        yield service


async def test_many_syncs_and_writes_at_once_get_their_own_answers(core: CoreService) -> None:
    stores = [new_store() for _ in range(20)]

    async def use(store: str) -> None:
        owner = bearer(token("owner", store))
        for n in range(5):
            placed = await core.client.post(
                "/v1/orders",
                json=an_order(store),
                headers=owner | {"idempotency-key": f"{store}-{n}"},
            )
            assert placed.status_code == 201, placed.text
            asked = {"channel": f"store:{store}"}
            synced = await core.client.get("/v1/sync", params=asked, headers=owner)
            (channel,) = synced.json()["channels"]
            assert (channel["channel"], channel["head"]) == (f"store:{store}", n + 1)
            assert {order["store_id"] for order in channel["snapshot"]["orders"]} == {store}

    await asyncio.gather(*map(use, stores))


async def test_a_waiting_sync_is_woken_by_a_commit_of_another_process(
    core: CoreService, direct_url: str
) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    asked = {"channel": f"store:{store}", "wait": "20"}
    first = (await core.client.get("/v1/sync", params=asked, headers=owner)).json()
    pool = await open_pool(direct_url, size=1, command_timeout_s=10, name="another")
    try:
        waiting = asyncio.create_task(
            core.client.get(
                "/v1/sync",
                params=asked | {"lastEventId": first["cursor"], "epoch": first["epoch"]},
                headers=owner,
            )
        )
        await place(commands(pool), store)
        (channel,) = (await waiting).json()["channels"]
        assert channel["head"] == 1
    finally:
        pool.terminate()


async def test_a_relay_works_through_it(
    pooler: PgBouncer, direct_url: str, embedded_broker: EmbeddedBroker, topic: str
) -> None:
    pool = await open_pool(pooler.url, size=4, command_timeout_s=10, name="relay", is_pooled=True)
    direct = await open_pool(direct_url, size=1, command_timeout_s=10, name="writer")
    store, bootstrap = new_store(), embedded_broker.bootstrap
    try:
        async with (
            started(pool, direct_url, bootstrap, topic),
            followed(bootstrap, topic) as seen,
        ):
            for _ in range(3):
                await place(commands(direct), store, table=None)
            await seen.until(lambda: seen.heads.get(f"store:{store}") == 3, 60)
    finally:
        pool.terminate()
        direct.terminate()


async def test_webhooks_are_sent_through_it(core: CoreService) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    sender = add_sender(core.stack, free_port(), "webhooks")
    async with Receiver() as receiver:
        wanted = {"url": receiver.url, "stores": [store]}
        added = await core.client.post("/v1/webhooks", json=wanted, headers=owner)
        assert added.status_code == 201, added.text
        receiver.secret = added.json()["secret"]
        sender.start()
        try:
            await asyncio.to_thread(sender.wait_ready, 60)
            placed = await core.client.post("/v1/orders", json=an_order(store), headers=owner)
            assert placed.status_code == 201, placed.text
            await receiver.until(lambda r: r.seqs(f"store:{store}") == [1])
        finally:
            sender.kill()


async def test_the_pooler_sets_what_a_session_of_ours_would_set(pooler: PgBouncer) -> None:
    pool = await open_pool(pooler.url, size=1, command_timeout_s=10, name="look", is_pooled=True)
    try:
        for name in ("jit", "enable_seqscan"):
            assert await pool.fetchval(f"SELECT current_setting('{name}')") == "off"
    finally:
        pool.terminate()


async def test_a_pooler_that_is_not_named_as_one_is_told_of_at_once(pooler: PgBouncer) -> None:
    pool = await open_pool(pooler.url, size=1, command_timeout_s=10, name="unnamed")
    try:
        with pytest.raises((UnavailableError, asyncpg.PostgresError), match="startup parameter"):
            await check_database(pool)
    finally:
        pool.terminate()
