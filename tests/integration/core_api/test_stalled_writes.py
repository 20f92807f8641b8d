"""A database that takes writes no more, as with a disk that stands still, keeps no sync waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from client_sdk.contract.sync import decode_sync
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

_MORE_THAN_THE_POOL_HOLDS = 40


@pytest.fixture
async def held(core: CoreService) -> AsyncIterator[list[str]]:
    """Stores whose counters somebody holds locked, so that no order of theirs can commit."""
    stores = [new_store() for _ in range(_MORE_THAN_THE_POOL_HOLDS)]
    owner = bearer(token("owner", *stores))
    for store in stores:
        order = an_order(store, None)
        key = {"idempotency-key": f"first-{store}"}
        placed = await core.client.post("/v1/orders", json=order, headers=owner | key)
        assert placed.status_code == 201
    holder = await asyncpg.connect(core.database)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute(
        "SELECT FROM channel_heads WHERE channel = ANY($1) FOR UPDATE",
        [f"store:{store}" for store in stores],
    )
    yield stores
    if not holder.is_closed():
        await transaction.rollback()
        await holder.close()


@pytest.fixture
async def writers(
    core: CoreService, held: list[str]
) -> AsyncIterator[list[asyncio.Task[httpx.Response]]]:
    """An order for each of these stores, which waits for the lock."""
    owner = bearer(token("owner", *held))
    tasks = [
        asyncio.create_task(
            core.client.post(
                "/v1/orders",
                json=an_order(store, None),
                headers=owner | {"idempotency-key": f"second-{store}"},
            )
        )
        for store in held
    ]
    watcher = await asyncpg.connect(core.database)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await watcher.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await watcher.close()
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_orders_of_other_stores_are_written_while_those_of_many_wait(
    core: CoreService, writers: list[asyncio.Task[httpx.Response]]
) -> None:
    store = new_store()
    placed = await core.client.post(
        "/v1/orders", json=an_order(store, None), headers=bearer(token("owner", store))
    )
    assert placed.status_code == 201
    assert not any(writer.done() for writer in writers)


async def test_syncs_and_readiness_are_answered_while_every_writer_waits(
    core: CoreService, held: list[str], writers: list[asyncio.Task[httpx.Response]]
) -> None:
    owner = bearer(token("owner", *held))
    async with asyncio.timeout(5):
        answers = await asyncio.gather(
            *(
                core.client.get("/v1/sync", params={"channel": f"store:{store}"}, headers=owner)
                for store in held
            )
        )
        ready = await core.client.get("/readyz")
    assert [decode_sync(answer.content).channels[0].head for answer in answers] == [1] * len(held)
    assert ready.status_code == 200
    assert not any(writer.done() for writer in writers)
