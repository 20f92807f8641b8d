"""The messages of every part of the running system are as the AsyncAPI document says."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from websockets.asyncio.client import ClientConnection, connect

from client_sdk import Item, OrderProducer
from client_sdk.contract.sse import SseParser
from core_api.broker_admin.rights import GATEWAY_USER
from deploy.asyncapi.document import document
from deploy.local.stack import Stack
from deploy.mqtt.server import MosquittoServer
from tests.asyncapi import STAR, Judge
from tests.end_to_end.conftest import Installation
from tests.mqtt_parts import Device, broker_of, device, until, until_it_connects_with

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka-devices")]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)
SETTINGS = {
    "orderEvents": "YABAM_EVENTS_TOPIC",
    "ordersInbound": "YABAM_INBOUND_TOPIC",
    "ordersInboundDeadLetters": "YABAM_INBOUND_DLQ_TOPIC",
    "deviceReceipts": "YABAM_RECEIPTS_TOPIC",
    "channelMessages": "YABAM_MESSAGES_TOPIC",
    "devicesInbound": "YABAM_DEVICES_INBOUND_TOPIC",
    "devicesOutbound": "YABAM_DEVICES_OUTBOUND_TOPIC",
    "devicesDeadLetters": "YABAM_DEVICES_DLQ_TOPIC",
    "tokenRevocations": "YABAM_REVOCATIONS_TOPIC",
}
RARE = {
    ("stream", "SyncRequired"),
    ("socket", "SyncRequired"),
    ("orderEvents", "Omitted"),
    ("storeAlerts", "StoreUnreached"),
    ("storeAlerts", "DeviceUnanswered"),
    ("starPost", "RequestPost"),
}
"""They take long to bring about; `tests/unit/deploy/test_asyncapi.py` has them."""
SOCKET_SAYS = {"Subscribe", "Unsubscribe", "Ping", "CursorReceived", "ShortMessage"}


@pytest.fixture
def judge() -> Judge:
    return Judge(document())


@pytest.fixture
async def owner(stack_with_devices: Installation) -> AsyncIterator[httpx.AsyncClient]:
    headers = {
        "authorization": f"Bearer {stack_with_devices.token('owner', '1')}",
        "yabam-device": "till; mode=live; pending=0",
    }
    url = stack_with_devices.core_url
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        yield client


async def ticket(owner: httpx.AsyncClient, *channels: str) -> str:
    answer = await owner.get("/v1/sync", params=[("channel", one) for one in channels])
    found: str = answer.raise_for_status().json()["stream"]["ticket"]
    return found


class Followed:
    """What came over a stream or a socket."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Any]] = []

    def has(self, name: str) -> bool:
        return any(event == name or event.startswith(f"{name}.") for event, _ in self.found)

    def judge(self, judge: Judge, channel: str) -> None:
        for event, value in self.found:
            message = judge.judge(channel, value, among=named(channel, event))
            assert message, event


def named(channel: str, event: str) -> set[str]:
    """The messages of the document that an event of this name may be."""
    described = document()
    found = set()
    for name, ref in described["channels"][channel]["messages"].items():
        one = described["components"]["messages"][ref["$ref"].rpartition("/")[2]]["name"]
        if one == event or (one.endswith("…") and event.startswith(one[:-1])):
            found.add(name)
    return found - SOCKET_SAYS


@asynccontextmanager
async def streaming(stack: Stack, owner: httpx.AsyncClient) -> AsyncIterator[Followed]:
    followed = Followed()
    params = {"ticket": await ticket(owner, "store:1", "public:1")}

    async def read() -> None:
        parser = SseParser()
        async with (
            httpx.AsyncClient(timeout=None) as http,
            http.stream("GET", f"{stack.events_url}/v1/stream", params=params) as response,
        ):
            async for chunk in response.aiter_bytes():
                followed.found += [(e.type, json.loads(e.data)) for e in parser.feed(chunk)]

    async with background(read()):
        yield followed


@asynccontextmanager
async def socket(stack: Stack, ticket: str) -> AsyncIterator[tuple[ClientConnection, Followed]]:
    followed = Followed()
    url = stack.events_url.replace("http", "ws", 1)

    async with connect(
        f"{url}/v1/socket?ticket={ticket}", subprotocols=["yabam.v1"],  # type: ignore[list-item]
        compression=None, proxy=None,
    ) as connection:  # fmt: skip

        async def read() -> None:
            async for text in connection:
                message = json.loads(text)
                followed.found.append((message["event"], message))

        async with background(read()):
            yield connection, followed


@asynccontextmanager
async def background(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def talk(judge: Judge, connection: ClientConnection, further: str) -> None:
    """Say everything that a client may say, and something that it may not."""
    said = [
        ("subscribe", {"ticket": further, "ref": "1"}),
        ("ping", {"ref": "2"}),
        ("message", {"channel": "store:1", "name": "looking", "body": {"at": 1}, "ref": "3"}),
        ("received", {"cursor": "store:1@1"}),
        ("unsubscribe", {"channels": ["public:1"], "ref": "4"}),
    ]
    for event, data in said:
        message = {"event": event, "data": data}
        judge.judge("socket", message, among=SOCKET_SAYS)
        await connection.send(json.dumps(message))
    await connection.send('{"event": "dance", "data": {"ref": "5"}}')


async def speak(one: Device, name: str, command: str) -> None:
    """Say everything that a device may say, and something that it may not."""
    own = f"yabam/v1/1/devices/{name}"
    await one.say(f"{own}/status", connection="c1", online=True, boot=1, at=1)
    await one.say(f"{own}/telemetry/paper", value="3.5", unit="m")
    await one.say(f"{own}/events", boot=1, n=1, name="scan", code="123")
    await one.say(f"{own}/results", boot=1, n=2, id=command, outcome="done")
    await one.say(f"{own}/received", cursor="store:1@1")
    await one.say(f"{own}/snapshot", media_type="image/png", data=b64encode(PNG).decode())
    await one.connection.publish(f"{own}/snapshot", PNG)
    await one.say(f"{own}/results", boot=1, n=3, id="no-such-command", outcome="done")


async def command_by_kafka(stack: Installation, kafka: str) -> None:
    """A producer sends a command, and one that can never be applied."""
    body = {"store_id": "1", "currency": "KRW", "items": [
        {"name": "Tea", "quantity": 1, "unit_price": 2000}]}  # fmt: skip
    command = {"command": "place", "idempotency_key": uuid4().hex, "subject": "t", "body": body}
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        topic = stack.environment["YABAM_INBOUND_TOPIC"]
        await producer.send_and_wait(topic, json.dumps(command).encode(), b"1")
        await producer.send_and_wait(topic, b'{"command": "place"}', b"1")


async def records(kafka: str, topic: str) -> list[Any]:
    """All records of a topic."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False
    )
    found: list[Any] = []
    async with consumer:
        parts = sorted(consumer.assignment())
        ends = await consumer.end_offsets(parts)
        left = {part for part in parts if ends[part] > 0}
        while left:
            for part, some in (await consumer.getmany(timeout_ms=500)).items():
                found += some
                if some[-1].offset + 1 >= ends[part]:
                    left.discard(part)
    return found


def judge_record(judge: Judge, channel: str, record: Any) -> None:
    headers = {name: value.decode() for name, value in record.headers}
    if channel == "ordersInbound" and record.value == b'{"command": "place"}':
        return
    if channel == "ordersInboundDeadLetters":
        values: Iterable[Any] = [record.value.decode()]
    elif not record.value:
        values = [None]
    else:
        values = [json.loads(line) for line in record.value.split(b"\n")]
    for value in values:
        judge.judge(channel, value, headers=headers)


async def test_every_message_of_the_running_system_is_as_the_document_says(
    stack_with_devices: Installation,
    kafka: Any,
    mosquitto: MosquittoServer,
    owner: httpx.AsyncClient,
    judge: Judge,
) -> None:
    stack = stack_with_devices
    made = (await owner.put("/v1/stores/1/devices/terminal-1", json={"table": "5"})).json()
    broker = broker_of(mosquitto, made["user"], made["password"])
    await until_it_connects_with(broker)
    gateway = broker_of(mosquitto, GATEWAY_USER, mosquitto.password_of_gateway)
    own = "yabam/v1/1/devices/terminal-1"
    async with (
        device(gateway, "yabam/v1/#", client_id="listener") as listener,
        device(broker, f"{own}/commands", f"{own}/accepted") as terminal,
        streaming(stack, owner) as stream,
        socket(stack, await ticket(owner, "store:1")) as (connection, said),
        socket(stack, await ticket(owner, "store:1")) as (_, heard),
        socket(stack, await ticket(owner, "public:1")) as (_, other),
        OrderProducer(stack.core_url, stack.token("producer", "1")) as producer,
    ):
        everybody = (stream, said, heard, other)
        await until(lambda: all(one.has("hello") for one in everybody))
        ops = {"authorization": f"Bearer {stack.token('ops')}"}
        session = {"kind": "session", "name": "s-81"}
        revoked = await owner.post("/v1/revocations", json=session, headers=ops)
        assert revoked.status_code == 204, revoked.text
        sent = await owner.post("/v1/stores/1/devices/terminal-1/commands", json={"name": "blink"})
        await until(lambda: terminal.on(f"{own}/commands"))
        await speak(terminal, "terminal-1", sent.json()["id"])
        await talk(judge, connection, await ticket(owner, "public:1"))
        await until(lambda: heard.has("message") and said.has("unsubscribed"))
        await producer.place("1", [Item("Bibimbap", 1, 9_500)], currency="KRW", table_id="5")
        await command_by_kafka(stack, kafka.bootstrap)
        edit = {"n": 1, "channel": "public:1", "key": "taking-orders",
                "do": {"set": {"value": True}}}  # fmt: skip
        settled = await owner.post("/v1/edits", json={"client": uuid4().hex, "edits": [edit]})
        assert settled.json()["outcomes"][0]["outcome"] == "applied"
        await until(lambda: stream.has("document") and stream.has("order"))
        await until(lambda: stream.has("heartbeat") and said.has("order") and said.has("heartbeat"))
        await until(lambda: other.has("document"))
        await until(lambda: len(terminal.on(f"{own}/accepted")) >= 3)
        told = ("marks", "state", "/orders", "tables/")
        await until(lambda: all(any(t in m.topic for m in listener.heard) for t in told))
        await asyncio.to_thread(stack.events.stop)
        await until(lambda: stream.has("bye") and said.has("bye"))
        for message in listener.heard:
            judge.judge_mqtt(message.topic, message.payload)
    stream.judge(judge, "stream")
    for followed in (said, heard, other):
        followed.judge(judge, "socket")
    for channel, setting in SETTINGS.items():
        for record in await records(kafka.bootstrap, stack.environment[setting]):
            judge_record(judge, channel, record)
    assert judge.messages() - judge.seen == RARE | STAR
