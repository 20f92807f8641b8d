"""A partition whose commands wait holds up no other, and commits nothing before they are done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from core_api.ingest import under_way
from core_api.orders.service import OrderService
from core_api.postgres import lock_queues
from core_api.wiring import new_order_id, utc_now
from server_common.kafka_records.events import partition_of
from tests.integration.core_api.relaying import PARTITIONS, until_true
from tests.integration.core_api.test_held_rows import held, writing
from tests.integration.core_api.test_ingest import ORDER, Inbound, a_command, inbound

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

__all__ = ["inbound", "writing"]
_HELD = "SELECT FROM channel_heads WHERE channel = $1 FOR UPDATE"


def of_partition(number: int) -> str:
    """A store of this partition."""
    names = (str(n) for n in range(1_000))
    return next(name for name in names if partition_of(name, PARTITIONS) == number)


async def put(inbound: Inbound, store: str, partition: int, key: str) -> None:
    body = {**ORDER, "store_id": store, "reference": key}
    await inbound.send(a_command(key, body=body), store.encode(), partition=partition)


@pytest.fixture
def core(pool: Pool, writing: Pool) -> OrderService:
    return OrderService(pool, PARTITIONS, utc_now, new_order_id, lambda _: None, writing, 2)


def orders_of(store: str, count: int) -> str:
    return f"SELECT count(*) = {count} FROM orders WHERE store_id = '{store}'"


async def until_tried_again(http: httpx.AsyncClient, url: str) -> str:
    """The numbers once another try has failed: by then nothing else is under way."""
    tries = None
    async with asyncio.timeout(30):
        while True:
            answer = await http.get(f"{url}/metrics", headers={"authorization": "Bearer ops"})
            (line,) = (
                one
                for one in answer.text.splitlines()
                if one.startswith("yabam_ingest_retries_total")
            )
            if tries not in (None, line):
                return answer.text
            tries = line
            await asyncio.sleep(0.05)


async def test_a_held_store_holds_up_no_other_partition(
    core: OrderService,
    pool: Pool,
    inbound: Inbound,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(under_way, "STALLED_S", 0.2)
    monkeypatch.setattr(lock_queues, "PATIENCE_S", 0.3)  # so that a try fails while the row is held
    stuck, free = of_partition(0), of_partition(1)
    port: list[int] = []
    async with inbound.ingested(core, port), httpx.AsyncClient() as http:
        await put(inbound, stuck, 0, "first")
        await inbound.until_committed(1)
        async with held(database_url, _HELD, f"store:{stuck}"):
            await put(inbound, stuck, 0, "held")
            for number in range(3):
                # One after the other: the first may be read together with what is held.
                await put(inbound, free, 1, f"free-{number}")
                await until_true(pool, orders_of(free, number + 1), 30)
                await inbound.until_committed(number + 2)
            await put(inbound, stuck, 0, "behind")
            shown = await until_tried_again(http, f"http://127.0.0.1:{port[0]}")
            ready = await http.get(f"http://127.0.0.1:{port[0]}/readyz")
            assert await inbound.committed() == 4, "nothing of what waits is committed"
        await until_true(pool, orders_of(stuck, 3), 30)
        await inbound.until_committed(6)
    assert "yabam_ingest_stalled_partitions 1.0" in shown
    assert ready.status_code == 200, "the others are served"
    rows = await pool.fetch(
        "SELECT o.reference FROM channel_log l JOIN orders o ON o.id = l.order_id"
        " WHERE l.channel = $1 ORDER BY l.seq",
        f"store:{stuck}",
    )
    assert [row[0] for row in rows] == ["first", "held", "behind"]


async def test_an_end_while_a_partition_waits_leaves_its_commands_for_the_next(
    core: OrderService,
    pool: Pool,
    inbound: Inbound,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core_api.ingest.main._DRAIN_S", 0.5)
    stuck, free = of_partition(0), of_partition(1)
    async with inbound.ingested(core):
        await put(inbound, stuck, 0, "first")
        await inbound.until_committed(1)
    async with held(database_url, _HELD, f"store:{stuck}"), inbound.ingested(core):
        await put(inbound, stuck, 0, "held")
        await put(inbound, free, 1, "free")
        await until_true(pool, orders_of(free, 1), 30)
        await inbound.until_committed(2)
    assert await inbound.committed() == 2
    async with inbound.ingested(core):
        await until_true(pool, orders_of(stuck, 2), 30)
        await inbound.until_committed(3)
