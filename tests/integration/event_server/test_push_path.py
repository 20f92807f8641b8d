"""What a client sees of a stream, over a real connection. Every push path must pass this, by
server-sent events and by WebSocket."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import httpx
import pytest

from tests.integration.event_server.conftest import Running, Start, following, reason, streaming
from tests.integration.event_server.raw_sockets import CLOSED, HANDSHAKE

A, B = "store:12", "table:12/5"
by_streams_only = pytest.mark.parametrize("transport", ["sse"], indirect=True)


@pytest.fixture(params=["sse", "socket"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def test_hello_then_what_was_missed_then_what_happens(
    start: Start, client: httpx.AsyncClient
) -> None:
    server = await start()
    server.publish(f"{A}@1")
    server.publish(f"{A}@2", f"{B}@1")
    async with following(client, server, server.ticket({A: 1})) as stream:
        hello = await stream.next()
        said = json.loads(hello.data)
        assert (hello.type, said["server"], said["replayed"]) == ("hello", "server-1", 1)
        assert 45_000 <= said["ends_in_ms"] <= 90_000
        assert await stream.ids(1) == [f"{A}@2"]
        server.publish(f"{A}@3")
        assert await stream.ids(1) == [f"{A}@3"]


@by_streams_only
async def test_a_stream_says_what_it_is_and_when_to_come_again(
    start: Start, client: httpx.AsyncClient
) -> None:
    server = await start()
    async with streaming(client, server, server.ticket({A: 0})) as stream:
        await stream.next()
        assert 1000 <= (stream.retry_ms or 0) <= 3000
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize(
    "text",
    ["a\u2028b", "a\u2029b", "a\u0085b", "\\n\\r\\n", "🍜 ünï", "\\u0000",
     "id: 7", ": comment", "data: x", "x" * 200_000],
    ids=["LS", "PS", "NEL", "newlines", "emoji", "nul", "id", "comment", "data", "large"],
)  # fmt: skip
async def test_text_arrives_exactly_as_it_was_written(
    start: Start, client: httpx.AsyncClient, text: str
) -> None:
    server = await start()
    server.publish(f"{A}@1", text=text)
    async with following(client, server, server.ticket({A: 1}), "0") as stream:
        await stream.next()
        replayed = await stream.next()
        server.publish(f"{A}@2", text=text)
        live = await stream.next()
    assert replayed.data == f'{{"id":"{A}@1","text":"{text}"}}'
    assert live.data == f'{{"id":"{A}@2","text":"{text}"}}'


@by_streams_only
async def test_the_header_of_a_reconnecting_event_source_counts(
    start: Start, client: httpx.AsyncClient
) -> None:
    server = await start()
    for seq in (1, 2, 3):
        server.publish(f"{A}@{seq}")
    headers = {"last-event-id": f"{A}@2"}
    async with streaming(client, server, server.ticket({A: 0}), headers=headers) as stream:
        await stream.next()
        assert await stream.ids(1) == [f"{A}@3"]


async def test_many_clients_get_every_event_once_and_in_order(
    start: Start, client: httpx.AsyncClient
) -> None:
    server = await start()
    ticket = server.ticket({A: 0, B: 0})

    async def follow() -> list[str]:
        async with following(client, server, ticket) as stream:
            await stream.next()
            return await stream.ids(200)

    followers = [asyncio.create_task(follow()) for _ in range(40)]
    await server.until_open(40)
    for seq in range(1, 101):
        server.publish(f"{A}@{seq}", f"{B}@{seq}")
        if seq % 7 == 0:
            await asyncio.sleep(0)
    expected = [f"{channel}@{seq}" for seq in range(1, 101) for channel in (A, B)]
    for follower in followers:
        assert await follower == expected


async def test_an_event_reaches_its_clients_within_milliseconds(
    start: Start, client: httpx.AsyncClient
) -> None:
    server = await start()
    took = []
    async with following(client, server, server.ticket({A: 0})) as stream:
        await stream.next()
        for seq in range(1, 51):
            before = time.perf_counter()
            server.publish(f"{A}@{seq}")
            await stream.next()
            took.append(time.perf_counter() - before)
    assert sorted(took)[25] < 0.05


async def test_heartbeats_carry_the_watermark(start: Start, client: httpx.AsyncClient) -> None:
    server = await start(events_heartbeat_s=0.2)
    async with following(client, server, server.ticket({A: 0})) as stream:
        hello = await stream.next()
        server.mark()
        heartbeat = await stream.next(skip_heartbeats=False)
        if heartbeat.data == json.loads(hello.data)["watermark"]:
            heartbeat = await stream.next(skip_heartbeats=False)
    assert heartbeat.type == "heartbeat"
    assert json.loads(heartbeat.data)["watermark"] >= json.loads(hello.data)["watermark"]


async def test_a_gap_in_the_pipeline_ends_the_stream(
    start: Start, client: httpx.AsyncClient
) -> None:
    server = await start()
    async with following(client, server, server.ticket({A: 0})) as stream:
        await stream.next()
        server.publish(f"{A}@1")
        server.publish(f"{A}@3")
        events = await stream.rest()
    assert [e.type for e in events] == ["order.placed", "sync-required"]
    assert reason(events[-1]) == "gap"


async def test_what_the_ring_does_not_hold_must_be_synced(
    start: Start, client: httpx.AsyncClient
) -> None:
    server = await start(events_ring_events=2)
    for seq in range(1, 6):
        server.publish(f"{A}@{seq}")
    async with following(client, server, server.ticket({A: 5}), "2") as stream:
        events = await stream.rest()
    assert [e.type for e in events] == ["sync-required"]
    assert reason(events[0]) == "ring"


async def test_a_new_epoch_ends_every_stream(start: Start, client: httpx.AsyncClient) -> None:
    server = await start()
    async with following(client, server, server.ticket({A: 0})) as stream:
        await stream.next()
        server.publish(f"{A}@1", epoch="01EPOCH2")
        assert [reason(e) for e in await stream.rest()] == ["restart"]


class TestTheEnd:
    @by_streams_only
    async def test_after_bye_the_connection_serves_the_next_request(self, start: Start) -> None:
        server = await start(events_lifetime_min_s=0.3, events_lifetime_max_s=0.3)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        ports = set()
        async with httpx.AsyncClient(limits=limits) as client:
            for _ in range(3):
                server.mark()
                async with streaming(client, server, server.ticket({A: 0})) as stream:
                    network = stream.response.extensions["network_stream"]
                    ports.add(network.get_extra_info("client_addr"))
                    events = await stream.rest()
                assert events[-1].type == "bye"
                assert reason(events[-1]) == "timeout"
        assert len(ports) == 1

    async def test_lifetimes_are_spread(self, start: Start, client: httpx.AsyncClient) -> None:
        server = await start()
        told = set()
        for _ in range(8):
            async with following(client, server, server.ticket({A: 0})) as stream:
                told.add(json.loads((await stream.next()).data)["ends_in_ms"])
        assert len(told) > 4

    async def test_a_client_that_leaves_is_forgotten(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start()
        async with following(client, server, server.ticket({A: 0})) as stream:
            await stream.next()
            assert server.server.streams.hub.channels_followed == 1
        await server.until_open(0)
        assert server.server.streams.hub.channels_followed == 0

    async def test_a_dead_pipeline_ends_the_streams(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start(events_degraded_after_s=2)
        async with following(client, server, server.ticket({A: 0})) as stream:
            await stream.next()
            assert [reason(e) for e in await stream.rest()] == ["degraded"]
        answer = await client.get(f"{server.url}/v1/stream", params={"ticket": "x"})
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:yabam:problem:degraded")
        assert int(answer.headers["retry-after"]) >= 1
        server.mark()
        async with following(client, server, server.ticket({A: 0})) as stream:
            assert (await stream.next()).type == "hello"

    async def test_a_drain_says_bye_and_leaves_with_the_connections_closed(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start(events_drain_s=0.5)
        async with following(client, server, server.ticket({A: 0})) as stream:
            await stream.next()
            server.server.http.stop()
            await asyncio.sleep(0)
            assert [reason(e) for e in await stream.rest()] == ["drain"]
        assert server.serving is not None
        await asyncio.wait_for(server.serving, 3)

    async def test_a_drain_refuses_new_streams_while_it_lasts(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start(events_drain_s=0.6)
        tickets = server.ticket({A: 0})
        async with (
            following(client, server, tickets) as one,
            following(client, server, tickets) as two,
        ):
            await one.next(), await two.next()
            server.server.http.stop()
            await one.rest()
            refused = await client.get(f"{server.url}/v1/stream", params={"ticket": tickets})
            ready = await client.get(f"{server.url}/readyz")
            await two.rest()
        assert (refused.status_code, ready.status_code) == (503, 503)


async def raw_stream(server: Running, ticket: str, receive_buffer: int) -> socket.socket:
    """A client that can stop reading."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", server.port))
    request = f"GET /v1/stream?ticket={ticket} HTTP/1.1\r\nhost: x\r\n\r\n"
    if server.transport == "socket":
        request = HANDSHAKE.format(ticket=ticket)
    await loop.sock_sendall(connection, request.encode())
    return connection


class TestASlowClient:
    async def test_is_ended_at_its_limit_and_nobody_else_notices(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start(events_buffer_bytes=20_000, events_abort_after_s=0.3)
        ticket = server.ticket({A: 0})
        slow = await raw_stream(server, ticket, 4096)
        async with following(client, server, ticket) as quick:
            await quick.next()
            await server.until_open(2)
            seq = 0
            while server.server.streams.ended["slow"] == 0:
                seq += 1
                server.publish(f"{A}@{seq}", text="x" * 10_000)
                assert await quick.ids(1) == [f"{A}@{seq}"]
            await server.until_open(1)
            server.publish(f"{A}@{seq + 1}")
            assert await quick.ids(1) == [f"{A}@{seq + 1}"]
        assert server.server.streams.ended["aborted"] == 1
        slow.close()

    async def test_that_reads_on_in_time_gets_a_contiguous_run_and_bye(self, start: Start) -> None:
        server = await start(events_buffer_bytes=50_000, events_abort_after_s=5)
        slow = await raw_stream(server, server.ticket({A: 0}), 4096)
        await server.until_open(1)
        seq = 0
        while server.server.streams.ended["slow"] == 0:
            seq += 1
            server.publish(f"{A}@{seq}", text="x" * 10_000)
            await asyncio.sleep(0)
        received = b""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            while not received.endswith((b"0\r\n\r\n", CLOSED)):
                received += await loop.sock_recv(slow, 65536)
        slow.close()
        ids = [b"%d" % n for n in range(1, seq + 1) if b'"id":"store:12@%d","text"' % n in received]
        assert ids == [b"%d" % n for n in range(1, len(ids) + 1)]
        assert b'"reason":"slow"' in received
