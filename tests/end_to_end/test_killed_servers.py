"""Every server is killed, one after the other, while orders arrive; the followers miss nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from client_sdk import Item, OrderProducer
from deploy.kafka.server import KafkaServer
from deploy.local.postgres import EmbeddedPostgres
from tests.end_to_end.conftest import Installation
from tests.end_to_end.followers import Follower, prove

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

ITEMS = [Item("Bibimbap", 1, 9_500)]


async def order_on_and_on(producer: OrderProducer, until: asyncio.Event) -> int:
    """Orders at both tables in turn until told to stop; how many were placed."""
    placed = 0
    while not until.is_set():
        order = await producer.place("1", ITEMS, currency="KRW", table_id=str(placed % 2 + 1))
        await producer.transition(order.id, "accepted")
        placed += 1
        await asyncio.sleep(0.02)
    return placed


@pytest.fixture
def extra_settings() -> dict[str, str]:
    return {"YABAM_EVENTS_DEGRADED_AFTER_S": "3", "YABAM_RELAY_LEASE_S": "2"}


async def test_nothing_is_lost_or_doubled_when_each_server_is_killed(
    stack: Installation, kafka: KafkaServer, postgres: EmbeddedPostgres
) -> None:
    token = stack.token("owner", "1")
    followers = [
        Follower(stack.core_url, token, channel)
        for channel in ("store:1", "table:1/1", "table:1/2")
    ]
    for follower in followers:
        follower.start()
    await asyncio.gather(*(follower.synced() for follower in followers))
    enough = asyncio.Event()

    async def kill_and_start(kill: Callable[[], None], start: Callable[[], None]) -> None:
        kill()
        await asyncio.sleep(1.0)  # it is down for a while: that is the fault
        await asyncio.to_thread(start)
        await asyncio.sleep(1.0)  # and orders arrive while all find each other again

    async with OrderProducer(stack.core_url, token, attempts=30) as producer:
        ordering = asyncio.create_task(order_on_and_on(producer, enough))
        for process in (stack.events, stack.relay, stack.core):
            await kill_and_start(process.kill, process.start)
        await kill_and_start(postgres.kill, postgres.start)
        await kill_and_start(kafka.kill, kafka.start)
        enough.set()
        placed = await ordering
    assert placed > 50
    try:
        proven = await prove(stack.addresses.database, followers, within_s=60)
        assert proven >= placed * 4  # placed and accepted, in the store's and a table's channel
    finally:
        for follower in followers:
            await follower.stop()
