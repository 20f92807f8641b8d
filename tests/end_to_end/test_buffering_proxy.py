"""A proxy that holds back server-sent events: the client uses a WebSocket, which passes.

The SDK, the event server, Kafka, ingest and Core as they are in production. The same shows that
what a socket has received is known at Core within seconds, long before the next sync.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx
import pytest

from client_sdk import Item, OrderClient, OrderEvent, OrderProducer, Settings
from tests.end_to_end.conftest import Installation
from tests.serving import serving

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

STORE = "12"
SOON_S = 60.0


@pytest.fixture
def extra_settings() -> dict[str, str]:
    return {
        "YABAM_STREAM_URL": "http://127.0.0.1:{proxy}/v1/stream",
        # No sync comes by itself while the test lasts.
        "YABAM_EVENTS_LIFETIME_MIN_S": "3600",
        "YABAM_EVENTS_LIFETIME_MAX_S": "3600",
    }


class BufferingProxy:
    """Passes WebSockets on as they are, and any other answer once it is complete."""

    def __init__(self, target: int) -> None:
        self._target = target

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        behind, to = await asyncio.open_connection("127.0.0.1", self._target)
        to.write(head)
        upgraded = b"upgrade: websocket" in head.lower()
        back = asyncio.create_task(self._back(behind, writer, upgraded))
        try:
            await _pump(reader, to)
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            to.close()

    async def _back(
        self, behind: asyncio.StreamReader, writer: asyncio.StreamWriter, upgraded: bool
    ) -> None:
        if upgraded:
            await _pump(behind, writer)
        else:
            writer.write(await behind.read(-1))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def devices(stack: Installation) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=stack.core_url) as core:
        answer = await core.get(
            f"/v1/stores/{STORE}/devices",
            headers={"authorization": f"Bearer {stack.token('owner', STORE)}"},
        )
    listed: list[dict[str, Any]] = answer.json()["devices"]
    return listed


async def test_a_client_behind_it_is_live_by_websocket_and_core_knows_what_it_has(
    stack: Installation,
) -> None:
    proxy = BufferingProxy(stack.addresses.ports.events)
    channel = f"store:{STORE}"
    settings = Settings(connect_timeout=1.0, backoff_first=0.05, backoff_most=0.5)
    owner = stack.token("owner", STORE)
    async with (
        asyncio.timeout(2 * SOON_S),
        serving(proxy.serve, port=stack.stream_port),
        OrderProducer(stack.core_url, stack.token("producer", STORE)) as producer,
        OrderClient(stack.core_url, owner, [channel], device="till-1", settings=settings) as client,
    ):
        changes = client.events()
        await anext(changes)
        following = asyncio.create_task(anext(changes))
        async for status in client.statuses():
            if status.mode == "live":
                assert status.via == "websocket"
                break
        placed = await producer.place(STORE, [Item("Bibimbap", 1, 9500)], currency="KRW")
        change = await following
        assert isinstance(change, OrderEvent)
        assert change.order_id == placed.id
        acknowledging = asyncio.create_task(anext(changes))
        while (await devices(stack))[0]["cursor"] != f"{channel}@{change.seq}":  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        acknowledging.cancel()
        await asyncio.gather(acknowledging, return_exceptions=True)
