"""Any text at any door of the event server is taken or refused: a stream's query and headers, over
the protocol class that serves them, and whatever stands in a record of Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import quote

import httptools
import httpx
import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from client_sdk.contract import text
from client_sdk.contract.channel import parse_event_id
from client_sdk.contract.errors import CursorError
from client_sdk.contract.sse import SseEvent, SseParser
from event_server.http.access import OpsTokens
from event_server.kafka.record_reader import RecordReader
from event_server.kafka.warm_up import ReadRange
from event_server.main import EventServer, build, ticket_keys
from event_server.settings import EventSettings
from server_common.kafka_records.events import (
    LAST_EPOCH_TIME,
    SENT,
    WATERMARK_TYPE,
    OmittedRecord,
    encode_omitted_record,
    encode_sent,
)
from tests.unit.event_server.parts import (
    EPOCH,
    FRAMES,
    KEYS,
    FakeSubscriber,
    make_hub,
    make_ticket,
    order_record,
    watermark_record,
)

FOLLOWED, OTHER = "store:1", "store:2"
ODD = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=30),
    st.sampled_from(
        ["\0", "\ud800", "²", "١", "１", "-1", "9" * 5000, "store:1", "store:1@", "store:1@-1",
         "store:1@1\n", "store:1@١", "store:1@1,store:1@2", "store:2@0", "a.b.c", "..", "%00",
         "\u2028", "\r\nx: y", "chunked", "close", "1, 1"]
    ),
)  # fmt: skip


# Streams ------------------------------------------------------------------------------------


class Wire(asyncio.Transport):
    """A transport that takes everything at once, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Answer:
    """One response, as a strict parser reads it."""

    def __init__(self, written: bytes) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._body = b""
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(written)
        self.status = parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    @property
    def events(self) -> list[SseEvent]:
        return SseParser().feed(self._body)


class Door:
    """An event server whose connections a test makes by hand."""

    def __init__(self) -> None:
        values = EventSettings.model_validate(
            {
                "ticket_keys": {"t1": "k" * 32},
                "ticket_kid": "t1",
                "token_keys": {"a1": "s" * 32},
                "partitions": 1,
            }
        )
        tokens = OpsTokens(values.token_keys, time.time)
        self.server: EventServer = build(values, ticket_keys(values), tokens)
        self.server.http.config.load()
        self.head = 0
        hub = self.server.streams.hub
        self._intake = RecordReader(hub, {0: ReadRange(0, time.time() - 60)}, lambda *_: None)
        self._offset = 0

    def publish(self) -> None:
        """One event of the channel that is followed, and one of another."""
        self.head += 1
        for channel in (OTHER, FOLLOWED):
            self.take(*order_record((f"{channel}@{self.head}",)))

    def ticket(self) -> str:
        """A ticket of a sync that was now."""
        return KEYS.sign(make_ticket({FOLLOWED: self.head}, issued_at=time.time()))

    async def ask(self, query: bytes, *headers: tuple[bytes, bytes]) -> Answer:
        """Ask for a stream, let an event come, and leave."""
        self.take(None, watermark_record(time.time()))
        config, state = self.server.http.config, self.server.http.server_state
        protocol: Any = config.http_protocol_class
        connection = protocol(config, state, {}, asyncio.get_running_loop())
        wire = Wire()
        lines = b"".join(b"%b: %b\r\n" % field for field in headers)
        wire.set_protocol(connection)
        connection.connection_made(wire)
        connection.data_received(b"GET /v1/stream?%b HTTP/1.1\r\n%b\r\n" % (query, lines))
        self.publish()
        await asyncio.sleep(0)
        assert wire.protocol is not None
        wire.protocol.connection_lost(None)
        return Answer(wire.written)

    def take(self, value: bytes | None, headers: Any) -> None:
        self._intake.take(0, self._offset, time.time(), value, headers, time.monotonic())
        self._offset += 1


@cache
def door() -> Door:
    return Door()


async def holds(query: bytes, *headers: tuple[bytes, bytes]) -> int:
    """What was asked for is served whole or refused as a problem, and the next request is served;
    the status."""
    at, before = door(), door().head
    with capture_logs() as logs:
        answer = await at.ask(query, *headers)
    assert [line for line in logs if line["event"] == "request_failed"] == []
    assert len(at.server.streams) == 0
    if answer.status == 200:
        told = [event for event in answer.events if event.type.startswith("order.")]
        seqs = [parse_event_id(event.last_event_id) for event in told]
        if [event.type for event in answer.events] != ["sync-required"]:
            assert seqs[-1] == (FOLLOWED, at.head)
        assert seqs == [(FOLLOWED, n) for n in range(at.head + 1 - len(seqs), at.head + 1)]
    else:
        assert answer.status in {400, 401, 403}
        assert answer.headers[b"content-type"] == b"application/problem+json"
    good = await at.ask(b"ticket=" + at.ticket().encode(), (b"host", b"x"))
    assert good.status == 200
    assert [e.last_event_id for e in good.events if e.type.startswith("order.")] == [
        f"{FOLLOWED}@{before + 2}"
    ]
    return answer.status


def ops_token() -> str:
    """Who may read what is not a stream."""
    claims = {"sub": "x", "role": "ops", "aud": "yabam", "exp": int(time.time()) + 600}
    return jwt.encode(claims, "s" * 32, "HS256", {"kid": "a1"})


def of_url(odd: str) -> bytes:
    """In a URL; a lone surrogate as bytes that are no UTF-8."""
    return quote(odd.encode("utf-8", "surrogatepass"), safe="").encode()


@pytest.mark.parametrize("name", ["ticket", "lastEventId", "ticket=a&ticket", "x"])
@settings(max_examples=25, deadline=None)
@given(odd=ODD)
@example(odd="\0")
@example(odd="\ud800")
def test_any_text_in_a_streams_query_is_taken_or_refused(name: str, odd: str) -> None:
    query = name.encode() + b"=" + of_url(odd)
    if not name.startswith("ticket"):
        query = b"ticket=" + door().ticket().encode() + b"&" + query
    status = asyncio.run(holds(query, (b"host", b"x")))
    assert status != 200 or not name.startswith("ticket")


@settings(max_examples=50, deadline=None)
@given(query=st.binary(max_size=60))
@example(query=b"&" * 40)
@example(query=b"%")
@example(query=b"ticket=%ff")
@example(query=b"ticket=a HTTP/1.1\r\nhost: y\r\n\r\n")
def test_a_streams_query_of_any_bytes_is_refused(query: bytes) -> None:
    assert asyncio.run(holds(query, (b"host", b"x"))) in {400, 401}


@settings(max_examples=50, deadline=None)
@given(at=st.integers(0, 10_000), char=st.sampled_from(".-_=Aé \0"))
def test_a_ticket_with_any_one_character_changed_opens_nothing(at: int, char: str) -> None:
    ticket = door().ticket()
    at %= len(ticket)
    changed = ticket[:at] + char + ticket[at + 1 :]
    if changed != ticket:
        assert asyncio.run(holds(b"ticket=" + of_url(changed), (b"host", b"x"))) == 401


HEADERS = [b"last-event-id", b"origin", b"content-length", b"transfer-encoding", b"connection",
           b"host", b"expect", b"upgrade", b"accept", b"x-foreign"]  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
@settings(max_examples=25, deadline=None)
@given(odd=ODD)
@example(odd="\0")
@example(odd="\ud800")
def test_any_text_in_a_streams_header_is_taken_or_refused(name: bytes, odd: str) -> None:
    value = odd.encode("utf-8", "surrogatepass")
    headers = [(name, value)] if name == b"host" else [(b"host", b"x"), (name, value)]
    status = asyncio.run(holds(b"ticket=" + door().ticket().encode(), *headers))
    # It may name an event of a channel that the ticket is not for.
    forbidden = {403} if name == b"last-event-id" else set()
    assert status in {200, 400} | forbidden


@settings(max_examples=60, deadline=None)
@given(odd=ODD)
@example(odd="\0")
@example(odd="\ud800")
def test_any_text_as_a_limit_of_the_busiest_channels_is_taken_or_refused(odd: str) -> None:
    async def ask() -> int:
        transport = httpx.ASGITransport(door().server.http.config.loaded_app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            target = f"/v1/channels/top?limit={of_url(odd).decode()}"
            answer = await client.get(target, headers={"authorization": f"Bearer {ops_token()}"})
        return answer.status_code

    status = asyncio.run(ask())
    assert status in {200, 400}
    assert status == 400 or text.number_of(odd, 100)


# Kafka --------------------------------------------------------------------------------------

Fields = list[tuple[str, bytes | None]]
LINE = b'{"id":"store:1@1","text":"x"}'
OURS = ["type", "ids", "occurred_at", "epoch", "watermark", "omitted", SENT]
ANY_NAME = st.one_of(st.sampled_from(OURS), st.text(max_size=8))
ANY_VALUE = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b"\0", b"\xff", b"store:1@1", b"store:1@2", b"store:2@1", b"store:1@1,store:2@1",
         b"store:1@1,store:1@1", b"store:1@1,store:1@2", b"store:1@99999999999999999999",
         "store:1@١".encode(), b"store:1@1\n", b"order.placed", b"order\nplaced", b"hello", b"bye",
         b"heartbeat", b"sync-required", b"watermark",
         b"omitted", b"01EPOCH0", b"01EPOCH2", b"zzz", b"9" * 18, b"9" * 19, b"-1", b"1e9",
         "²".encode(), b"s.1", b"s.7", b"other.0", b"s.", b"." * 70]
    ),
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.sampled_from(["drop", "set", "add", "first"]), ANY_NAME, ANY_VALUE), max_size=3
)
VALUES = st.one_of(st.just(LINE), st.none(), st.sampled_from([b"", b"\n", LINE + b"\n" + LINE,
                   LINE + b"\r", b"\xff\0"]), st.binary(max_size=30))  # fmt: skip


def changed(fields: Fields, changes: Sequence[tuple[str, str, bytes | None]]) -> Fields:
    """The headers with these dropped, set to another value, or added at either end."""
    for how, name, value in changes:
        if how == "drop":
            fields = [field for field in fields if field[0] != name]
        elif how == "set":
            fields = [(key, value if key == name else old) for key, old in fields]
        else:
            fields = [*fields, (name, value)] if how == "add" else [(name, value), *fields]
    return fields


class Log:
    """A log that an intake reads as the source does: where it is told to look back, it does."""

    def __init__(self) -> None:
        self.hub = make_hub()
        self.skipped: list[str] = []
        reaches = {0: ReadRange(0, 900.0)}
        self._intake = RecordReader(
            self.hub, reaches, lambda kind, _reason: self.skipped.append(kind)
        )
        self._records: list[tuple[float, bytes | None, Any]] = []
        self._position = 0
        self._sent = 0

    def append(self, value: bytes | None, headers: Any, at: float = 1000.0) -> None:
        """A record of the relay, which numbers it."""
        self.append_raw(value, [*headers, encode_sent("s", self._sent)], at)
        self._sent += 1

    def append_raw(self, value: bytes | None, headers: Any, at: float) -> None:
        """Any record."""
        self._records.append((at, value, headers))
        turns = 0
        while self._position < len(self._records):
            turns += 1
            assert turns < 20, "it looks back again and again"
            time_, value, headers = self._records[self._position]
            again = self._intake.take(0, self._position, time_, value, headers, 100.0)
            self._position = self._position + 1 if again is None else again

    def follow(self, channel: str) -> FakeSubscriber:
        subscriber = FakeSubscriber()
        assert self.hub.attach(subscriber, {channel: 0}, {channel: 0}, 1000.0, EPOCH) == []
        return subscriber


def concerned(fields: Fields) -> bool | None:
    """Whether a record carries an event that a follower of store:1 needs; None: it may, but that
    cannot be read."""
    found = {name: text or b"" for name, text in fields}
    kind, epoch = found.get("type"), found.get("epoch", b"")
    if kind == WATERMARK_TYPE or not ({"ids", "omitted", SENT} & found.keys()):
        return False
    is_over = epoch < EPOCH.encode() or epoch >= LAST_EPOCH_TIME.encode()
    if epoch and is_over and epoch.isascii() and epoch.decode().isprintable():
        return False  # its lifetime is over, or no lifetime of ours
    try:
        text = found["omitted" if kind == b"omitted" else "ids"].decode("ascii")
        places = [parse_event_id(one) for one in text.split(",")]
    except (KeyError, UnicodeDecodeError, CursorError):
        return None
    return any(channel == FOLLOWED and seq >= 1 for channel, seq in places)


@settings(max_examples=400, deadline=None)
@given(
    base=st.sampled_from(["order", "watermark", "omitted"]),
    numbered=st.booleans(),
    changes=CHANGES,
    value=VALUES,
    at=st.sampled_from([-0.001, 0.0, 1000.0, 1e12, 9.2e15]),
)
@example(base="watermark", numbered=True, changes=[("set", "watermark", b"9" * 18)], value=None,
         at=1000.0)  # fmt: skip
@example(base="order", numbered=True, changes=[("drop", "epoch", None)], value=LINE, at=1000.0)
@example(base="order", numbered=True, changes=[("set", "ids", b"\xff")], value=LINE, at=1000.0)
@example(base="order", numbered=True, changes=[], value=LINE + b"\r", at=1000.0)
@example(base="order", numbered=True, changes=[("add", SENT, None)], value=LINE, at=1000.0)
@example(base="order", numbered=True, changes=[("set", "type", b"bye")], value=LINE, at=1000.0)
@example(base="order", numbered=True, changes=[("first", SENT, None)], value=LINE, at=1000.0)
def test_any_record_is_taken_or_left_out_and_whoever_needs_it_is_told(
    base: str,
    numbered: bool,
    changes: list[tuple[str, str, bytes | None]],
    value: bytes | None,
    at: float,
) -> None:
    log = Log()
    log.append(None, watermark_record(1000.0))
    mine, others = log.follow(FOLLOWED), log.follow(OTHER)
    fields: Fields = [
        *{
            "order": order_record((f"{FOLLOWED}@1",))[1],
            "watermark": watermark_record(1001.0),
            "omitted": encode_omitted_record(OmittedRecord(EPOCH, (f"{FOLLOWED}@1",))),
        }[base]
    ]
    if numbered:
        fields.append(encode_sent("s", 1))
    fields = changed(fields, changes)
    log.append_raw(value, fields, at)

    # Never a wrong event.
    lines = [line.decode("utf-8", "replace") for line in (value or b"").split(b"\n")]
    for subscriber, channel in ((mine, FOLLOWED), (others, OTHER)):
        ids = subscriber.ids()
        assert ids == [f"{channel}@{n}" for n in range(1, len(ids) + 1)]
        data = [e.data for e in subscriber.events if e.type != "sync-required"]
        assert len(data) == len(ids), "a record forged what the server alone says"
        assert all(one in lines for one in data)
    # Always told.
    needed = concerned(fields)
    if needed or needed is None:
        assert mine.ended or mine.ids(), "an event was left out in silence"
    if needed is None:
        assert others.ended
    if mine.ended:
        assert mine.types()[-1] == "sync-required"
    # And all goes on: the time can be told, and the next event comes.
    if log.hub.watermark is not None:
        FRAMES.heartbeat(log.hub.watermark)
    value_, headers = order_record(("store:3@1",), log.hub.epoch)
    log.append(value_, headers)
    ring = log.hub.rings.get("store:3")
    assert ring is not None
    assert ring.head == 1
