"""A bell and a lamp with the whole system, while the reader of their messages is killed."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from client_sdk.shared_state.shared_state import SharedDocument
from client_sdk.shared_state.yabam_client import YabamClient
from server_common.devices.messages import Inbound, Outbound, decode_outbound, encode
from server_common.devices.mqtt_topics import MessageKind
from tests.end_to_end.conftest import Installation

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("kafka"),
]

STORE, BELL = "12", "bell-1"
CHANNEL = f"device:{STORE}/{BELL}"


class Gateway:
    """Speaks to Kafka as the gateway does."""

    def __init__(self, stack: Installation) -> None:
        topics = stack.environment
        self._inbound = topics["YABAM_DEVICES_INBOUND_TOPIC"]
        kafka = topics["YABAM_KAFKA"]
        self._producer = AIOKafkaProducer(bootstrap_servers=kafka)
        self._consumer = AIOKafkaConsumer(
            topics["YABAM_DEVICES_OUTBOUND_TOPIC"],
            bootstrap_servers=kafka,
            auto_offset_reset="earliest",
            metadata_max_age_ms=1000,
        )

    async def __aenter__(self) -> Gateway:
        await self._producer.start()
        await self._consumer.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._producer.stop()
        await self._consumer.stop()

    async def say(self, kind: MessageKind, **payload: Any) -> None:
        raw = msgspec.Raw(json.dumps(payload).encode())
        message = Inbound(STORE, BELL, kind, time.time_ns() // 1_000_000, raw)
        await self._producer.send_and_wait(self._inbound, encode(message), message.key)

    async def answer(self) -> Outbound:
        async with asyncio.timeout(60):
            answer = decode_outbound((await self._consumer.getone()).value)
        assert isinstance(answer, Outbound)
        return answer


async def until(document: SharedDocument, name: str, value: Any) -> None:
    """Wait until a follower sees this in a document."""
    news = asyncio.Event()
    end = document.subscribe(lambda _one: news.set())
    async with asyncio.timeout(60):
        while (document.value or {}).get(name) != value:
            await news.wait()
            news.clear()
    end()


async def test_what_a_device_says_and_is_told_reaches_whoever_follows_it(
    stack: Installation,
) -> None:
    owner = stack.token("owner", STORE)
    path = f"/v1/stores/{STORE}/devices/{BELL}"
    async with (
        httpx.AsyncClient(
            base_url=stack.core_url, headers={"authorization": f"Bearer {owner}"}, timeout=30
        ) as http,
        Gateway(stack) as gateway,
        YabamClient(stack.core_url, owner, [CHANNEL, f"party:{STORE}/5"]) as follower,
    ):
        assert (await http.put(path, json={"table": "5"})).status_code == 201
        device, bell = follower.state(CHANNEL), follower.state(f"party:{STORE}/5")["bell"]
        await gateway.say("event", boot=1, n=1, name="bell", reason="water")
        assert await gateway.answer() == Outbound(STORE, BELL, 1, 1, "applied")
        await until(bell, "rung", 1)
        await until(device["event.bell"], "n", 1)

        asked = await http.post(f"{path}/commands", json={"name": "blink", "id": "c-1"})
        assert asked.status_code == 201
        await until(device["command.c-1"], "state", "sent")
        stack.ingest.kill()
        await gateway.say("result", boot=1, n=2, id="c-1", outcome="done")
        await gateway.say("event", boot=1, n=1, name="bell", reason="water")
        stack.ingest.start()
        stack.ingest.wait_ready(60)
        assert await gateway.answer() == Outbound(STORE, BELL, 1, 2, "applied")
        assert await gateway.answer() == Outbound(STORE, BELL, 1, 1, "repeated")
        await until(device["command.c-1"], "state", "done")
        assert (bell.value or {})["rung"] == 1
