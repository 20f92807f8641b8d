"""The way past the general parser: the same answers to any bytes, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.server import ServerState

from event_server.metrics import EventMetrics
from event_server.push.direct_stream import DirectStream, Serving
from event_server.push.protocol import Edge, EdgeConnection
from event_server.push.stream_requests import StreamRequests, read_block
from event_server.replay.frames import Frames, as_chunk
from event_server.sockets.talk import Talk
from event_server.streams.latency import PushLatency
from server_common.http.read_timeout import ReadTimeout
from server_common.http.request_heads import MAX_KNOWN_BLOCKS
from tests.unit.event_server.parts import KEYS, make_hub, make_streams, make_ticket

TICKET = KEYS.sign(make_ticket({"store:1": 0}))
HEADERS = b"Host: x\r\nAccept: text/event-stream\r\n"
PLAIN = b"GET /v1/stream?ticket=%b HTTP/1.1\r\n%b\r\n" % (TICKET.encode(), HEADERS)


class FakeLoop:
    """Starts no application."""

    def time(self) -> float:
        return 0.0

    def call_soon(self, *_: object) -> None:
        pass

    def call_later(self, *_: object) -> asyncio.TimerHandle:
        return cast(asyncio.TimerHandle, self)

    def cancel(self) -> None:
        pass

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        work.close()
        return cast("asyncio.Future[None]", self)

    def add_done_callback(self, _: object) -> None:
        pass


class FakeTransport:
    """Keeps what is written to it."""

    def __init__(self) -> None:
        self.written = b""
        self.writes = 0
        self.limits: list[object] = []
        self.closing = self.paused = False
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes) -> None:
        self.written += data
        self.writes += 1

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_reading(self) -> bool:
        return not self.paused

    def set_write_buffer_limits(self, *limits: object) -> None:
        self.limits.append(limits)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _: str) -> None:
        return None

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol


class World:
    """An edge, and the connections that are made to it."""

    def __init__(self) -> None:
        hub = make_hub()
        hub.mark(0, 1000.0, 0.0)
        self.streams = make_streams(hub, max_streams=3)
        self.streams.frames = Frames(as_chunk)
        talk = Talk(hub, self.streams.frames, "server-1/a")
        latency = PushLatency(hub.clock, lambda: 0.0)
        self.metrics = EventMetrics(self.streams, talk, latency, lambda: 0.0)
        self.read_timeout = ReadTimeout(10.0)
        self.edge = Edge(
            self.streams, self.metrics, talk, ["*"], 1000, lambda: 0.0, self.read_timeout
        )
        self.config = Config(nothing, lifespan="off", log_config=None)
        self.config.load()
        self.state = ServerState()
        self.loop = cast(asyncio.AbstractEventLoop, FakeLoop())

    def connect(self) -> tuple[FakeTransport, DirectStream]:
        """A new connection, as uvicorn makes them."""
        direct = self.edge.protocol(self.config, self.state, {}, self.loop)
        transport = FakeTransport()
        transport.protocol = direct
        direct.connection_made(cast(asyncio.Transport, transport))
        return transport, direct

    def connect_generally(self) -> FakeTransport:
        """A new connection all of whose bytes the general parser reads."""
        serving = Serving(self.edge, self.config, self.state, {}, self.loop)
        transport, direct = FakeTransport(), DirectStream(serving)
        direct.connection_made(cast(asyncio.Transport, transport))
        transport.protocol = EdgeConnection(self.edge, serving, direct.transport, direct, None)
        self.state.connections.discard(direct)
        return transport

    def outcome(self, transport: FakeTransport) -> object:
        """All that can be seen from outside and counted."""
        refused = {slug: count for slug, count in self.metrics.refused.items() if count}
        return (
            transport.written, transport.limits, transport.closing, transport.paused,
            len(self.streams), self.streams.opened, self.state.total_requests, refused,
            len(self.read_timeout), len(self.state.connections),
        )  # fmt: skip


async def nothing(_scope: object, _receive: object, _send: object) -> None:
    """An application."""


def feed(transport: FakeTransport, pieces: list[bytes]) -> None:
    for piece in pieces:
        assert transport.protocol is not None
        transport.protocol.data_received(piece)


NAMES = [
    b"Host: x", b"Host: b:80", b"host: a b", b"Accept: */*", b"Connection: close",
    b"Connection: keep-alive", b"Connection: Upgrade", b"Upgrade: websocket", b"Origin: https://a",
    b"Content-Length: 0", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Cookie: a=b",
    b"Last-Event-ID: 0", b"Last-Event-ID: x", b"Authorization: Bearer x", b" folded", b"no colon",
    b"Content-Length : 3", b"X: \xff\x00", b"Expect: 100-continue", b"",
]  # fmt: skip
QUERIES = [
    TICKET.encode(), TICKET.encode() + b"&lastEventId=store%3A1%400", b"a.b.c", b"",
    TICKET.encode() + b"&lastEventId=0&lastEventId=0", TICKET.encode() + b"#x",
    TICKET.encode() + b"&x=%ff", TICKET.encode() + b" ", TICKET.encode()[:-1] + b"%41",
]  # fmt: skip
lines = st.lists(st.sampled_from(NAMES), max_size=4).map(
    lambda names: b"".join(name + b"\r\n" for name in [b"Host: x", *names])
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Heads that are nearly right, and sometimes quite."""
    head = b"%b%b%b HTTP/%b\r\n%b\r\n" % (
        draw(st.sampled_from([b"GET ", b"GET ", b"GET ", b"HEAD ", b"POST ", b"get "])),
        draw(st.sampled_from([b"/v1/stream?ticket=", b"/v1/stream", b"/v1/stream%3f", b"/x?"])),
        draw(st.sampled_from(QUERIES)),
        draw(st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0", b"2.0", b"1.1 "])),
        draw(lines | st.just(HEADERS)),
    )
    for _ in range(draw(st.integers(0, 2))):
        at, gone = draw(st.integers(0, len(head))), draw(st.integers(0, 3))
        put = draw(st.sampled_from([b"", b"\r\n", b"\n", b"\r", b" ", b"\0", b"\xff", b"?", b"\t"]))
        head = head[:at] + put + head[at + gone :]
    return head


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """What a client sends, cut into pieces."""
    data = b"".join(draw(st.lists(requests() | st.just(PLAIN), min_size=1, max_size=2)))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=2)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


UPGRADE = PLAIN.replace(b"Accept", b"Connection: Upgrade\r\nUpgrade: h2c\r\nAccept")


@given(conversations(), st.booleans())
@example([PLAIN], False)
@example([PLAIN], True)
@example([UPGRADE], False)
@example([PLAIN.replace(b" HTTP", b"#x HTTP")], False)
@example([PLAIN.replace(b"Accept", b"Content-Length: 5\r\nAccept"), b"hello"], False)
def test_any_bytes_have_the_same_outcome_as_by_the_general_parser(
    pieces: list[bytes], draining: bool
) -> None:
    worlds = World(), World()
    direct, _ = worlds[0].connect()
    general = worlds[1].connect_generally()
    for world, transport in zip(worlds, (direct, general), strict=True):
        world.streams.health.draining = draining
        feed(transport, pieces)
    assert worlds[0].outcome(direct) == worlds[1].outcome(general)
    for world, transport in zip(worlds, (direct, general), strict=True):
        assert transport.protocol is not None
        transport.protocol.connection_lost(None)
        assert not world.state.connections
        assert not len(world.read_timeout)
        assert not len(world.streams)


async def test_a_request_that_is_begun_behind_another_has_its_time_out_too() -> None:
    world = World()
    world.loop = asyncio.get_running_loop()
    transport = world.connect_generally()
    body = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    feed(transport, [body + b"GET /y HTTP/1.1\r\nX: "])
    assert len(world.read_timeout) == 1


@given(lines)
def test_a_block_that_is_read_is_one_whole_head(block: bytes) -> None:
    found = read_block(b"\r\n" + block + b"\r\n")
    if found is not None:
        assert not {b"content-length", b"transfer-encoding", b"upgrade"} & set(found.headers)
        assert [found.headers[b"host"]] == [
            line.partition(b":")[2].strip()
            for line in block.split(b"\r\n")
            if line.lower().startswith(b"host")
        ]


class TestAPlainRequest:
    def test_is_served_by_the_object_that_took_the_connection(self) -> None:
        world = World()
        transport, direct = world.connect()
        feed(transport, [PLAIN])
        assert transport.protocol is direct
        assert world.streams.is_open(direct)
        assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")

    def test_is_written_at_once(self) -> None:
        world = World()
        transport, _ = world.connect()
        feed(transport, [PLAIN])
        assert transport.writes == 1
        assert b"event: hello\n" in transport.written

    @pytest.mark.usefixtures("no_collector")
    @pytest.mark.parametrize("more", [b"", b"GET /v1/stream HTTP/1.1\r\nhost: x\r\n\r\n"])
    def test_leaves_nothing_behind_when_its_client_is_gone(self, more: bytes) -> None:
        world = World()
        transport, direct = world.connect()
        feed(transport, [PLAIN, more] if more else [PLAIN])
        assert transport.protocol is not None
        gone = [weakref.ref(transport)]
        transport.protocol.connection_lost(None)
        transport.protocol = None  # as a transport does that has closed
        del transport, direct
        assert [one() for one in gone] == [None]

    @pytest.mark.parametrize("first", [b"", PLAIN])
    def test_that_is_gone_or_never_came_takes_what_the_transport_still_says(
        self, first: bytes
    ) -> None:
        world = World()
        _, direct = world.connect()
        if first:
            direct.data_received(first)
            direct.connection_lost(None)
        direct.pause_writing()
        direct.resume_writing()
        assert not len(world.streams)


def test_what_it_cannot_read_keeps_its_time() -> None:
    world = World()
    transport, direct = world.connect()
    (before,) = world.read_timeout._until.items()
    feed(transport, [PLAIN[:50]])
    assert isinstance(transport.protocol, EdgeConnection)
    assert list(world.read_timeout._until.items()) == [before]
    world.read_timeout._until.clear()
    direct.time_out()
    assert transport.closing


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def reader() -> StreamRequests:
    return StreamRequests()


class TestBlocks:
    def test_are_remembered_up_to_a_number(self, reader: StreamRequests) -> None:
        for number in range(MAX_KNOWN_BLOCKS + 10):
            assert reader.read(PLAIN.replace(b"Host: x", b"Host: x%d" % number)) is not None
            assert len(reader) <= MAX_KNOWN_BLOCKS

    @pytest.mark.usefixtures("no_collector")
    @pytest.mark.parametrize("line", [b"X: a", b"no colon", b"Upgrade: h2c\r\nConnection: Upgrade"])
    def test_leave_nothing_to_the_collector(self, line: bytes) -> None:
        gc.collect()
        for _ in range(100):
            read_block(b"\r\nHost: x\r\n%b\r\n\r\n" % line)
        assert gc.collect() < 100  # other threads may have left a little

    @pytest.mark.parametrize("secret", [b"Cookie: a", b"Authorization: b", b"Last-Event-ID: 0"])
    def test_of_one_client_are_not_remembered(self, reader: StreamRequests, secret: bytes) -> None:
        found = reader.read(PLAIN.replace(b"Accept", secret + b"\r\nAccept"))
        assert found is not None
        assert len(reader) == 0


def test_a_connection_is_made_for_each_server_anew() -> None:
    world = World()
    first: Callable[[], DirectStream] = lambda: world.edge.protocol(  # noqa: E731
        world.config, world.state, {}, world.loop
    )
    assert first()._serving is first()._serving
    other = world.edge.protocol(world.config, ServerState(), {}, world.loop)
    assert other._serving is not first()._serving
