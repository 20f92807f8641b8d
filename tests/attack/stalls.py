"""What it costs others when one store, one subject or one shard is slow.

The report of a run in full size (`report.py`) judges the times, which fail no test: they depend on
the machine. A scenario asserts that others are not refused, push continues and no process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer

from tests.attack.others import Others, measured, send_command
from tests.attack.site import Figures, Site
from tests.chaos.worst import order_of, stores_of_every_shard
from tests.integration.core_service import an_order, bearer, new_store, token

TARGET: Final = 2.0
"""The largest allowed growth of the others' p99, on a machine with a core for each process."""
_BATCHES: Final = 40
_GREEDY: Final = 4
_PARTITIONS: Final = 4
_HELD_WITHIN_S: Final = 30.0
Work = Coroutine[Any, Any, None]


def _size(full: bool) -> tuple[int, int]:
    """How many rounds, and how many turns of each worker in a phase of a round."""
    return (5, 60) if full else (1, 10)


@asynccontextmanager
async def _beside(*work: Work) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _transaction(site: Site) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Another database session, in a transaction that is rolled back at the end."""
    database = await asyncpg.connect(site.stack.addresses.database)
    held = database.transaction()
    await held.start()
    try:
        yield database
    finally:
        await held.rollback()
        await database.close()


async def locked_row(site: Site, full: bool) -> Figures:
    """Another session locks the counter row of one store, which gets orders all the time."""
    figures: Figures = {}
    store = new_store()
    owner = bearer(token("owner", store))
    async with (
        site.watched(figures, {site.stack.core: 96}),
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
    ):
        first = await http.post("/v1/orders", json=an_order(store), headers=owner)
        assert first.status_code == 201, first.text

        async def write_on() -> None:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    await http.post("/v1/orders", json=an_order(store), headers=owner)

        @asynccontextmanager
        async def stall() -> AsyncIterator[None]:
            async with _transaction(site) as database:
                head = "SELECT FROM channel_heads WHERE channel = $1 FOR UPDATE"
                await database.execute(head, f"store:{store}")
                async with _beside(*(write_on() for _ in range(_GREEDY))):
                    yield

        figures |= await measured(lambda: Others(site.stack.core_url), stall, *_size(full))
    return figures


async def locked_command(site: Site, full: bool) -> Figures:
    """Another session locks the counter row of one store, which gets commands from Kafka."""
    figures: Figures = {}
    held, *_ = stores_of_every_shard(new_store(), _PARTITIONS)
    kafka = AIOKafkaProducer(bootstrap_servers=site.stack.addresses.kafka)
    await kafka.start()
    try:
        async with (
            site.watched(figures, {site.stack.ingest: 96}),
            httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
        ):
            order = an_order(held)
            first = await http.post("/v1/orders", json=order, headers=bearer(token("owner", held)))
            assert first.status_code == 201, first.text

            @asynccontextmanager
            async def stall() -> AsyncIterator[None]:
                async with _transaction(site) as database:
                    head = "SELECT FROM channel_heads WHERE channel = $1 FOR UPDATE"
                    await database.execute(head, f"store:{held}")
                    for _ in range(_GREEDY):
                        await send_command(kafka, order)
                    yield

            def others() -> Others:
                stores = _watchers(site).stores
                return Others(site.stack.core_url, stores=stores, kafka=kafka)

            figures |= await measured(others, stall, *_size(full))
    finally:
        await kafka.stop()
    return figures


async def huge_syncs(site: Site, full: bool) -> Figures:
    """One subject asks for the largest possible snapshot again and again."""
    figures: Figures = {}
    store = new_store()
    owner = bearer(token("owner", store))
    async with (
        site.watched(figures, {site.stack.core: 512}),
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
    ):
        figures["snapshot_orders"] = await _fill(http, store, _BATCHES if full else 8)

        async def sync_on() -> None:
            while True:
                answer = await http.get(f"/v1/sync?channel=store:{store}", headers=owner)
                figures["snapshot_page_bytes"] = len(answer.content)

        figures |= await measured(
            lambda: Others(site.stack.core_url),
            lambda: _beside(*(sync_on() for _ in range(_GREEDY))),
            *_size(full),
        )
    return figures


async def slow_shard(site: Site, full: bool) -> Figures:
    """Another session locks rows of one shard's outbox, which gets orders all the time."""
    figures: Figures = {}
    slow, *_ = stores_of_every_shard(new_store(), _PARTITIONS)
    owner = bearer(token("owner", slow))
    async with (
        site.watched(figures, {site.stack.core: 96}),
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
    ):

        async def write_on() -> None:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    await http.post("/v1/orders", json=an_order(slow, None), headers=owner)
                await asyncio.sleep(0.02)

        @asynccontextmanager
        async def stall() -> AsyncIterator[None]:
            async with _transaction(site) as database, _beside(write_on()):
                figures["rows_held"] = await _hold_rows_of(database, slow)
                yield

        figures |= await measured(lambda: _watchers(site), stall, *_size(full))
    return figures


async def _hold_rows_of(database: asyncpg.Connection[asyncpg.Record], store: str) -> int:
    """Lock some rows that the relay has read and not yet deleted. Returns how many."""
    take = "SELECT id FROM outbox WHERE store_id = $1 LIMIT 5 FOR UPDATE SKIP LOCKED"
    async with asyncio.timeout(_HELD_WITHIN_S):
        while not (held := await database.fetch(take, store)):
            pass
    return len(held)


async def flooded_shard(site: Site, full: bool) -> Figures:
    """One store places as many of the largest orders as it may, which floods its shard.

    After a 429 the client waits as Core says. Clients that do not wait are for the proxy to limit,
    which need not read their bodies.
    """
    figures: Figures = {}
    flooded = 0
    slow, *_ = stores_of_every_shard(new_store(), _PARTITIONS)
    async with (
        site.watched(figures, {site.stack.core: 512}),
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
    ):

        async def flood() -> None:
            nonlocal flooded
            owner, body = bearer(token("owner", slow)), _large_orders(slow)
            while True:
                answer = await http.post("/v1/orders/batch", json=body, headers=owner)
                if answer.status_code == 429:
                    await asyncio.sleep(float(answer.headers["retry-after"]))
                    continue
                assert answer.status_code == 200, answer.text
                flooded += len(body["items"])

        figures |= await measured(lambda: _watchers(site), lambda: _beside(flood()), *_size(full))
        figures["flood_orders"] = flooded
    return figures


def _watchers(site: Site) -> Others:
    """Owners of stores in each shard except the first, which is the slow one."""
    stores = stores_of_every_shard(new_store(), _PARTITIONS)[1:]
    stores += stores_of_every_shard(new_store(), _PARTITIONS)[1:]
    return Others(site.stack.core_url, pushes=True, stores=stores)


def _large_orders(store: str) -> dict[str, list[Any]]:
    """A batch of 20 orders of 10 large lines each."""
    return {"items": [{"order": order_of(store, 10, "large")} for _ in range(20)]}


async def _fill(http: httpx.AsyncClient, store: str, batches: int) -> int:
    """Place batches of large orders until all are placed or one is refused. Returns how many."""
    owner, taken = bearer(token("owner", store)), 0
    for _ in range(batches):
        answer = await http.post("/v1/orders/batch", json=_large_orders(store), headers=owner)
        made = [r for r in answer.json().get("results", []) if r["status"] == 201]
        taken += len(made)
        if not made:
            break
    return taken
