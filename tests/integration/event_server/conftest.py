"""An event server in this process, on a real uvicorn and a random port, with records of a test."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import jwt
import pytest
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from client_sdk.contract.socket import decode_envelope
from client_sdk.contract.sse import SseEvent, SseParser
from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.broker import EmbeddedBroker
from event_server.http.access import OpsTokens
from event_server.kafka.record_reader import RecordReader
from event_server.kafka.warm_up import ReadRange
from event_server.main import EventServer, build, serve, ticket_keys
from event_server.settings import EventSettings
from server_common.access.tickets import Ticket
from server_common.sockets import bind
from tests.unit.event_server.parts import EPOCH, KEYS, make_ticket, order_record, watermark_record

SECRET = "0123456789abcdef0123456789abcdef"


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """All tests run on the loop used in production. Tests that depend on transports run on both
    kinds, which differ in when they write and what they report."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "uvloop": uvloop.new_event_loop
    }
    if item.path.name in ("test_connections.py", "test_socket_framing.py"):
        factories["asyncio"] = asyncio.new_event_loop
    return factories


class Running:
    """A running server, and the records and messages that a test gives it."""

    def __init__(self, server: EventServer, port: int) -> None:
        self.server = server
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.serving: asyncio.Task[None] | None = None
        self.transport = "sse"
        self._offset = 0
        self._intake: RecordReader | None = None

    def warm_up(self) -> None:
        """Start a session that is warm and covers the last minute."""
        self._offset = 0
        self._intake = RecordReader(
            self.server.streams.hub,
            {0: ReadRange(0, time.time() - 60)},
            lambda *_: None,
            self.server.metrics.latency.handed,
        )
        self.mark()

    def mark(self, epoch: str = EPOCH) -> None:
        """Take a watermark of the relay with the current time."""
        self.take(None, watermark_record(time.time(), epoch))

    def publish(self, *ids: str, text: str = "", epoch: str = EPOCH) -> None:
        """Take one order event."""
        self.take(*order_record(ids, epoch, text))

    def ticket(self, cursor: dict[str, int], **changes: Any) -> str:
        """A ticket as a sync gives it now."""
        return KEYS.sign(make_ticket(cursor, **({"issued_at": time.time()} | changes)))

    async def until_open(self, streams: int) -> None:
        """Wait until this many streams are open."""
        while len(self.server.streams) != streams:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    def pass_on(self) -> None:
        """Give the messages that wait for Kafka to the sockets, as Kafka would."""
        for record in self.server.talk.messages():
            self.server.talk.take(record.value)

    def take(self, value: bytes | None, headers: Any) -> None:
        """Take any record."""
        assert self._intake is not None
        self._intake.take(0, self._offset, time.time(), value, headers, time.monotonic())
        self.server.metrics.latency.settle(time.monotonic())
        self._offset += 1


class Followed(ABC):
    """A client's end of a stream or a socket, which give the same events."""

    @abstractmethod
    async def take(self) -> SseEvent:
        """The next event; StopAsyncIteration when it has ended."""

    async def next(self, *, skip_heartbeats: bool = True) -> SseEvent:
        """The next event; StopAsyncIteration when it has ended."""
        while True:
            event = await self.take()
            if event.type != "heartbeat" or not skip_heartbeats:
                return event

    async def rest(self) -> list[SseEvent]:
        """All events until the stream ends."""
        events = []
        try:
            while True:
                events.append(await self.next())
        except StopAsyncIteration:
            return events

    async def ids(self, count: int) -> list[str]:
        """The ids of the next order events."""
        return [(await self.next()).last_event_id for _ in range(count)]


class Stream(Followed):
    """A client's end of one stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._chunks = response.aiter_raw()
        self._parser = SseParser()
        self._events: list[SseEvent] = []
        self.retry_ms: int | None = None

    async def take(self) -> SseEvent:
        while not self._events:
            self._events += self._parser.feed(await anext(self._chunks))
            self.retry_ms = self._parser.reconnection_time_ms
        return self._events.pop(0)


class Socket(Followed):
    """A client's end of one WebSocket, with an independent library."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def take(self) -> SseEvent:
        try:
            said = decode_envelope(await self.connection.recv())
        except ConnectionClosed:
            raise StopAsyncIteration from None
        return SseEvent(said.event, bytes(said.data).decode(), said.id)

    async def say(self, event: str, **data: Any) -> None:
        """Send a message."""
        await self.connection.send(json.dumps({"event": event, "data": data}))

    async def ask(self, event: str, **data: Any) -> tuple[str, Any]:
        """Send a message. Returns the next event and its data."""
        await self.say(event, **data)
        answer = await self.next()
        return answer.type, json.loads(answer.data)


def ticket_of(text: str) -> Ticket:
    """The content of a ticket."""
    return KEYS.verify(text, 0.0)


def ops_token(role: str = "ops") -> str:
    claims = {"sub": "x", "role": role, "aud": "yabam", "exp": int(time.time()) + 60}
    return jwt.encode(claims, SECRET, "HS256", {"kid": "a1"})


async def _idle() -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[Running]:
    """Run a server with these settings."""
    values: dict[str, Any] = {
        "ticket_keys": {"t1": "k" * 32},
        "ticket_kid": "t1",
        "token_keys": {"a1": SECRET},
        "partitions": 1,
        "events_port": 0,
        "events_name": "server-1",
        "events_drain_s": 0.3,
    }
    settings = EventSettings(**(values | changes))
    listener = bind("127.0.0.1", 0, "YABAM_EVENTS_PORT")
    server = build(settings, ticket_keys(settings), OpsTokens(settings.token_keys, time.time))
    me = Running(server, listener.getsockname()[1])
    me.serving = asyncio.create_task(serve(server, [listener], _idle))
    while not server.http.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    me.warm_up()
    try:
        yield me
    finally:
        server.http.stop()
        server.http.stop()
        await me.serving


Start = Callable[..., Awaitable[Running]]


@pytest.fixture(params=["edge", "asgi"])
def push_path(request: pytest.FixtureRequest) -> str:
    """Each test that uses this runs on every push path."""
    path: str = request.param
    return path


@pytest.fixture
def transport() -> str:
    """The transport that `following` uses. A module whose tests hold for both overrides it."""
    return "sse"


@pytest.fixture
async def start(push_path: str, transport: str) -> AsyncIterator[Start]:
    """Starts servers that end with the test."""
    async with AsyncExitStack() as stack:

        async def start_one(**changes: Any) -> Running:
            changes = {"events_push_path": push_path} | changes
            started = await stack.enter_async_context(running(**changes))
            started.transport = transport
            return started

        yield start_one


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


@asynccontextmanager
async def streaming(
    client: httpx.AsyncClient,
    server: Running,
    ticket: str,
    last_event_id: str | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Stream]:
    """An open stream."""
    params = {"ticket": ticket} | ({"lastEventId": last_event_id} if last_event_id else {})
    async with client.stream(
        "GET", f"{server.url}/v1/stream", params=params, headers=headers
    ) as response:
        assert response.status_code == 200, await response.aread()
        yield Stream(response)


@asynccontextmanager
async def connected(
    server: Running, ticket: str, last_event_id: str | None = None, **options: Any
) -> AsyncIterator[Socket]:
    """An open WebSocket."""
    query = urlencode(
        {"ticket": ticket} | ({"lastEventId": last_event_id} if last_event_id else {})
    )
    options = {"subprotocols": ["yabam.v1"], "compression": None, "proxy": None} | options
    async with connect(f"ws://127.0.0.1:{server.port}/v1/socket?{query}", **options) as connection:
        yield Socket(connection)


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, server: Running, ticket: str, last_event_id: str | None = None
) -> AsyncIterator[Followed]:
    """An open stream or an open WebSocket, as the test's transport says."""
    if server.transport == "socket":
        async with connected(server, ticket, last_event_id) as socket:
            yield socket
    else:
        async with streaming(client, server, ticket, last_event_id) as stream:
            yield stream


def reason(event: SseEvent) -> str:
    """The reason of a bye or a sync-required."""
    text: str = json.loads(event.data)["reason"]
    return text


KAFKA_BUILD = Path(os.environ.get("YABAM_TEST_KAFKA_BUILD", "build/kafka"))


@pytest.fixture(scope="package")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    with tempfile.TemporaryDirectory(prefix="yabam-broker-") as folder:
        broker = EmbeddedBroker(Path(folder))
        broker.start()
        yield broker
        broker.stop()


@pytest.fixture(scope="package")
def kafka_server() -> Iterator[KafkaServer]:
    with tempfile.TemporaryDirectory(prefix="yabam-kafka-") as folder:
        server = KafkaServer(Path(folder), ensure_libs(KAFKA_BUILD, print))
        server.start()
        yield server
        server.kill()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Each test that uses this runs on the embedded broker and on Apache Kafka."""
    name = "embedded_broker" if request.param == "embedded" else "kafka_server"
    address: str = request.getfixturevalue(name).bootstrap
    return address


@pytest.fixture
def topic() -> str:
    return f"events-{uuid4().hex}"
