"""What happens on one connection: keep-alive, pipelining, pieces, limits, ends, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from client_sdk.contract.sse import SseEvent, SseParser
from event_server.push.protocol import EdgeConnection
from server_common.http.request_heads import MAX_WAITING_BYTES
from server_common.limits import EVENTS_HEAD_BYTES
from tests.integration.event_server.conftest import Running, Start, following, reason
from tests.unit.event_server.parts import event

A = "store:12"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = b""
    events: list[SseEvent] = field(default_factory=list)

    @property
    def slug(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        told: str = json.loads(self.body)["type"]
        return told.removeprefix("urn:yabam:problem:")


class Client:
    """A client that says every byte itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def get(self, target: str, *headers: str, version: str = "1.1") -> None:
        lines = [f"GET {target} HTTP/{version}", "host: x", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode())

    def follow(self, ticket: str, *headers: str, version: str = "1.1") -> None:
        self.get(f"/v1/stream?ticket={ticket}", *headers, version=version)

    async def head(self) -> Answer:
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = text.rstrip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        return Answer(int(first.split(" ")[1]), {k.lower(): v for k, v in pairs})

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def answer(self) -> Answer:
        """A whole response."""
        async with asyncio.timeout(5):
            answer = await self.head()
            if "content-length" in answer.headers:
                answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
            elif answer.headers.get("transfer-encoding") == "chunked":
                while data := await self.chunk():
                    answer.body += data
            elif answer.headers.get("connection") == "close":
                answer.body = await self.reader.read()
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            # A heartbeat may come at any moment.
            events = SseParser().feed(answer.body)
            answer.events = [event for event in events if event.type != "heartbeat"]
        return answer

    async def begin(self) -> Answer:
        """The head and the first frames of a stream."""
        async with asyncio.timeout(5):
            answer = await self.head()
            assert answer.status == 200, await self.reader.read(1000)
            answer.body = await self.chunk()
        return answer

    async def at_end(self) -> bool:
        """Whether the server has closed, and said nothing more."""
        async with asyncio.timeout(5):
            return await self.reader.read(1) == b""


@asynccontextmanager
async def connected(server: Running, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


NO_HEARTBEATS = {"events_heartbeat_s": 300.0}
"""For who reads chunk by chunk: the first may come at any moment."""


def end_all(server: Running) -> None:
    # By the server's own clock: by another, the time for the last words would be over already.
    server.server.streams.end_all("timeout", time.monotonic())


class TestOneConnection:
    async def test_serves_streams_and_the_application_in_turn(self, start: Start) -> None:
        server = await start(**NO_HEARTBEATS)
        ticket = server.ticket({A: 0})
        async with connected(server) as client:
            for _ in range(3):
                client.get("/healthz")
                assert (await client.answer()).body == b'{"status":"ok"}'
                client.get("/v1/stream?ticket=x")
                assert (await client.answer()).slug == "bad-ticket"
                client.follow(ticket)
                await client.begin()
                end_all(server)
                assert b'"reason":"timeout"' in await client.chunk()
                assert await client.chunk() == b""
        assert server.server.streams.opened == 3

    async def test_after_a_refused_sync_the_connection_goes_on(self, start: Start) -> None:
        server = await start(events_ring_events=1)
        for seq in (1, 2, 3):
            server.publish(f"{A}@{seq}")
        async with connected(server) as client:
            for _ in range(2):
                client.get(f"/v1/stream?ticket={server.ticket({A: 3})}&lastEventId=1")
                assert [e.type for e in (await client.answer()).events] == ["sync-required"]

    async def test_requests_in_one_piece_are_answered_in_order(self, start: Start) -> None:
        server = await start(events_lifetime_min_s=0.1, events_lifetime_max_s=0.1)
        async with connected(server) as client:
            client.get("/healthz")
            client.follow(server.ticket({A: 0}))
            client.get("/nowhere")
            client.follow(server.ticket({A: 0}))
            client.get("/healthz", "connection: close")
            answers = [await client.answer() for _ in range(5)]
            assert await client.at_end()
        assert [a.status for a in answers] == [200, 200, 404, 200, 200]
        assert [e.type for e in answers[1].events] == ["hello", "bye"]
        assert [e.type for e in answers[3].events] == ["hello", "bye"]

    async def test_many_refused_requests_in_one_piece(self, start: Start) -> None:
        server = await start()
        async with connected(server) as client:
            for _ in range(300):
                client.get("/v1/stream?ticket=x")
            answers = [await client.answer() for _ in range(300)]
        assert {a.slug for a in answers} == {"bad-ticket"}

    async def test_what_comes_during_a_stream_is_answered_after_it(self, start: Start) -> None:
        server = await start(**NO_HEARTBEATS)
        async with connected(server) as client:
            client.follow(server.ticket({A: 0}))
            await client.begin()
            client.writer.write(b"GET /healthz HTT")
            await asyncio.sleep(0.02)
            client.writer.write(b"P/1.1\r\nhost: x\r\n\r\n")
            await asyncio.sleep(0.02)
            server.publish(f"{A}@1")
            assert f"id: {A}@1".encode() in await client.chunk()
            end_all(server)
            await client.chunk()
            assert await client.chunk() == b""
            assert (await client.answer()).body == b'{"status":"ok"}'

    async def test_a_request_may_come_byte_by_byte(self, start: Start) -> None:
        server = await start()
        async with connected(server) as client:
            text = f"GET /v1/stream?ticket={server.ticket({A: 0})} HTTP/1.1\r\nhost: x\r\n\r\n"
            for byte in text.encode():
                client.writer.write(bytes([byte]))
                await client.writer.drain()
                await asyncio.sleep(0)
            assert b"event: hello" in (await client.begin()).body

    @pytest.mark.parametrize("cut", [1, 2, 3, 4])
    async def test_the_heads_end_may_be_cut_anywhere(self, start: Start, cut: int) -> None:
        server = await start(events_lifetime_min_s=0.1, events_lifetime_max_s=0.1)
        async with connected(server) as client:
            head = f"GET /v1/stream?ticket={server.ticket({A: 0})} HTTP/1.1\r\nhost: x\r\n\r\n"
            text = (head + "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").encode()
            at = len(head) - cut
            client.writer.write(text[:at])
            await asyncio.sleep(0.05)
            client.writer.write(text[at:])
            assert [e.type for e in (await client.answer()).events] == ["hello", "bye"]
            assert (await client.answer()).body == b'{"status":"ok"}'

    async def test_close_is_heard(self, start: Start) -> None:
        server = await start(**NO_HEARTBEATS)
        async with connected(server) as client:
            client.follow(server.ticket({A: 0}), "connection: close")
            await client.begin()
            end_all(server)
            await client.chunk()
            assert await client.chunk() == b""
            assert await client.at_end()

    @pytest.mark.parametrize(
        "target",
        ["/v1/%73tream?ticket={}", "http://x/v1/stream?ticket={}", "/v1/stream?ticket={}#x"],
    )
    async def test_the_path_may_be_written_in_other_ways(self, start: Start, target: str) -> None:
        server = await start(events_lifetime_min_s=0.1, events_lifetime_max_s=0.1)
        async with connected(server) as client:
            client.get(target.format(server.ticket({A: 0})))
            assert [e.type for e in (await client.answer()).events] == ["hello", "bye"]

    async def test_an_offer_to_upgrade_is_left_alone(self, start: Start) -> None:
        server = await start(events_lifetime_min_s=0.1, events_lifetime_max_s=0.1)
        offer = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
        async with connected(server) as client:
            client.follow(server.ticket({A: 0}), *offer)
            assert [e.type for e in (await client.answer()).events] == ["hello", "bye"]
            client.get("/healthz", *offer)
            assert (await client.answer()).body == b'{"status":"ok"}'

    async def test_a_request_with_a_body_is_refused(self, start: Start) -> None:
        server = await start()
        async with connected(server) as client:
            client.follow(server.ticket({A: 0}), "content-length: 5")
            client.writer.write(b"hello")
            assert (await client.answer()).slug == "bad-request"

    async def test_a_client_that_leaves_mid_stream_is_forgotten(self, start: Start) -> None:
        server = await start()
        for reset in (False, True):
            async with connected(server) as client:
                client.follow(server.ticket({A: 0}))
                await client.begin()
                assert len(server.server.streams) == 1
                if reset:
                    client.writer.transport.abort()
            async with asyncio.timeout(5):
                await server.until_open(0)
        assert server.server.streams.ended["client"] == 2
        assert server.server.streams.hub.channels_followed == 0
        server.publish(f"{A}@1")

    async def test_a_drain_closes_the_idle_and_lets_the_others_end(self, start: Start) -> None:
        server = await start(events_drain_s=0.3)
        async with connected(server) as fresh, connected(server) as idle, connected(server) as busy:
            idle.get("/healthz")
            await idle.answer()
            busy.follow(server.ticket({A: 0}))
            await busy.begin()
            server.server.http.stop()
            assert await idle.at_end()
            assert await fresh.at_end()
            assert b'"reason":"drain"' in await busy.chunk()
            assert await busy.chunk() == b""
            assert await busy.at_end()
        assert server.serving is not None
        await asyncio.wait_for(server.serving, 3)


class TestBothPathsSayTheSame:
    async def test_in_all_heads(self, start: Start, push_path: str) -> None:
        """Each path is held against the same text, so against the other."""
        server = await start(**NO_HEARTBEATS, cors_origins=["https://ours"])
        vary = {"vary": "Origin"}
        expose = vary | {"access-control-expose-headers": "retry-after"}
        ours = expose | {"access-control-allow-origin": "https://ours"}
        async with connected(server) as client:
            for headers, expected in (
                ([], vary),
                (["Origin: https://ours"], ours),
                (["origin: https://theirs"], expose),
            ):
                client.get("/v1/stream?ticket=x", *headers)
                answer = await client.answer()
                told = answer.headers
                assert told.pop("content-length") == str(len(answer.body))
                assert told.pop("date")
                assert told == expected | {
                    "cache-control": "no-store", "content-type": "application/problem+json",
                }  # fmt: skip
                client.follow(server.ticket({A: 0}), *headers)
                told = (await client.begin()).headers
                assert told.pop("date")
                told.pop("connection", None)
                assert told == expected | {
                    "cache-control": "no-store", "x-accel-buffering": "no",
                    "content-type": "text/event-stream; charset=utf-8",
                    "transfer-encoding": "chunked",
                }  # fmt: skip
                end_all(server)
                await client.chunk(), await client.chunk()

    async def test_when_a_page_of_any_origin_may_read(self, start: Start) -> None:
        server = await start()
        async with connected(server) as client:
            client.get("/v1/stream?ticket=x", "origin: http://shop")
            told = (await client.answer()).headers
        assert told["access-control-allow-origin"] == "*"
        assert told["vary"] == "Origin"

    async def test_when_the_server_is_not_ready(self, start: Start) -> None:
        server = await start()
        server.server.streams.hub.warm = False
        async with connected(server) as client:
            client.get("/v1/stream?ticket=x", "origin: http://shop")
            answer = await client.answer()
            assert (answer.status, answer.slug) == (503, "degraded")
            assert 1 <= int(answer.headers["retry-after"]) <= 5
            client.get("/healthz")
            assert (await client.answer()).status == 200


@pytest.mark.parametrize("push_path", ["edge"])
class TestTheEdge:
    @pytest.mark.parametrize(
        "text",
        [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET /v1/stream HTTP/9.9\r\n\r\n",
         b"GET /v1/stream HTTP/1.1\nhost: x\n\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
         b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n"],
        ids=["TLS", "version", "bare newlines", "header", "length"],
    )  # fmt: skip
    async def test_what_is_not_http_is_told_so(self, start: Start, text: bytes) -> None:
        server = await start()
        async with connected(server) as client:
            client.writer.write(text)
            answer = await client.answer()
            assert (answer.status, answer.slug) == (400, "bad-request")
            assert answer.headers["connection"] == "close"
            assert await client.at_end()
        assert server.server.metrics.refused["bad-request"] == 1

    @pytest.mark.parametrize("begin", ["GET /v1/stream?ticket=", "GET / HTTP/1.1\r\nx: "])
    @pytest.mark.parametrize("complete", [False, True])
    async def test_a_head_that_is_too_long(self, start: Start, begin: str, complete: bool) -> None:
        server = await start()
        async with connected(server) as client:
            client.writer.write(begin.encode() + b"x" * EVENTS_HEAD_BYTES)
            if complete:
                client.writer.write(b" HTTP/1.1\r\n\r\n")
            answer = await client.answer()
            assert answer.slug == "bad-request"
            assert f"longer than {EVENTS_HEAD_BYTES}" in json.loads(answer.body)["detail"]
            with contextlib.suppress(ConnectionResetError):  # what was not read is not waited for
                assert await client.at_end()

    async def test_the_longest_head_passes(self, start: Start) -> None:
        server = await start()
        async with connected(server) as client:
            for _ in range(2):  # it is counted anew for each request
                client.get("/healthz", "x: " + "x" * (EVENTS_HEAD_BYTES - 60))
                assert (await client.answer()).status == 200

    async def test_garbage_behind_a_request_does_not_spoil_its_answer(self, start: Start) -> None:
        server = await start()
        async with connected(server) as client:
            client.get("/healthz")
            client.writer.write(b"\x00\x01garbage\r\n\r\n")
            assert (await client.answer()).body == b'{"status":"ok"}'
            assert (await client.answer()).status == 400
            assert await client.at_end()

    async def test_no_more_than_so_much_waits_behind_a_stream(self, start: Start) -> None:
        server = await start(**NO_HEARTBEATS)
        async with connected(server) as client:
            client.follow(server.ticket({A: 0}))
            await client.begin()
            request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 4000 + b"\r\n\r\n"
            count = 4 * MAX_WAITING_BYTES // len(request)
            for _ in range(count):
                client.writer.write(request)
            await asyncio.sleep(0.1)
            (connection,) = server.server.http.server_state.connections
            assert isinstance(connection, EdgeConnection)
            assert len(connection._waiting) <= MAX_WAITING_BYTES + 256 * 1024
            assert not connection.transport.is_reading()
            server.publish(f"{A}@1")
            assert f"id: {A}@1".encode() in await client.chunk()
            end_all(server)
            await client.chunk(), await client.chunk()
            for _ in range(count):
                assert (await client.answer()).status == 200

    async def test_a_client_of_http_1_0_gets_no_chunks(self, start: Start) -> None:
        server = await start()
        server.publish(f"{A}@1")
        server.publish(f"{A}@2")
        async with connected(server) as client:
            client.get(f"/v1/stream?ticket={server.ticket({A: 2})}&lastEventId=0", version="1.0")
            await server.until_open(1)
            server.publish(f"{A}@3")
            end_all(server)
            answer = await client.answer()
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"
        assert [e.type for e in answer.events] == ["hello", *["order.placed"] * 3, "bye"]
        assert answer.body.startswith(b"retry: ")

    async def test_a_replay_larger_than_what_may_wait_is_no_slowness(self, start: Start) -> None:
        server = await start(events_buffer_bytes=2000, events_ring_events=1000)
        for seq in range(1, 501):
            server.publish(f"{A}@{seq}", text="x" * 20_000)
        async with connected(server) as client:
            client.get(f"/v1/stream?ticket={server.ticket({A: 500})}&lastEventId=0")
            await client.head()
            parser, ids = SseParser(), list[str]()
            while len(ids) < 501:
                ids += [e.last_event_id for e in parser.feed(await client.chunk())]
        assert ids[1:] == [f"{A}@{n}" for n in range(1, 501)]
        assert server.server.streams.ended["slow"] == 0

    async def test_an_open_stream_holds_nothing_of_its_request(self, start: Start) -> None:
        server = await start()
        async with connected(server) as client:
            client.get("/healthz")
            await client.answer()
            client.follow(server.ticket({A: 0}))
            await client.begin()
            (connection,) = server.server.http.server_state.connections
            assert isinstance(connection, EdgeConnection)
            assert vars(connection) == {}
            assert connection.parser is None
            assert connection._head == []


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(chain)],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


class TestTls:
    async def test_streams_and_the_application(
        self, start: Start, certificate: tuple[Path, Path]
    ) -> None:
        chain, key = certificate
        server = await start(events_tls_cert=str(chain), events_tls_key=str(key))
        server.url = f"https://127.0.0.1:{server.port}"
        trust = ssl.create_default_context(cafile=str(chain))
        async with httpx.AsyncClient(verify=trust) as client:
            for _ in range(2):
                assert (await client.get(f"{server.url}/healthz")).status_code == 200
                async with following(client, server, server.ticket({A: 0})) as stream:
                    await stream.next()
                    server.server.streams.hub.publish(A, 1, event(A, 1), 0.0)
                    assert await stream.ids(1) == [f"{A}@1"]
                    end_all(server)
                    assert [reason(e) for e in await stream.rest()] == ["timeout"]

    async def test_a_slow_client(self, start: Start, certificate: tuple[Path, Path]) -> None:
        chain, key = certificate
        server = await start(
            events_tls_cert=str(chain), events_tls_key=str(key),
            events_buffer_bytes=20_000, events_abort_after_s=0.3,
        )  # fmt: skip
        trust = ssl.create_default_context(cafile=str(chain))
        async with connected(server, trust) as client:
            client.follow(server.ticket({A: 0}))
            await client.begin()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            seq = 0
            async with asyncio.timeout(20):
                while server.server.streams.ended["slow"] == 0:
                    seq += 1
                    server.publish(f"{A}@{seq}", text="x" * 10_000)
                    await asyncio.sleep(0)
                # By an abort, or by its last words, if the kernel's buffers have grown meanwhile.
                await server.until_open(0)
        assert server.server.streams.ended["slow"] == 1


@pytest.mark.parametrize("path", ["/v1/stream?ticket=x", "/healthz"])
@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("GET {} HTTP/1.1\r\n", "no Host"),
        ("GET {} HTTP/1.1\r\nhost: a\r\nHost: a\r\n", "more than one Host"),
        ("GET {} HTTP/1.0\r\nhost: a\r\nhost: b\r\n", "more than one Host"),
        ("GET {} HTTP/1.1\r\nhost: a b\r\n", "Host header is not"),
        ("GET {} HTTP/1.1\r\nhost: a@b\r\n", "Host header is not"),
        ("GET {} HTTP/1.1\r\nhost: a, b\r\n", "Host header is not"),
        ("GET {} HTTP/1.1\r\nhost:\r\n", "Host header is not"),
        ("GET {} HTTP/2.0\r\nhost: a\r\n", "HTTP/1.1"),
    ],
)
async def test_a_head_that_breaks_the_rules_is_refused_whoever_answers(
    start: Start, path: str, head: str, says: str
) -> None:
    server = await start()
    async with connected(server) as client:
        client.writer.write((head.format(path) + "\r\n").encode())
        client.get("/healthz")  # nothing behind it is answered
        answer = await client.answer()
        assert (answer.status, answer.slug) == (400, "bad-request")
        assert says in json.loads(answer.body)["detail"]
        assert answer.headers["connection"] == "close"
        assert await client.at_end()


@pytest.mark.parametrize("host", ["x", "events.example:8443", "[::1]:8001", "10.0.0.1"])
async def test_any_host_will_do(start: Start, host: str) -> None:
    server = await start()
    async with connected(server) as client:
        client.writer.write(f"GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("path", ["/v1/stream", "/healthz", "/readyz", "/metrics"])
async def test_a_method_that_a_path_does_not_take_is_told_what_it_takes(
    start: Start, path: str
) -> None:
    server = await start()
    async with connected(server) as client:
        client.writer.write(f"DELETE {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        answer = await client.answer()
        assert answer.status == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
