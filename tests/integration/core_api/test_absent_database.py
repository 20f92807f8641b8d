"""A database that is read-only or not migrated is an absent one: 503, not ready, waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from client_sdk.contract.problem import decode_problem
from core_api.postgres.migrate import upgrade
from core_api.postgres.pool import NEEDED_REVISION, check_database, open_pool
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Stack, free_ports
from tests.forked import FORKED
from tests.integration.core_service import KEYS, CoreService, an_order, bearer, new_store, token
from tests.parts import migrated_database

pytestmark = pytest.mark.xdist_group("core-absent-database")


@pytest.fixture(scope="module")
def process(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    """A Core of this module's own: others must not meet its troubles."""
    database = asyncio.run(migrated_database(postgres_server))
    service = CoreService.start(database, tmp_path_factory.mktemp("absent"))
    yield service
    service.stop()


@pytest.fixture
async def core(process: CoreService) -> AsyncIterator[CoreService]:
    service = CoreService.over(process.database, process.stack)
    async with service.client:
        yield service


async def until_ready(client: httpx.AsyncClient, status: int = 200) -> httpx.Response:
    """Return once `/readyz` answers so."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.get("/readyz")
            if answer.status_code == status:
                return answer
            await asyncio.sleep(0.05)


async def until_refused(client: httpx.AsyncClient, reason: str) -> httpx.Response:
    """Return once `/readyz` gives this reason; a session that was just cut has another first."""
    async with asyncio.timeout(60):
        while reason not in (await until_ready(client, 503)).text:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return await client.get("/readyz")


def check_unavailable(answer: httpx.Response, reason: str) -> None:
    problem = decode_problem(answer.content)
    assert problem is not None, answer.text
    assert (answer.status_code, problem.slug) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert reason in problem.detail


async def cut(admin: asyncpg.Connection[asyncpg.Record]) -> None:
    """End Core's sessions, so that it opens new ones."""
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'yabam-core' AND datname = current_database()"
    )


@pytest.mark.parametrize("who", ["DATABASE", "ROLE"])
async def test_a_read_only_database_is_waited_for(core: CoreService, who: str) -> None:
    store = new_store()
    owner = bearer(token("owner", store), yabam_device="till-1; mode=live; pending=0")
    admin = await asyncpg.connect(core.database)
    name = await admin.fetchval(
        f"SELECT quote_ident({'current_database()' if who == 'DATABASE' else 'current_user'})"
    )
    pid = core.stack.core.pid
    await admin.execute(f"ALTER {who} {name} SET default_transaction_read_only = on")
    try:
        await cut(admin)
        check_unavailable(await until_refused(core.client, "read-only"), "read-only")
        placed = await core.client.post("/v1/orders", json=an_order(store), headers=owner)
        check_unavailable(placed, "read-only")
        # What a sync leaves behind cannot be stored: it must end nothing.
        assert (await core.client.get(f"/v1/sync?channel=store:{store}&lastEventId=0",
                                      headers=owner)).status_code == 200  # fmt: skip
        listed = await core.client.get(f"/v1/stores/{store}/devices", headers=owner)
        check_unavailable(listed, "read-only")
    finally:
        await admin.execute("SET default_transaction_read_only = off")
        await admin.execute(f"ALTER {who} {name} RESET default_transaction_read_only")
        await cut(admin)
        await admin.close()
    await until_ready(core.client)
    placed = await core.client.post("/v1/orders", json=an_order(store), headers=owner)
    assert placed.status_code == 201
    listed = await core.client.get(f"/v1/stores/{store}/devices", headers=owner)
    assert [device["device"] for device in listed.json()["devices"]] == ["till-1"]
    assert core.stack.core.running
    assert core.stack.core.pid == pid


async def test_a_core_on_an_unmigrated_database_waits_until_it_is_migrated(
    database: str, tmp_path: Path
) -> None:
    stack = Stack(
        Addresses(database, "127.0.0.1:1", ports=free_ports()), KEYS, tmp_path, {}, starter=FORKED
    )
    stack.core.start()
    store = new_store()
    owner = bearer(token("owner", store))
    try:
        async with httpx.AsyncClient(base_url=stack.core_url, timeout=30) as client:
            async with asyncio.timeout(60):
                while not await listening(client):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            check_unavailable(await client.get("/readyz"), "yabam db upgrade")

            async def place() -> httpx.Response:
                return await client.post("/v1/orders", json=an_order(store), headers=owner)

            async with asyncio.timeout(60):
                # Until it has tried to read who is signed out, that is all that it can say.
                while "just started" in (placed := await place()).text:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            check_unavailable(placed, "yabam db upgrade")
            synced = await client.get(f"/v1/sync?channel=store:{store}", headers=owner)
            check_unavailable(synced, "yabam db upgrade")
            await upgrade(database)
            await until_ready(client)
            placed = await client.post("/v1/orders", json=an_order(store), headers=owner)
            assert placed.status_code == 201
        assert stack.core.running
    finally:
        stack.core.stop()


async def test_a_database_that_is_half_migrated_is_not_ready_and_one_further_on_is(
    database: str,
) -> None:
    await upgrade(database, "0002")
    pool = await open_pool(database, size=1, command_timeout_s=10, name="test")
    try:
        with pytest.raises(Exception, match=f"at migration 0002, not yet at {NEEDED_REVISION}"):
            await check_database(pool)
        await upgrade(database)
        await check_database(pool)
        await pool.execute("UPDATE alembic_version SET version_num = '9999'")
        await check_database(pool)
    finally:
        pool.terminate()


async def listening(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False
