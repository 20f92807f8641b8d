"""nginx's rules, with the test's own servers that behave as each rule requires."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from client_sdk.contract.limits import MAX_TICKET_CHARS
from core_api.api.batch import MAX_BATCH_BYTES
from core_api.settings import CoreSettings
from deploy.processes.ports import LOOPBACK, free_port
from event_server.settings import EventSettings
from server_common.limits import EVENTS_HEAD_BYTES
from tests.deploy.edge import CONFIGURATION, Nginx
from tests.serving import Listener

RULES: Final = (CONFIGURATION / "nginx.conf").read_text()
TICKET: Final = "a-ticket-that-nobody-may-read"
OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BUSY: Final = (
    b"HTTP/1.1 503 x\r\ncontent-type: application/problem+json\r\nretry-after: 7\r\n"
    b"content-length: 2\r\n\r\n{}"
)
STREAM: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """An HTTP server that records each request's head and gives the test's answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.port = free_port()
        self._listener = Listener(self._serve, port=self.port, limit=EVENTS_HEAD_BYTES)
        self.heads: list[str] = []
        self.connections = 0
        self.start, self.stop = self._listener.start, self._listener.stop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                if length := re.search(r"^content-length: (\d+)", head, re.IGNORECASE | re.M):
                    await reader.readexactly(int(length[1]))
                self.heads.append(head)
                await self._answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass


def says(answer: bytes) -> Answer:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return write


async def falls_silent(writer: asyncio.StreamWriter) -> None:
    """Accept the request, and close the connection without an answer."""
    writer.close()


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Nginx]]]:
    """Starts nginx in front of these servers. A port number stands for a server that is down."""
    started: list[Server] = []
    proxies: list[Nginx] = []

    async def start(*, core: list[Server | int], events: list[Server | int]) -> Nginx:
        for server in (*core, *events):
            if isinstance(server, Server):
                await server.start()
                started.append(server)
        nginx = Nginx(tmp_path / "nginx", ports(core), ports(events))
        proxies.append(nginx)
        await asyncio.to_thread(nginx.start)
        return nginx

    yield start
    for nginx in proxies:
        await asyncio.to_thread(nginx.stop)
    for server in started:
        await server.stop()


def ports(servers: list[Server | int]) -> list[int]:
    return [server if isinstance(server, int) else server.port for server in servers]


@asynccontextmanager
async def client_of(nginx: Nginx) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=nginx.url, verify=nginx.trust, timeout=20) as client:
        yield client


Behind = Callable[..., Awaitable[Nginx]]


class TestStreams:
    async def test_each_event_leaves_before_the_next_one_is_made(self, behind: Behind) -> None:
        received: asyncio.Queue[int] = asyncio.Queue()

        async def one_by_one(writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM)
            for number in range(5):
                event = f"data: {number}\n\n".encode()
                writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                # If nginx held it back, nothing would ever come out of this queue.
                assert await received.get() == number
            writer.write(b"0\r\n\r\n")

        nginx = await behind(core=[1], events=[Server(one_by_one)])
        async with (
            client_of(nginx) as client,
            asyncio.timeout(10),
            client.stream("GET", "/v1/stream?ticket=x") as answer,
        ):
            events = [chunk async for chunk in noting(answer, received)]
        assert events == [f"data: {number}\n\n".encode() for number in range(5)]

    async def test_are_never_compressed_though_other_answers_are(self, behind: Behind) -> None:
        body = b"{" + b" " * 5000 + b"}"
        asset = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
        stream = STREAM + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        core, events = Server(says(asset % (len(body), body))), Server(says(stream))
        nginx = await behind(core=[core], events=[events])
        async with client_of(nginx) as client:
            asked = {"accept-encoding": "gzip"}
            assert "content-encoding" not in (await client.get("/v1/stream", headers=asked)).headers
            other = await client.get("/openapi.json", headers=asked)
        assert other.headers["content-encoding"] == "gzip"

    async def test_a_server_that_cannot_serve_is_passed_over(self, behind: Behind) -> None:
        full, free = Server(says(BUSY)), Server(says(OK))
        nginx = await behind(core=[1], events=[full, free])
        async with client_of(nginx) as client:
            statuses = [(await client.get("/v1/stream?ticket=x")).status_code for _ in range(6)]
        assert statuses == [200] * 6
        assert full.heads

    async def test_where_none_can_serve_the_client_hears_what_they_say_every_time(
        self, behind: Behind
    ) -> None:
        nginx = await behind(core=[1], events=[Server(says(BUSY)), Server(says(BUSY))])
        async with client_of(nginx) as client:
            for _ in range(4):
                answer = await client.get("/v1/stream?ticket=x")
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")

    async def test_the_longest_ticket_and_cursor_pass(self, behind: Behind) -> None:
        events = Server(says(OK))
        nginx = await behind(core=[1], events=[events])
        query = f"ticket={'t' * MAX_TICKET_CHARS}&lastEventId={'c' * (MAX_TICKET_CHARS - 20)}"
        assert await status_of(nginx, f"/v1/stream?{query}") == 200
        assert await status_of(nginx, f"/v1/stream?{query}{'c' * MAX_TICKET_CHARS}") == 414
        assert f"GET /v1/stream?{query} HTTP/1.1" in events.heads[0]


async def noting(answer: httpx.Response, received: asyncio.Queue[int]) -> AsyncIterator[bytes]:
    number = 0
    async for chunk in answer.aiter_raw():
        yield chunk
        received.put_nowait(number)
        number += 1


class TestRequestsToCore:
    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    async def test_a_write_that_was_sent_is_never_sent_again(
        self, behind: Behind, method: str
    ) -> None:
        cores = [Server(falls_silent), Server(falls_silent)]
        nginx = await behind(core=cores, events=[1])
        async with client_of(nginx) as client:
            answer = await client.request(method, "/v1/orders", json={})
        assert sum(len(core.heads) for core in cores) == 1
        assert answer.status_code == 502
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["status"] == 502

    async def test_a_read_is_asked_of_the_other_core(self, behind: Behind) -> None:
        cores = [Server(falls_silent), Server(says(OK))]
        nginx = await behind(core=cores, events=[1])
        async with client_of(nginx) as client:
            assert [(await client.get("/v1/sync")).status_code for _ in range(2)] == [200, 200]
        assert [len(core.heads) for core in cores] == [1, 2]

    async def test_a_write_that_could_not_be_sent_goes_to_the_other_core(
        self, behind: Behind
    ) -> None:
        core = Server(says(OK))
        nginx = await behind(core=[free_port(), core], events=[1])
        async with client_of(nginx) as client:
            for _ in range(2):
                assert (await client.post("/v1/orders", json={})).status_code == 200

    async def test_connections_are_kept_and_used_again(self, behind: Behind) -> None:
        core = Server(says(OK))
        nginx = await behind(core=[core], events=[1])
        async with client_of(nginx) as client:
            for _ in range(5):
                await client.post("/v1/orders", json={})
        assert core.connections <= nginx_workers()
        assert not any(re.search("^connection:", head, re.I | re.M) for head in core.heads)

    async def test_headers_that_core_reads_arrive_as_they_were(self, behind: Behind) -> None:
        core = Server(says(OK))
        nginx = await behind(core=[core], events=[1])
        sent = {
            "authorization": "Bearer a.b.c",
            "idempotency-key": "k-1",
            "if-match": '"3"',
            "yabam-if-updated-at": "2026-11-22T09:30:00.123456Z",
            "yabam-device": "till-1; mode=live; pending=0",
        }
        async with client_of(nginx) as client:
            await client.get("/v1/orders/1?x=%2F", headers=sent)
        assert core.heads[0].startswith("GET /v1/orders/1?x=%2F HTTP/1.1\r\n")
        arrived = {line.lower() for line in core.heads[0].split("\r\n")}
        assert {f"{name}: {value}".lower() for name, value in sent.items()} <= arrived
        assert f"host: {LOOPBACK}:{nginx.port}" in arrived

    async def test_a_body_longer_than_any_that_core_takes_is_refused(self, behind: Behind) -> None:
        nginx = await behind(core=[Server(says(OK))], events=[1])
        async with client_of(nginx) as client:
            taken = await client.post("/v1/orders/batch", content=b"x" * MAX_BATCH_BYTES)
            refused = await client.post("/v1/orders/batch", content=b"x" * 2 * MAX_BATCH_BYTES)
        assert (taken.status_code, refused.status_code) == (200, 413)


class TestLogs:
    async def test_hold_no_ticket_and_no_token_whatever_goes_wrong(self, behind: Behind) -> None:
        events: list[Server | int] = [Server(falls_silent), free_port()]
        nginx = await behind(core=[Server(says(OK))], events=events)
        headers = {"authorization": f"Bearer {TICKET}"}
        async with client_of(nginx) as client:
            for path in ("/v1/stream", "/v1%2Fstream", "/v1/stream/", "/v1/x/../stream"):
                await client.get(f"{path}?ticket={TICKET}", headers=headers)
        await status_of(nginx, f"/v1/stream?ticket={TICKET}{'x' * 4 * MAX_TICKET_CHARS}")
        async with asyncio.timeout(30):
            # nginx logs a request after its answer.
            while len(logged := nginx.requests()) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert [entry["status"] for entry in logged] == [502, 502, 200, 502, 414]
        assert logged[0]["upstream"].count(LOOPBACK) == 2
        assert TICKET not in nginx.logs()

    async def test_hold_no_secret_of_a_star_printer_that_was_answered(self, behind: Behind) -> None:
        nginx = await behind(core=[Server(says(OK))], events=[1])
        async with client_of(nginx) as client:
            await client.post("/cloudprnt/12~k~1.hunter2/printer")
        async with asyncio.timeout(30):
            while not (logged := nginx.requests()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert logged[0]["path"] == "/cloudprnt/"
        assert "hunter2" not in nginx.logs()


class TestTheConfiguration:
    async def test_is_right_by_its_own_check(self, behind: Behind) -> None:
        nginx = await behind(core=[1], events=[2])
        told = await asyncio.to_thread(nginx.check)
        assert "test is successful" in told
        assert "[warn]" not in told

    async def test_offers_http_2_first_and_http_1_1_to_others(self, behind: Behind) -> None:
        nginx = await behind(core=[1], events=[2])
        for offered, taken in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")):
            assert await agreed(nginx, offered) == taken

    def test_allows_more_time_than_the_servers_take(self) -> None:
        stream, core = location("= /v1/stream"), location("/")
        longest = EventSettings.model_fields["events_lifetime_max_s"].default
        assert seconds(stream, "proxy_read_timeout") > longest
        assert seconds(RULES, "worker_shutdown_timeout") > longest
        waits = 25 + CoreSettings.model_fields["deadline_s"].default
        assert seconds(core, "proxy_read_timeout") > waits

    def test_gives_up_connections_before_the_servers_do(self) -> None:
        upstreams = (CONFIGURATION / "compose/http.conf").read_text()
        kept = [int(found) for found in re.findall(r"keepalive_timeout (\d+)s;", upstreams)]
        assert len(kept) == 2
        for module in ("core_api/http/server.py", "event_server/http/server.py"):
            text = Path(module).read_text()
            (server,) = re.findall(r"(?:timeout_keep_alive=|_KEEP_ALIVE_S = )(\d+)", text)
            assert max(kept) < int(server)

    def test_never_repeats_what_is_not_safe_to_repeat(self) -> None:
        rules = re.findall(r"^\s*proxy_next_upstream ([^;#]+);", RULES, re.MULTILINE)
        assert len(rules) == 3
        assert not any("non_idempotent" in rule for rule in rules)


def location(name: str) -> str:
    return RULES.partition(f"location {name} {{")[2].partition("\n        }")[0]


def seconds(text: str, name: str) -> int:
    (found,) = re.findall(rf"^\s*{name} (\d+)s;", text, re.MULTILINE)
    return int(found)


def nginx_workers() -> int:
    """How many connections nginx's workers open if each knows only its own."""
    return os.cpu_count() or 1


async def status_of(nginx: Nginx, target: str) -> int:
    """The status of GET for a target that is too long for httpx."""
    reader, writer = await asyncio.open_connection(LOOPBACK, nginx.port, ssl=nginx.trust)
    writer.write(f"GET {target} HTTP/1.1\r\nhost: {LOOPBACK}\r\n\r\n".encode())
    status = int((await reader.readline()).split(b" ")[1])
    writer.transport.abort()
    return status


async def agreed(nginx: Nginx, offered: list[str]) -> str | None:
    trust = nginx.trust
    trust.set_alpn_protocols(offered)
    _, writer = await asyncio.open_connection(LOOPBACK, nginx.port, ssl=trust)
    found = writer.get_extra_info("ssl_object")
    assert isinstance(found, ssl.SSLObject)
    # A close over TLS waits for nginx's answer, and the test's loop may end before it comes.
    writer.transport.abort()
    return found.selected_alpn_protocol()
