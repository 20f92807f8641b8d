"""Orders and documents on one stream, through Core, relay, Apache Kafka and event server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from client_sdk import Item, OrderEvent, OrderProducer, SharedDocument, YabamClient
from tests.end_to_end.conftest import Installation

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

CHANNELS = ["store:1", "public:1"]


async def until(document: SharedDocument, holds: Callable[[], bool]) -> None:
    looked = asyncio.Event()
    end = document.subscribe(lambda _: looked.set())
    async with asyncio.timeout(60):
        while not holds():
            await looked.wait()
            looked.clear()
    end()


async def live(client: YabamClient) -> None:
    async with asyncio.timeout(60):
        async for status in client.statuses():
            if status.mode == "live":
                return


async def test_a_document_and_an_order_are_pushed_on_one_stream(stack: Installation) -> None:
    owner = stack.token("owner", "1")
    async with (
        YabamClient(stack.core_url, owner, CHANNELS) as one,
        YabamClient(stack.core_url, owner, CHANNELS) as other,
        OrderProducer(stack.core_url, owner) as producer,
    ):
        changes = one.events()
        assert (await anext(changes)).type == "reset"
        await live(one)
        before = one._machine._client.sync.generation
        await other.state("public:1")["waiting-time"].set({"value": 20})
        shown = one.state("public:1")["waiting-time"]
        await until(shown, lambda: shown.value == {"value": 20})
        await producer.place("1", [Item("Bibimbap", 1, 9_500)], currency="KRW", table_id="5")
        placed = await asyncio.wait_for(anext(changes), 60)
        assert isinstance(placed, OrderEvent)
        # Both came by the stream: nobody has synced meanwhile.
        assert one._machine._client.sync.generation == before
        await changes.aclose()
