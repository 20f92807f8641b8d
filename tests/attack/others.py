"""What a stall costs others: owners of other stores order, sync and watch, with and without it."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import msgspec
from aiokafka import AIOKafkaProducer

from client_sdk.contract.sse import SseParser
from server_common.kafka_records.events import partition_of
from tests.attack.site import Figures
from tests.integration.core_service import an_order, bearer, new_store, token

KINDS: Final = ("commands", "applied", "syncs", "pushes")
_INBOUND: Final = "orders.inbound"
_PARTITIONS: Final = 4
_SETTLE_S: Final = 0.3
_PUSHED_WITHIN_S: Final = 30.0
_APPLIED_WITHIN_S: Final = 20.0
_WORKERS: Final = 8


@dataclass
class Others:
    """Owners of other stores. Each does one thing after the other.

    Args:
        url: Core's URL.
        pushes: whether they also wait for each order to be pushed.
        stores: their stores. Empty: new stores.
        kafka: for their commands, those of each store in its own partition. None: over HTTP.
    """

    url: str
    pushes: bool = False
    stores: Sequence[str] = ()
    kafka: AIOKafkaProducer | None = None
    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    async def work(self, turns: int) -> None:
        """Each owner works this many turns. A refused request fails the attack."""
        stores = self.stores or [new_store() for _ in range(_WORKERS)]
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as http:
            await asyncio.gather(*(self._work(http, store, turns) for store in stores))

    async def _work(self, http: httpx.AsyncClient, store: str, turns: int) -> None:
        owner = bearer(token("owner", store))
        first = (await http.get(f"/v1/sync?channel=store:{store}", headers=owner)).json()
        head: int = first["channels"][0]["head"]
        async with _watching(http, first["stream"] if self.pushes else None) as pushed:
            for seq in range(head + 1, head + 1 + turns):
                began = time.perf_counter()
                order = an_order(store) | {"table_id": str(seq)}  # a table takes few open orders
                if self.kafka is not None:
                    await send_command(self.kafka, order)
                    await self._sync(http, store, seq - 1, wait_s=_APPLIED_WITHIN_S)
                    self._took("applied", began)
                    continue
                placed = await http.post("/v1/orders", json=order, headers=owner)
                self._took("commands", began)
                assert placed.status_code == 201, f"others are refused: {placed.text}"
                if self.pushes:
                    await pushed(f"store:{store}@{seq}")
                    self._took("pushes", began)
                    continue
                began = time.perf_counter()
                await self._sync(http, store, seq)
                self._took("syncs", began)

    async def _sync(self, http: httpx.AsyncClient, store: str, seq: int, wait_s: float = 0) -> None:
        """Ask for what is new after this seq; with `wait_s`, wait until there is something."""
        asked = f"/v1/sync?lastEventId=store:{store}@{seq}&wait={wait_s:.0f}"
        synced = await http.get(asked, headers=bearer(token("owner", store)), timeout=60)
        assert synced.status_code == 200, f"others are refused: {synced.text}"
        if wait_s:
            assert synced.json()["channels"][0]["events"], "others' commands are not applied"

    def _took(self, kind: str, began: float) -> None:
        self.seconds[kind].append(time.perf_counter() - began)


async def send_command(kafka: AIOKafkaProducer, order: dict[str, Any]) -> None:
    """Send a command that places the order, to the partition of its store."""
    value = {
        "command": "place", "idempotency_key": uuid.uuid4().hex, "subject": "till", "body": order
    }  # fmt: skip
    store = str(order["store_id"])
    await kafka.send_and_wait(
        _INBOUND,
        msgspec.json.encode(value),
        store.encode(),
        partition=partition_of(store, _PARTITIONS),
    )


@asynccontextmanager
async def _watching(
    http: httpx.AsyncClient, grant: dict[str, str] | None
) -> AsyncIterator[Callable[[str], asyncio.Task[None]]]:
    """Open a stream. Yields a function that waits for the event with an id."""
    seen: set[str] = set()
    news = asyncio.Condition()

    async def read(stream: httpx.Response) -> None:
        parser = SseParser()
        async for chunk in stream.aiter_raw():
            async with news:
                seen.update(event.last_event_id for event in parser.feed(chunk))
                news.notify_all()

    async def until_seen(event_id: str) -> None:
        async with asyncio.timeout(_PUSHED_WITHIN_S), news:
            await news.wait_for(lambda: event_id in seen)

    def waiting(event_id: str) -> asyncio.Task[None]:
        return asyncio.ensure_future(until_seen(event_id))

    if grant is None:
        yield waiting
        return
    query = {"ticket": grant["ticket"]}
    async with http.stream("GET", grant["url"], params=query) as stream:
        assert stream.status_code == 200, await stream.aread()
        reading = asyncio.ensure_future(read(stream))
        try:
            yield waiting
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def measured(
    make: Callable[[], Others],
    stall: Callable[[], AbstractAsyncContextManager[object]],
    rounds: int,
    turns: int,
) -> Figures:
    """Measure the cost to others in rounds, each first without the stall and then with it."""
    await make().work(2)  # what only a first request needs is not counted
    found: list[tuple[Others, Others]] = []
    for _ in range(rounds):
        usual, stalled = make(), make()
        await usual.work(turns)
        async with stall():
            await asyncio.sleep(_SETTLE_S)
            await stalled.work(turns)
        found.append((usual, stalled))
    told: Figures = {"rounds": rounds}
    for kind in KINDS:
        pairs = [(u.seconds[kind], s.seconds[kind]) for u, s in found if u.seconds[kind]]
        if pairs:
            told |= compared(kind, pairs)
    return told


def compared(kind: str, pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Figures:
    """Medians over the rounds: p50 and p99 without a stall and with it, and their growth in a
    round. The smallest and the largest growth are given, too."""
    told: Figures = {}
    for percent in (50, 99):
        usual = [percentile_ms(one, percent) for one, _ in pairs]
        stalled = [percentile_ms(one, percent) for _, one in pairs]
        ratios = [more / less for less, more in zip(usual, stalled, strict=True)]
        told |= {
            f"{kind}_p{percent}_ms_without": round(statistics.median(usual), 1),
            f"{kind}_p{percent}_ms_with": round(statistics.median(stalled), 1),
            f"{kind}_p{percent}_ratio": round(statistics.median(ratios), 2),
            f"{kind}_p{percent}_ratio_least": round(min(ratios), 2),
            f"{kind}_p{percent}_ratio_most": round(max(ratios), 2),
        }
    return told


def percentile_ms(seconds: Sequence[float], percent: int) -> float:
    """The percentile of the durations, in milliseconds."""
    ordered = sorted(seconds)
    return 1000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
