"""A stall stays where it is: what others pay while one store, one subject or one shard is slow.

Times are told and not judged: a test that is right on one machine only would be no test. What is
judged is what was promised: others are not refused, push goes on, no process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from tests.attack.site import Figures, Site
from tests.chaos.worst import order_of
from tests.integration.core_service import an_order, bearer, new_store, token

TARGET = 2.0
"""By how much p99 of the others may grow at most, on a machine with a core for each process."""
_WORKERS = 8
_BATCHES = 40
_GREEDY = 4
Work = Coroutine[Any, Any, None]


@dataclass
class Others:
    """Owners of other stores, who place orders and sync, one after the other."""

    url: str
    commands_s: list[float] = field(default_factory=list)
    syncs_s: list[float] = field(default_factory=list)

    async def work(self, turns: int) -> None:
        """So many turns of each; a request that is refused fails the attack."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as http:
            await asyncio.gather(*(self._work(http, turns) for _ in range(_WORKERS)))

    async def _work(self, http: httpx.AsyncClient, turns: int) -> None:
        store = new_store()
        owner = bearer(token("owner", store))
        for seq in range(1, turns + 1):
            began = time.perf_counter()
            placed = await http.post("/v1/orders", json=an_order(store), headers=owner)
            self.commands_s.append(time.perf_counter() - began)
            assert placed.status_code == 201, f"others are refused: {placed.text}"
            began = time.perf_counter()
            synced = await http.get(f"/v1/sync?lastEventId=store:{store}@{seq}", headers=owner)
            self.syncs_s.append(time.perf_counter() - began)
            assert synced.status_code == 200, f"others are refused: {synced.text}"


def p99_ms(seconds: Sequence[float]) -> float:
    """The 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 1)


def compared(name: str, before: Sequence[float], during: Sequence[float]) -> Figures:
    """p99 before and during a stall, and by how much it grew."""
    usual, stalled = p99_ms(before), p99_ms(during)
    return {
        f"{name}_p99_ms_before": usual,
        f"{name}_p99_ms_during": stalled,
        f"{name}_p99_ratio": round(stalled / usual, 2),
    }


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


async def _measured(site: Site, full: bool, *stall: Work) -> Figures:
    turns = 100 if full else 10
    usual, stalled = Others(site.stack.core_url), Others(site.stack.core_url)
    await Others(site.stack.core_url).work(2)  # what a first request makes is not counted
    await usual.work(turns)
    async with _beside(*stall):
        await asyncio.sleep(0.2)
        await stalled.work(turns)
    return compared("commands", usual.commands_s, stalled.commands_s) | compared(
        "syncs", usual.syncs_s, stalled.syncs_s
    )


async def locked_row(site: Site, full: bool) -> Figures:
    """Somebody else holds the counter row of one store, to which orders come all the time."""
    figures: Figures = {}
    store = new_store()
    owner = bearer(token("owner", store))
    async with (
        site.watched(figures, {site.stack.core: 96}),
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
    ):
        assert (
            await http.post("/v1/orders", json=an_order(store), headers=owner)
        ).status_code == 201
        database = await asyncpg.connect(site.stack.addresses.database)
        held = database.transaction()
        await held.start()
        try:
            await database.execute(
                "SELECT FROM channel_heads WHERE channel = $1 FOR UPDATE", f"store:{store}"
            )

            async def write_on() -> None:
                while True:
                    with contextlib.suppress(httpx.HTTPError):
                        await http.post("/v1/orders", json=an_order(store), headers=owner)

            figures |= await _measured(site, full, *(write_on() for _ in range(_GREEDY)))
        finally:
            await held.rollback()
            await database.close()
    return figures


async def huge_syncs(site: Site, full: bool) -> Figures:
    """One subject takes the largest snapshot that it can have, again and again."""
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

        figures |= await _measured(site, full, *(sync_on() for _ in range(_GREEDY)))
    return figures


async def slow_shard(site: Site, full: bool) -> Figures:
    """One store's largest orders, as many as it may place, flood the shard that carries it."""
    figures: Figures = {}
    async with (
        site.watched(figures, {site.stack.core: 512}),
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
    ):
        store = new_store()

        async def flood() -> None:
            while True:
                await _fill(http, store, 1)

        figures |= await _measured(site, full, flood())
    return figures


async def _fill(http: httpx.AsyncClient, store: str, batches: int) -> int:
    """Orders of 20 large lines, until there are enough or no more are taken; how many were."""
    owner, taken = bearer(token("owner", store)), 0
    for _ in range(batches):
        body = {"items": [{"order": order_of(store, 10, "large")} for _ in range(20)]}
        answer = await http.post("/v1/orders/batch", json=body, headers=owner)
        made = [r for r in answer.json().get("results", []) if r["status"] == 201]
        taken += len(made)
        if not made:
            break
    return taken
