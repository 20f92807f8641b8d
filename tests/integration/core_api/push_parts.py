"""Stores that notify browsers over the tests' own push service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from core_api.access.callers import Caller
from core_api.orders.lifecycle import NewItem, PlaceOrder, Transition
from core_api.orders.service import OrderService
from core_api.postgres.pool import Pool
from core_api.push.messages import PushKeys
from core_api.push.metrics import PushMetrics, Whose
from core_api.push.registrations import PushSubscriptions
from core_api.push.sender import PushSender
from core_api.push.subscribers import Subscribers
from core_api.push.subscriptions import Push, Subscribe
from core_api.receipts.devices import receipt_of
from core_api.receipts.statements import store_sightings
from core_api.webhooks.addresses import Networks
from core_api.webhooks.posting import Poster
from core_api.wiring import new_order_id, utc_now
from server_common.revocations.holders import Holder
from server_common.revocations.records import key_of
from tests.integration.core_api.webhook_parts import LOOPBACK, new_store
from tests.push_service import PushService, encoded

KEYS = PushKeys(encoded(b"k" * 32), "mailto:ops@example.com")


class Shop:
    """Stores, and the browsers that are notified of their orders."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.orders = OrderService(pool, 4, utc_now, new_order_id, lambda _: None)
        self.pushes = PushSubscriptions(pool, KEYS, LOOPBACK)

    async def place(self, store: str, count: int = 1) -> str:
        """Place orders in a store. Returns the last one's id."""
        for _ in range(count):
            wanted = PlaceOrder(store, "KRW", [NewItem("김밥", 1, 3500)])
            placed = await self.orders.place(owner_of(store), wanted)
        return placed.order_id

    async def accept(self, store: str, order_id: str) -> None:
        """Accept an order."""
        await self.orders.transition(owner_of(store), order_id, Transition("accepted"))

    async def receive(self, store: str) -> None:
        """Record that a terminal of the store has received all its orders."""
        epoch = await self.pool.fetchval("SELECT epoch FROM epoch")
        head = await self.pool.fetchval(
            "SELECT head FROM channel_heads WHERE channel = $1", f"store:{store}"
        )
        await store_sightings(self.pool, [receipt_of(store, "till-1", "ann", epoch, head)])

    async def subscribe(
        self, service: PushService, store: str, device: str = "phone", owner: str = "ann"
    ) -> Subscribe:
        """Subscribe a browser of this push service to a store's orders."""
        wanted = service.browser().subscription
        await self.pushes.put(store, device, wanted, holder(owner))
        return wanted

    async def untold(self, service: PushService, count: int = 1) -> str:
        """A new store with a browser, and this many orders that nobody has received."""
        store = new_store()
        await self.subscribe(service, store)
        await self.place(store, count)
        return store

    async def one(self, store: str) -> Push:
        """The only browser of a store."""
        (found,) = await self.pushes.list(store)
        return found

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until it is so in the database. Raises TimeoutError after a minute."""
        async with asyncio.timeout(60):
            while not await is_so():  # noqa: ASYNC110  (in the database)
                await asyncio.sleep(0.02)

    async def until_told(self, store: str) -> None:
        """Wait until it is recorded that the store's only browser was notified."""

        async def is_told() -> bool:
            return (await self.one(store)).pushed_at is not None

        await self.until(is_told)

    async def until_failed(self, store: str) -> Push:
        """Wait until it is recorded that an attempt failed. Returns the store's only browser."""

        async def has_failed() -> bool:
            return (await self.one(store)).failure is not None

        await self.until(has_failed)
        return await self.one(store)

    async def until_forgotten(self, store: str) -> None:
        """Wait until no browser is subscribed to the store's orders."""

        async def is_forgotten() -> bool:
            return not await self.pushes.list(store)

        await self.until(is_forgotten)

    async def mark(self, store: str) -> int:
        """The seq of the last event that the store's only browser needs no notification for."""
        return int(
            await self.pool.fetchval(
                "SELECT seq FROM push_subscriptions WHERE store_id = $1", store
            )
        )

    async def make_due(self, store: str) -> None:
        """Make the store's next message due now."""
        await self.pool.execute(
            "UPDATE push_subscriptions SET due_at = now() WHERE store_id = $1", store
        )


def holder(subject: str = "ann", device: str = "", signed_in_ago_s: int = 60) -> Holder:
    """A subject who signed in on a device some time ago, with its own token and session."""
    name = f"{subject}-{device}"
    made_at = int(time.time()) - signed_in_ago_s
    return Holder(key_of("token", f"t-{name}"), key_of("session", f"s-{name}"), subject, made_at)


def owner_of(store: str) -> Caller:
    return Caller(f"owner-{store}", "owner", frozenset({store}))


@asynccontextmanager
async def telling(
    whose: Whose,
    due: Subscribers[Any],
    networks: Networks = LOOPBACK,
    answer_within_s: float = 30.0,
) -> AsyncIterator[PushMetrics]:
    """Run a sender for the time of a block."""
    metrics = PushMetrics(CollectorRegistry())
    poster = Poster(networks, answer_within_s=answer_within_s)
    running = asyncio.create_task(PushSender(whose, due, poster, KEYS, metrics, utc_now).run())
    try:
        yield metrics
    finally:
        running.cancel()
        await asyncio.wait({running})
        await poster.close()
