"""Checks that an order that nobody accepts causes an alert in time, by the database's clock.

The order's store has no device, and its Core may have a wrong clock. The record on the topic of
alerts is read, as the program would that phones the store.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from core_api.kafka.topics import alerts_topic, ensure_topics
from deploy.processes.process import Process
from tests.chaos.runner import NotInjectedError
from tests.chaos.site import Site, aside

AFTER_S: Final = 10.0
EARLY_S: Final = 1.0
"""An alert may be so much too early: the order is dated before its writer has the answer."""
LATE_S: Final = 45.0
"""An alert may be so much too late, on a busy machine; much less than the clocks are wrong."""
_TOPIC: Final = "store-alerts"
_QUICK: Final = {
    "YABAM_UNACCEPTED_AFTER_S": str(AFTER_S),
    "YABAM_UNRECEIVED_AFTER_S": "86400",
    "YABAM_REACH_EVERY_S": "0.5",
}
_ORDER: Final = {"currency": "KRW", "items": [{"name": "Tea", "quantity": 1, "unit_price": 1}]}


def trouble_with(waited_s: float | None) -> str:
    """What is wrong with an alert after so many seconds; "": nothing. None: there was no alert."""
    if waited_s is None:
        return f"there was no alarm within {AFTER_S + LATE_S:g} s"
    if waited_s < AFTER_S - EARLY_S:
        return f"it came after {waited_s:.1f} s"
    return ""


@asynccontextmanager
async def quick_alarms(site: Site) -> AsyncIterator[None]:
    """Restart the relays, one after the other, so that they alert after `AFTER_S` already."""
    await _restart_relays(site, _QUICK)
    try:
        yield
    finally:
        await _restart_relays(site, {})


async def alarm_of(site: Site, core: Process) -> str:
    """Place an order with this Core and wait for its alert. Returns a text about it.

    Raises:
        NotInjectedError: there was no alert, or not in time.
    """
    store = f"alarm-{uuid.uuid4().hex[:8]}"
    headers = {"authorization": f"Bearer {site.token('owner-' + store, 'owner', store)}"}
    await ensure_topics(site.bootstrap, [alerts_topic(_TOPIC)], 10)
    consumer = AIOKafkaConsumer(bootstrap_servers=site.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(_TOPIC, 0)])
        await consumer.seek_to_end()
        async with httpx.AsyncClient(base_url=str(core.health_url), timeout=20) as http:
            body = _ORDER | {"store_id": store}
            placed = await http.post("/v1/orders", json=body, headers=headers)
            if placed.status_code != 201:
                raise NotInjectedError(f"an order is taken: it was answered {placed.status_code}")
            order_id = placed.json()["id"]
            waited_s = await _waited(consumer, order_id)
            steps = f"/v1/orders/{order_id}/transitions"
            await http.post(steps, json={"to": "rejected"}, headers=headers)
    finally:
        await consumer.stop()
    if trouble := trouble_with(waited_s):
        raise NotInjectedError(f"an order is told of after {AFTER_S:g} s unaccepted: {trouble}")
    return f"an alarm after {waited_s:.1f} s"


async def _waited(consumer: AIOKafkaConsumer, order_id: str) -> float | None:
    """The seconds until the order's alert was read; None: there was none."""
    began = time.monotonic()
    while (waited_s := time.monotonic() - began) < AFTER_S + LATE_S:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            alerts = [json.loads(record.value) for record in records]
            if any(a["order_id"] == order_id and a["kind"] == "unaccepted" for a in alerts):
                return waited_s
    return None


async def _restart_relays(site: Site, settings: Mapping[str, str]) -> None:
    for relay in [p for p in site.stack.processes if p.name.startswith("relay")]:
        await aside(relay.stop)
        relay.start(settings)
        await site.ready(relay)
