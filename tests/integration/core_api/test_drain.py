"""SIGTERM at Core: not ready first, then no new connections, then what is open is finished."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from os import kill
from pathlib import Path

import asyncpg
import httpx
import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.parts import migrated_database


@pytest.fixture
async def core(postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[CoreService]:
    database = await asyncio.to_thread(lambda: asyncio.run(migrated_database(postgres_server)))
    service = await asyncio.to_thread(CoreService.start, database, tmp_path)
    yield service
    await asyncio.to_thread(service.stack.core.kill)


async def test_it_is_not_ready_while_it_still_serves_then_takes_nobody_in(
    core: CoreService,
) -> None:
    store = new_store()
    headers = bearer(token("owner", store))
    kill(core.stack.core.pid, signal.SIGTERM)
    async with asyncio.timeout(5):
        while (await _fresh(core, "/readyz")) == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await _fresh(core, "/readyz") == 503
    async with core.client:
        placed = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
    assert placed.status_code == 201
    await asyncio.to_thread(core.stack.core.finish)
    assert core.stack.core.exit_status == 0
    with pytest.raises(httpx.ConnectError):
        await _fresh(core, "/readyz")


async def test_a_write_under_way_is_finished_and_answered(core: CoreService) -> None:
    store = new_store()
    headers = bearer(token("owner", store))
    async with core.client:
        first = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
        database = await asyncpg.connect(core.database)
        held = database.transaction()
        await held.start()
        # The store's counter row is what the next order needs.
        await database.execute(
            "SELECT FROM channel_heads WHERE channel = $1 FOR UPDATE", f"store:{store}"
        )
        writing = asyncio.create_task(
            core.client.post("/v1/orders", json=an_order(store), headers=headers)
        )
        await _until_somebody_waits(core.database)
        kill(core.stack.core.pid, signal.SIGTERM)
        await _until_nobody_is_let_in(core)
        await held.commit()
        await database.close()
        second = await writing
    assert (first.status_code, second.status_code) == (201, 201)
    await asyncio.to_thread(core.stack.core.finish)
    assert core.stack.core.exit_status == 0


async def _fresh(core: CoreService, path: str) -> int:
    """The status that a new connection gets."""
    async with httpx.AsyncClient(base_url=core.stack.core_url, timeout=5) as client:
        return (await client.get(path)).status_code


async def _until_nobody_is_let_in(core: CoreService) -> None:
    """Return once the lead is over: a new connection is refused; or ended without an answer, if it
    came at the moment when Core closed its door."""
    async with asyncio.timeout(30):
        with contextlib.suppress(httpx.NetworkError, httpx.RemoteProtocolError):
            while await _fresh(core, "/readyz"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def _until_somebody_waits(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        async with asyncio.timeout(10):
            while not await connection.fetchval(  # noqa: ASYNC110
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            ):
                await asyncio.sleep(0.02)
    finally:
        await connection.close()
