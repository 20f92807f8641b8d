"""The client's stream over a WebSocket: whatever a server does becomes an input."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from client_sdk.checkpoint import Checkpoint
from client_sdk.contract.device import DeviceReport
from client_sdk.contract.problem import encode_problem, problem
from client_sdk.machine.messages import (
    Input,
    OpenStream,
    StreamBye,
    StreamEnded,
    StreamEvent,
    StreamHello,
)
from client_sdk.transport.http_transport import Transport
from client_sdk.transport.socket_transport import SocketTransport
from tests.conformance import cases

CHANNEL = "store:12"
HELLO = json.dumps({"event": "hello", "data": {
    "server": "s", "epoch": "E1", "watermark": "2026-11-21T12:00:00Z", "ends_in_ms": 1,
    "replayed": 0}})  # fmt: skip
BYE = json.dumps({"event": "bye", "data": {"reason": "timeout", "reconnect_after_ms": 5}})
Say = Callable[[ServerConnection], Awaitable[None]]


def order_event(seq: int) -> str:
    event = cases.event({"seq": seq, "channel": CHANNEL})
    return json.dumps({"id": event["id"], "event": event["type"], "data": event})


@asynccontextmanager
async def server(say: Say, refuse: bytes | None = None) -> AsyncIterator[int]:
    """A server of sockets; its port."""

    def turn_away(connection: ServerConnection, _request: Request) -> Response | None:
        if refuse is None:
            return None
        response = connection.respond(503, "")
        return Response(503, "Service Unavailable", response.headers, refuse)

    async with serve(
        say, "127.0.0.1", 0, subprotocols=[Subprotocol("yabam.v1")], process_request=turn_away
    ) as running:
        yield running.sockets[0].getsockname()[1]


async def inputs(port: int, url: str = "http://127.0.0.1:{port}/v1/stream") -> list[Input]:
    """All that one stream brings."""
    async with httpx.AsyncClient(base_url="http://core.invalid") as http:
        transport = Transport(http, None, SocketTransport())
        command = OpenStream(7, url.format(port=port), "t i&cket", {CHANNEL: 5}, "websocket")
        return [signal async for signal in transport.stream(command)]


async def test_what_comes_is_what_a_stream_would_bring() -> None:
    asked: list[str] = []

    async def say(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(connection.request.path)
        for text in (HELLO, order_event(6), '{"event":"new","data":{}}', BYE):
            await connection.send(text)

    async with server(say) as port:
        found = await inputs(port)
    assert asked == ["/v1/socket?ticket=t+i%26cket&lastEventId=store%3A12%405"]
    assert [type(signal) for signal in found[:3]] == [StreamHello, StreamEvent, StreamBye]
    assert {getattr(signal, "generation") for signal in found} == {7}  # noqa: B009


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("nonsense", "malformed"),
        ("[]", "malformed"),
        ('{"event":"hello","data":{}}', "malformed"),
        ('{"event":"hello"}', "malformed"),
        (b"\xff\xfe", "malformed"),
        ("x" * (2 << 20), "unreachable"),
    ],
    ids=["no-json", "no-object", "wrong-data", "no-data", "binary", "too-long"],
)
async def test_what_makes_no_sense_ends_the_stream_with_a_failure(
    text: str | bytes, kind: str
) -> None:
    async def say(connection: ServerConnection) -> None:
        await connection.send(text)
        await connection.wait_closed()

    async with server(say) as port:
        found = await inputs(port)
    (end,) = found
    assert isinstance(end, StreamEnded)
    assert end.failure.kind == kind


async def test_a_refused_handshake_says_what_the_problem_said() -> None:
    async def say(_connection: ServerConnection) -> None:
        raise AssertionError("it is refused")

    refusal = encode_problem(problem("overloaded", "no room", retry_after=3.0))
    async with server(say, refusal) as port:
        (end,) = await inputs(port)
    assert isinstance(end, StreamEnded)
    assert end.failure.kind == "busy"


async def test_a_server_that_cuts_or_is_not_there_ends_the_stream_with_a_failure() -> None:
    async def say(connection: ServerConnection) -> None:
        await connection.send(HELLO)
        connection.transport.abort()

    async with server(say) as port:
        found = await inputs(port)
    assert isinstance(found[-1], StreamEnded)
    (gone,) = await inputs(port)
    assert isinstance(gone, StreamEnded)
    assert {end.failure.kind for end in (found[-1], gone)} == {"unreachable"}


async def test_an_address_without_a_socket_beside_it_is_a_failure() -> None:
    (end,) = await inputs(1, "http://127.0.0.1:{port}/elsewhere")
    assert isinstance(end, StreamEnded)
    assert end.failure.kind == "unreachable"


async def test_receipts_go_by_the_open_socket_and_else_by_http() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    posted: list[httpx.Request] = []

    async def say(connection: ServerConnection) -> None:
        await connection.send(HELLO)
        async for text in connection:
            await heard.put(str(text))

    def core(request: httpx.Request) -> httpx.Response:
        posted.append(request)
        return httpx.Response(200, json={"taken": 1})

    async with (
        server(say) as port,
        httpx.AsyncClient(base_url="http://core", transport=httpx.MockTransport(core)) as http,
    ):
        report = DeviceReport("till-1", "live", 0)
        transport = Transport(http, lambda: report, SocketTransport())
        checkpoint = Checkpoint("E1", {CHANNEL: 6, "table:12/5": 3})
        command = OpenStream(
            1, f"http://127.0.0.1:{port}/v1/stream", "t", {CHANNEL: 5}, "websocket"
        )
        stream = transport.stream(command)
        await anext(stream)
        assert await transport.receipts(checkpoint, "token")
        said = json.loads(await heard.get())
        await stream.aclose()
        assert posted == []
        assert await transport.receipts(checkpoint, "token")
    assert said == {"event": "received", "data": {"cursor": f"{CHANNEL}@6"}}
    (request,) = posted
    assert (request.url.path, request.headers["authorization"]) == ("/v1/receipts", "Bearer token")
    assert request.headers["yabam-device"].startswith("till-1;")
    assert json.loads(request.content) == {"cursor": f"{CHANNEL}@6", "epoch": "E1"}
