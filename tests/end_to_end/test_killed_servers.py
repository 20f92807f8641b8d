"""Every server is killed, one after the other, while orders arrive; the followers miss nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

import pytest

from client_sdk import Item, OrderProducer
from deploy.kafka.server import KafkaServer
from deploy.local.postgres import EmbeddedPostgres
from tests.end_to_end.conftest import Installation
from tests.end_to_end.followers import (
    Follower,
    heads,
    prove,
    until_not_ready,
    until_unpublished,
)

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


class Server(Protocol):
    """What can be killed and started again."""

    def kill(self) -> None: ...
    def start(self) -> None: ...


async def until_none_is_live(followers: Sequence[Follower]) -> None:
    async with asyncio.timeout(60):
        while any(follower.client.status.mode == "live" for follower in followers):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


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
    database = stack.addresses.database

    async def all_go_on() -> None:
        """Return once each follower has an event that is later than all there are now."""
        newest = await heads(database)
        async with asyncio.timeout(60):
            for follower in followers:
                await follower.reached(newest.get(follower.channel, 0) + 1)

    async def kill_and_start(server: Server, felt: Awaitable[None]) -> None:
        server.kill()
        await felt
        await asyncio.to_thread(server.start)
        await all_go_on()

    async with OrderProducer(stack.core_url, token, attempts=60) as producer:
        ordering = asyncio.create_task(order_on_and_on(producer, enough))
        await all_go_on()
        await kill_and_start(stack.events, until_none_is_live(followers))
        await kill_and_start(stack.relay, until_unpublished(database))
        await kill_and_start(stack.core, until_not_ready(stack.core_url))
        await kill_and_start(postgres, until_not_ready(stack.core_url))
        await kill_and_start(kafka, until_unpublished(database))
        enough.set()
        placed = await ordering
    assert placed > 50
    try:
        proven = await prove(database, followers, within_s=60)
        assert proven >= placed * 4  # placed and accepted, in the store's and a table's channel
    finally:
        for follower in followers:
            await follower.stop()
