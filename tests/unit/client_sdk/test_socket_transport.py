"""A stream over a WebSocket: its events, its end, and what is said on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from client_sdk.contract.sse import MAX_EVENT_BYTES, SseEvent
from client_sdk.machine.messages import Failure
from client_sdk.transport.socket_transport import SocketFailedError, SocketTransport

HELLO = json.dumps({"event": "hello", "data": {"server": "s"}})
Say = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(say: Say, refusal: Response | None = None) -> AsyncIterator[str]:
    """A server of sockets; the address of its streams."""

    def refuse(_connection: ServerConnection, _request: Request) -> Response | None:
        return refusal

    async with serve(
        say, "127.0.0.1", 0, subprotocols=[Subprotocol("yabam.v1")], process_request=refuse
    ) as running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}/v1/stream"


def saying(*messages: str | bytes) -> Say:
    async def say(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message)

    return say


async def read(url: str) -> list[SseEvent]:
    return [event async for event in SocketTransport().events(url, {"ticket": "a b"})]


async def failure_of(url: str) -> Failure:
    with pytest.raises(SocketFailedError) as failed:
        await read(url)
    return failed.value.failure


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


async def test_its_events_are_those_of_a_stream_until_the_server_closes_it() -> None:
    order = json.dumps({"id": "store:1@2", "event": "order.placed", "data": {"seq": 2}})
    async with server(saying(HELLO, order)) as url:
        assert await read(url) == [
            SseEvent("hello", '{"server": "s"}', ""),
            SseEvent("order.placed", '{"seq": 2}', "store:1@2"),
        ]


async def test_the_ticket_goes_as_a_parameter() -> None:
    asked: list[str] = []

    async def say(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(connection.request.path)

    async with server(say) as url:
        await read(url)
    assert asked == ["/v1/socket?ticket=a+b"]


async def test_a_refusal_says_why_and_when_to_come_back() -> None:
    async def unused(_connection: ServerConnection) -> None:
        raise AssertionError("it was refused")

    for status, kind in ((503, "busy"), (401, "ticket"), (404, "unreachable")):
        response = Response(status, "No", Headers({"retry-after": "7"}), b"")
        async with server(unused, response) as url:
            failure = await failure_of(url)
        assert failure.kind == kind
        assert failure.retry_after == (7.0 if kind == "busy" else None)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("no JSON", "malformed"),
        ("[" * 100_000, "malformed"),
        ("{}", "malformed"),
        ("x" * (MAX_EVENT_BYTES + 5000), "unreachable"),
    ],
)
async def test_a_message_that_cannot_be_read_ends_it_with_a_failure(
    message: str, kind: str
) -> None:
    async with server(saying(message)) as url:
        assert (await failure_of(url)).kind == kind


async def test_a_connection_that_breaks_or_is_none_is_unreachable() -> None:
    async def cut(connection: ServerConnection) -> None:
        await connection.send(HELLO)
        connection.transport.abort()

    async with server(cut) as url:
        assert (await failure_of(url)).kind == "unreachable"
    assert (await failure_of(url)).kind == "unreachable"
    assert (await failure_of("http://127.0.0.1/other")).detail == "this stream has no WebSocket"


async def test_what_is_applied_is_said_on_the_open_socket_only() -> None:
    heard: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def say(connection: ServerConnection) -> None:
        await connection.send(HELLO)
        heard.put_nowait(await connection.recv())

    transport = SocketTransport()
    assert not await transport.received("store:1@1")
    async with server(say) as url, aclosing(transport.events(url, {})) as events:
        await anext(events)
        assert await transport.received("store:1@2")
        said = json.loads(await heard.get())
        assert (said["event"], said["data"]) == ("received", {"cursor": "store:1@2"})
        assert [event async for event in events] == []
        assert not await transport.received("store:1@3")
