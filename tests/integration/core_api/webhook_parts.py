"""Stores whose orders are sent as webhooks, with a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from prometheus_client import CollectorRegistry

from core_api.access.callers import Caller
from core_api.orders.lifecycle import NewItem, PlaceOrder
from core_api.orders.service import OrderService
from core_api.postgres.pool import Pool
from core_api.webhooks.addresses import Networks
from core_api.webhooks.metrics import WebhookMetrics
from core_api.webhooks.posting import Poster
from core_api.webhooks.registrations import Subscriptions
from core_api.webhooks.sender import WebhookSender
from core_api.webhooks.signing import WebhookKeys
from core_api.webhooks.subscriptions import AddWebhook, NewSecret
from core_api.wiring import new_order_id, utc_now
from tests.webhook_receiver import Receiver

_HELD = "SELECT count(*) FROM webhook_lanes WHERE webhook_id = $1 AND held_until > now()"
KEYS = WebhookKeys({"local": b"w" * 32}, "local")
LOOPBACK = Networks(["127.0.0.0/8"])


class Shop:
    """Stores and their webhooks."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.orders = OrderService(pool, 4, utc_now, new_order_id, lambda _: None)
        self.webhooks = Subscriptions(
            pool, KEYS, LOOPBACK, lambda: new_order_id().hex, lambda: None
        )

    async def place(self, store: str, count: int = 1) -> None:
        """Place orders in a store."""
        owner = Caller(f"owner-{store}", "owner", frozenset({store}))
        for _ in range(count):
            await self.orders.place(owner, PlaceOrder(store, "KRW", [NewItem("김밥", 1, 3500)]))

    async def add(self, receiver: Receiver, *stores: str) -> NewSecret:
        """Add a webhook that sends a receiver these stores' events, signed with its secret."""
        made = await self.webhooks.add(AddWebhook(receiver.url, list(stores)), "ann")
        receiver.secret = made.secret
        return made

    async def until_free(self, webhook_id: str) -> None:
        """Wait until no sender holds any of its lanes, so that the next sender reads it again."""
        async with asyncio.timeout(60):
            while await self.pool.fetchval(_HELD, webhook_id):  # noqa: ASYNC110  (in the database)
                await asyncio.sleep(0.02)

    async def make_due(self, webhook_id: str, failing: str = "") -> None:
        """Make its lanes due now, as if they had failed for this long, such as '2 hours'."""
        await self.pool.execute(
            "UPDATE webhook_lanes SET due_at = now(), failing_since = CASE WHEN $2 = '' THEN "
            "failing_since ELSE now() - $2::text::interval END WHERE webhook_id = $1",
            webhook_id,
            failing,
        )


def new_store() -> str:
    """A store that no other test uses."""
    return uuid4().hex[:12]


@asynccontextmanager
async def sending(
    pool: Pool, answer_within_s: float = 30.0
) -> AsyncIterator[tuple[WebhookSender, WebhookMetrics]]:
    """Run a sender for the time of a block."""
    metrics = WebhookMetrics(CollectorRegistry())
    poster = Poster(LOOPBACK, answer_within_s=answer_within_s)
    sender = WebhookSender(pool, poster, KEYS, metrics, lambda: datetime.now(UTC))
    running = asyncio.create_task(sender.run())
    try:
        yield sender, metrics
    finally:
        running.cancel()
        await asyncio.wait({running})
        await poster.close()
