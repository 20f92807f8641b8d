"""The way of plain syncs past parser and application: the same answers to any bytes, in the same
order, and the same things counted."""

from __future__ import annotations

import asyncio
import gc
import random
import traceback
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from prometheus_client import Histogram
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs
from uvicorn.config import Config
from uvicorn.server import ServerState

from client_sdk.contract.channel import parse_channel
from core_api.access.callers import Caller
from core_api.access.sign_in import SignIn
from core_api.api.app import core_app
from core_api.api.gate import ApiLimits, Gate
from core_api.api.handlers.ops_handlers import OpsApi
from core_api.api.handlers.order_handlers import CoreApi
from core_api.api.quick_syncs import _refused
from core_api.errors import CoreError, PartyLeftError, UnauthorizedError, UnavailableError
from core_api.http.connection import HttpConnection
from core_api.http.open_connections import OpenConnections
from core_api.http.plain_requests import PlainRequests
from core_api.http.quick_answers import AnswerHeads
from core_api.metrics import CoreMetrics
from core_api.overload import Bound, PollingPace, RateLimit
from core_api.receipts.devices import Sighting
from core_api.sync.large_answers import LargeAnswers
from core_api.sync.long_poll import LongPolls
from core_api.sync.request import parse_going_on, parse_sync
from core_api.sync.service import FetchSync
from server_common.http.query_string import parse_query
from server_common.http.read_timeout import ReadTimeout
from server_common.http.request_heads import MAX_KNOWN_BLOCKS, MAX_WAITING_BYTES
from tests.unit.core_api.samples import GRANTS, everybody_stays
from tests.unit.core_api.test_fast_path import (
    BUSY,
    EXPIRED,
    OWNER,
    QUERIES,
    RATE,
    TOKENS,
    Database,
    handlers,
)

TABLE = parse_channel("table:1/2")
GUEST = TOKENS.sign(Caller("guest", "table", table=TABLE), 600)
GUESTS = [
    GUEST,
    *(
        TOKENS.sign(Caller(name, "table", table=TABLE), 600)
        for name in ("gone", "unknown", "bug", "revoked", "busy")
    ),
]
"""Whose party stays; has left; cannot be asked for, as the database is down or by a bug of ours;
one that is not signed in any more; and one that asks too often."""
ASKED = b"GET /v1/sync?channel=store:1&lastEventId=store:1@5 HTTP/1.1\r\n"
ABOUT = f"Host: x\r\nAuthorization: Bearer {OWNER}\r\n".encode()
PLAIN = ASKED + ABOUT + b"\r\n"
OF_GUEST = (
    b"GET /v1/sync?channel=table:1/2&lastEventId=5 HTTP/1.1\r\nHost: x\r\n"
    b"Authorization: Bearer %b\r\n\r\n" % GUEST.encode()
)
WITH_BODY = b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
BEGUN = [b"", b"G", b"GET /x HTTP/1.1\r\n", b"GET /x HTTP/1.1\r\nX: "]
"""What stands of a request in one piece with the end of the one before."""
DEVICE = b"Yabam-Device: till-1; mode=live; pending=0\r\n"


class Asked(Database):
    """That database, which counts what it is asked, and answers when it may."""

    def __init__(self) -> None:
        self.queries: list[Sequence[str]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.moment = 1.5

    async def fetch(self, statement: str, channels: Sequence[str], *more: Any) -> list[list[Any]]:
        self.queries.append(channels)
        await self.may_answer.wait()
        rows = await super().fetch(statement, channels, *more)
        for row in rows:
            row[1] = self.moment
        return rows


async def stays_unless_named_so(caller: Caller) -> None:
    """The parties of `GUESTS`."""
    await asyncio.sleep(0)
    if caller.subject == "gone":
        raise PartyLeftError("this token was made for guests before: scan the code on the table")
    if caller.subject == "unknown":
        raise UnavailableError("the database does not answer")
    if caller.subject == "bug":
        raise ZeroDivisionError


def signed_in_unless_named_so(caller: Caller) -> None:
    """Whether those of `GUESTS` are."""
    if caller.subject == "revoked":
        raise UnauthorizedError("this token has been revoked: sign in again")


class Devices:
    """Keeps reports."""

    def __init__(self) -> None:
        self.seen: list[Sighting] = []

    def saw(self, sightings: Sequence[Sighting]) -> None:
        self.seen += sightings


class FakeTransport:
    """Keeps what is written to it."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = self.paused = False
        self.protocol: HttpConnection | None = None

    def write(self, data: bytes) -> None:
        self.written += data

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

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _: str, default: object = None) -> object:
        return default


class World:
    """A Core over that database, with clocks and chance that stand still; and connections to it."""

    def __init__(
        self,
        is_quick: bool,
        check: Callable[[Caller], None] = lambda _caller: None,
        deadline_s: float = 5.0,
        limit: int = 10,
        now: Callable[[], float] = lambda: 0.0,
        stays: Callable[[Caller], Awaitable[None]] = everybody_stays,
        most_open: int = 100,
        gate_deadline_s: float = 5.0,
    ) -> None:
        unused: Any = None
        self.database, self.devices = Asked(), Devices()
        self.bound = Bound(limit, "syncs", lambda low, _high: low)
        self.metrics = CoreMetrics(lambda: 0, {"sync": self.bound})
        database: Any = self.database
        self.unknown: list[object] = []
        fetch = FetchSync(
            database,
            LongPolls(unused, 0.1, 0),
            GRANTS,
            PollingPace(3000, now),
            self.bound,
            deadline_s,
            self.metrics.reset_given,
            self.unknown.append,
            LargeAnswers(lambda: 0.0),
        )
        self.rate = RateLimit(1000.0, 10_000, lambda: 0.0)
        for _ in range(10_000):
            self.rate.take("busy")
        limits = ApiLimits(self.bound, self.rate, RATE, gate_deadline_s, self.rate)
        devices: Any = self.devices
        api = CoreApi(
            unused,
            fetch,
            devices,
            unused,
            Gate(SignIn(TOKENS, check=check), limits, stays),
            self.metrics,
            unused,
            OpsApi(unused, unused, unused, unused),
        )
        self.app = core_app(handlers(api), ["https://a.example"])
        self.quick = self.app.quick if is_quick else None
        self.read_timeout = ReadTimeout(10.0)
        self.config = Config(
            self.app, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=75
        )
        self.config.load()
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"Sun, 22 Nov 2026 22:13:45 GMT")]
        self.heads = AnswerHeads()
        self.open = OpenConnections(most_open)

    def protocol(self, kind: type[HttpConnection] = HttpConnection) -> HttpConnection:
        """A new connection, as uvicorn makes them."""
        loop = asyncio.get_running_loop()
        return kind(
            self.read_timeout, self.quick, self.heads, self.open, self.config, self.state, {}, loop
        )

    def connect(self) -> FakeTransport:
        """A new connection that is open."""
        connection = self.protocol()
        transport = FakeTransport()
        transport.protocol = connection
        connection.connection_made(cast(asyncio.Transport, transport))
        return transport

    def counted(self) -> Sequence[object]:
        """All that is counted, without times.

        Not as text, and without the samples of each bucket: most of the time would go into them.
        """
        found: list[object] = []
        for metric in self.metrics.registry._collector_to_names:
            if isinstance(metric, Histogram):
                children: dict[Any, Any] = metric._metrics if metric._labelnames else {(): metric}
                found += [
                    (metric._name, labels, sum(bucket.get() for bucket in child._buckets))
                    for labels, child in children.items()
                ]
                continue
            samples = (one for family in metric.collect() for one in family.samples)
            found += [one for one in samples if not one.name.endswith("_created")]
        return found

    def outcome(self, transport: FakeTransport) -> object:
        """All that can be seen from outside and counted."""
        return (
            transport.written, transport.closing, self.state.total_requests, self.devices.seen,
            self.counted(), len(self.read_timeout), self.bound.under_way,
            list(self.rate._levels), self.unknown,
        )  # fmt: skip


async def settle() -> None:
    """Let the loop turn until nothing in it can go on by itself, or 80 times."""
    loop: Any = asyncio.get_running_loop()
    empty = 0
    for _ in range(80):
        await asyncio.sleep(0)
        empty = 0 if loop._ready else empty + 1
        if empty == 3:  # what is due by the clock comes in the next turn
            return


def feed(transport: FakeTransport, pieces: Sequence[bytes]) -> None:
    assert transport.protocol is not None
    for piece in pieces:
        if not transport.closing:
            transport.protocol.data_received(piece)


async def gone(transport: FakeTransport) -> None:
    assert transport.protocol is not None
    transport.closing = True
    transport.protocol.connection_lost(None)
    transport.protocol = None
    await settle()


class Both:
    """Two Cores that are asked the same: one that has the quick way, and one that has not."""

    def __init__(self) -> None:
        self._worlds = [
            World(is_quick, signed_in_unless_named_so, stays=stays_unless_named_so)
            for is_quick in (True, False)
        ]

    async def ask(self, pieces: Sequence[bytes]) -> bytes:
        """Send the pieces both ways; the answers, which are the same."""
        found = []
        for world in self._worlds:
            transport = world.connect()
            for piece in pieces:
                feed(transport, [piece])
                if len(pieces) < 4:
                    await settle()
            await settle()
            found.append(world.outcome(transport))
            written = transport.written
            await gone(transport)
            assert world.bound.under_way == 0
            assert not world.state.connections
            assert not len(world.read_timeout)
        assert found[0] == found[1], pieces
        return written


@pytest.fixture(scope="module")
def both() -> Both:
    return Both()


LINES = [
    b"Host: b:80", b"host: a b", b"Accept: */*", b"Accept-Encoding: gzip, br",
    b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade", b"Upgrade: websocket",
    b"Origin: https://a.example", b"Origin: https://b.example", b"Content-Length: 0",
    b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Cookie: a=b", b"Trailer: x",
    b"Authorization: Bearer x", b"authorization: Bearer y", b"AUTHORIZATION: Bearer z",
    f"Authorization: Bearer {BUSY}".encode(), f"authorization: bearer {OWNER}".encode(),
    f"Authorization: Bearer  {OWNER}".encode(), f"Authorization: Bearer {OWNER} ".encode(),
    f"Authorization: Bearer {EXPIRED}".encode(), f"Authorization: Bearer {GUEST}".encode(),
    b"Authorization: Basic eDp5", b"Authorization: Bearer ", b"Authorization:Bearer x",
    b"Yabam-Device: till-1; mode=live; pending=3", b"yabam-device: till-1; mode=live; pending=3",
    b"Yabam-Device: till-2;mode=polling;pending=0; diverged=1", b"Yabam-Device: x",
    b"Yabam-Device:  till-1; mode=live; pending=0 ", b"Yabam-Device: ", b"YABAM-DEVICE: a",
    b" folded", b"\tfolded", b"no colon", b"Content-Length : 3", b"X: \xff\x00", b"X: \xff",
    b"Expect: 100-continue", b"traceparent: 00-x", b"X: GET / HTTP/1.1", b"",
    b"X-Forwarded-For: 10.0.0.1", b"Keep-Alive: timeout=5", b"TE: trailers",
]  # fmt: skip
PLAINER = [
    "channel=store:1&lastEventId=store:1@5", "channel=store:1&lastEventId=5",
    "channel=store%3A1&orders=1000&lastEventId=store%3A1%405&epoch=e1",
    "channel=store:1&lastEventId=store:1@5&epoch=e0", "channel=store:1&lastEventId=store:1@3",
    "channel=store:1&lastEventId=store:1@0", "channel=store:1&lastEventId=store:1@6",
    "channel=store:1&lastEventId=store:1@3&limit=1", "channel=store:1&lastEventId=store:2@3",
    "channel=table:1/2&lastEventId=table:1/2@5", "channel=public:1&lastEventId=public:1@5",
    "channel=store:1&channel=table:1/2&lastEventId=store:1@5,table:1/2@5",
    "channel=store:1&lastEventId=store:1@99999999999999999999",
    "channel=store:1&lastEventId=store:1@9223372036854775807", "channel=store:1&lastEventId=05",
    "channel=store%253A1&lastEventId=5", "channel=store:1&lastEventId=store%3a1%405",
    "channel=table:1/down&lastEventId=5", "channel=table:1/bug&lastEventId=5",
    "channel=store:2&lastEventId=5", "channel=global&lastEventId=5", "&channel=store:1",
]  # fmt: skip


def head(chance: random.Random, tokens: Sequence[str]) -> bytes:
    """A head that is nearly right, and sometimes quite."""
    query = chance.choice([*PLAINER, *PLAINER, *[q for q in QUERIES if "wait" not in q]])
    if tokens != [OWNER] and chance.random() < 0.7:
        query = chance.choice([q for q in PLAINER if "store:" not in q])
    lines = [b"Host: x"] if chance.random() < 0.95 else []
    if chance.random() < 0.8:
        lines.append(f"Authorization: Bearer {chance.choice(tokens)}".encode())
    if chance.random() < 0.4:
        lines.append(DEVICE[:-2])
    if chance.random() < 0.5:
        lines += chance.choices(LINES, k=chance.randrange(1, 4))
        chance.shuffle(lines)
    one = b"%b %b%b HTTP/%b\r\n%b\r\n" % (
        chance.choice([b"GET"] * 12 + [b"HEAD", b"POST", b"get", b"OPTIONS"]),
        chance.choice([b"/v1/sync?"] * 12 + [b"/v1/sync", b"/v1/sync/?", b"/v1//sync?", b"/x?"]),
        query.encode("latin-1"),
        chance.choice([b"1.1"] * 12 + [b"1.0", b"2.0", b"1.1 "]),
        b"".join(line + b"\r\n" for line in lines),
    )
    for _ in range(chance.choice([0, 0, 0, 0, 1, 2])):
        at, gone = chance.randrange(len(one)), chance.randrange(4)
        put = chance.choice([b"", b"\r\n", b"\n", b"\r", b" ", b"\0", b"\xff", b"?", b"\t", b"#x"])
        one = one[:at] + put + one[at + gone :]
    return one


def conversation(chance: random.Random, tokens: Sequence[str]) -> list[bytes]:
    """What a client sends, whole requests or cut into pieces, one after the other or at once."""
    heads = [
        chance.choice([PLAIN, OF_GUEST]) if chance.random() < 0.2 else head(chance, tokens)
        for _ in range(chance.randrange(1, 5))
    ]
    if chance.random() < 0.2:
        heads.insert(chance.randrange(len(heads) + 1), WITH_BODY + chance.choice(BEGUN))
    if chance.random() < 0.6:
        return heads
    data = b"".join(heads)
    cuts = sorted(chance.randrange(len(data)) for _ in range(chance.randrange(3)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tokens", [[OWNER], GUESTS], ids=["owner", "guests"])
async def test_any_bytes_have_the_same_outcome_as_by_parser_and_application(
    seed: int, tokens: Sequence[str]
) -> None:
    chance, both = random.Random(seed), Both()
    statuses: set[bytes] = set()
    with capture_logs():
        for _ in range(200):
            written = await both.ask(conversation(chance, tokens))
            statuses |= {part[:3] for part in written.split(b"HTTP/1.1 ")[1:]}
    assert {b"200", b"400", b"401"} <= statuses
    if tokens is GUESTS:
        assert {b"403", b"429", b"500", b"503"} <= statuses


@pytest.mark.parametrize("query", PLAINER)
@pytest.mark.parametrize("device", [b"", DEVICE], ids=["nobody", "device"])
async def test_each_plain_query_has_the_same_outcome_both_ways(
    query: str, device: bytes, both: Both
) -> None:
    with capture_logs():
        for token in (OWNER, *GUESTS):
            about = ABOUT.replace(OWNER.encode(), token.encode())
            line = b"GET /v1/sync?%b HTTP/1.1\r\n" % query.encode()
            await both.ask([line + device + about + b"\r\n"])


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
async def test_each_header_has_the_same_outcome_both_ways(line: bytes, both: Both) -> None:
    with capture_logs():
        for lines in (line + b"\r\n" + ABOUT, ABOUT + line + b"\r\n", b"Host: x\r\n" + line):
            await both.ask([ASKED + lines + b"\r\n"])
            await both.ask([ASKED + lines + b"\r\n\r\n", PLAIN])


@pytest.mark.parametrize(
    "pieces",
    [
        [PLAIN + PLAIN],
        [PLAIN] * 12,
        [PLAIN * 3, PLAIN],
        [OF_GUEST * 3, PLAIN],
        [OF_GUEST + WITH_BODY + OF_GUEST, OF_GUEST],
        [PLAIN, PLAIN[:40], PLAIN[40:]],
        [PLAIN, b"\r\n" + PLAIN],
        [PLAIN + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", PLAIN],
        [ASKED + ABOUT + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", PLAIN],
        [ASKED + ABOUT + b"Connection: close\r\n\r\n", PLAIN],
        [ASKED + ABOUT + b"Content-Length: 5\r\n\r\n", PLAIN],
        [ASKED + ABOUT + b"Content-Length: 5\r\n\r\nhello", PLAIN],
        [ASKED + ABOUT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", PLAIN],
        [ASKED + ABOUT + b"Expect: 100-continue\r\n\r\n", PLAIN],
        # The end of a head stands before the line with the token, which is no part of it then.
        [ASKED + b"Host: x\r\n\r\n" + ABOUT[9:], PLAIN],
        [ASKED + b"Host: x\r\n" + ABOUT[9:] + b" x: folded\r\n\r\n"],
        *([WITH_BODY + begun, PLAIN, b"GET /healthz HTTP/1.1\r\n\r\n"] for begun in BEGUN),
        [WITH_BODY + b"GET /x HTTP/1.1\r\nX: ", PLAIN.replace(b"Bearer ", b"Bearer x"), PLAIN],
        [ASKED + ABOUT + b"X: %b\r\n\r\n" % (b"a" * 9000), PLAIN],
        [ASKED + ABOUT + b"X: %b\r\n\r\n" % (b"a" * 100_000), PLAIN],
    ],
    # Tokens differ in each process.
    ids=range(23),
)
async def test_each_of_these_has_the_same_outcome_both_ways(
    pieces: list[bytes], both: Both
) -> None:
    with capture_logs():
        await both.ask(pieces)


@pytest.mark.parametrize("query", PLAINER + QUERIES)
def test_a_query_of_our_clients_is_read_as_any_other(query: str) -> None:
    found = parse_going_on(query)
    if found is not None:
        assert found == parse_sync(parse_query(query, "replace"))


def test_the_queries_of_our_clients_are_known() -> None:
    known = [query for query in PLAINER if parse_going_on(query) is not None]
    assert {PLAINER[0], PLAINER[1], PLAINER[2]} <= set(known)


class TestBeyondTheBoundOfOpenConnections:
    async def test_the_one_that_has_rested_since_longest_gives_way(self) -> None:
        for is_quick in (True, False):
            world = World(is_quick, most_open=2)
            first, second = world.connect(), world.connect()
            for transport in (first, second, first):
                feed(transport, [PLAIN])
                await settle()
            world.connect()
            assert (first.closing, second.closing) == (False, True)
            assert second.written.count(b"HTTP/1.1 200") == 1

    async def test_none_gives_way_that_is_asked_or_has_not_asked_yet(self) -> None:
        for is_quick in (True, False):
            world = World(is_quick, most_open=2)
            world.database.may_answer.clear()
            asked, silent = world.connect(), world.connect()
            feed(asked, [PLAIN])
            await settle()
            newest = world.connect()
            assert not any(one.closing for one in (asked, silent, newest))
            world.database.may_answer.set()
            await settle()
            assert asked.written.startswith(b"HTTP/1.1 200")

    async def test_one_that_has_gone_takes_no_place(self) -> None:
        world = World(True, most_open=2)
        first, second = world.connect(), world.connect()
        for transport in (first, second):
            feed(transport, [PLAIN])
            await settle()
        await gone(second)
        world.connect()
        assert not first.closing
        assert len(world.open) == 2


class TestAPlainSync:
    async def test_starts_no_task_of_its_own(self) -> None:
        world = World(True)
        world.database.may_answer.clear()
        before = asyncio.all_tasks()
        transports = [world.connect() for _ in range(5)]
        for transport in transports:
            feed(transport, [PLAIN])
        assert len(asyncio.all_tasks() - before) == 1, "the one that reads, for all"
        world.database.may_answer.set()
        await settle()
        assert all(one.written.startswith(b"HTTP/1.1 200 OK\r\n") for one in transports)
        assert len(world.database.queries) == 1

    async def test_of_many_at_once_is_refused_beyond_the_bound(self) -> None:
        world = World(True)
        world.database.may_answer.clear()
        transports = [world.connect() for _ in range(12)]
        for transport in transports:
            feed(transport, [PLAIN])
        await settle()
        refused = [one for one in transports if one.written]
        assert [one.written[:12] for one in refused] == [b"HTTP/1.1 503"] * 2
        assert b"retry-after: 1" in refused[0].written
        world.database.may_answer.set()
        await settle()
        assert sum(one.written.startswith(b"HTTP/1.1 200") for one in transports) == 10

    async def test_whose_client_has_gone_is_told_nothing_and_leaves_its_place(self) -> None:
        world = World(True)
        world.database.may_answer.clear()
        left, stays = world.connect(), world.connect()
        for transport in (left, stays):
            feed(transport, [PLAIN])
        await settle()
        await gone(left)
        world.database.may_answer.set()
        await settle()
        assert left.written == b""
        assert stays.written.startswith(b"HTTP/1.1 200")
        assert world.bound.under_way == 0

    async def test_of_a_revoked_token_is_refused_though_it_was_read_before(self) -> None:
        revoked: list[str] = []

        def check(caller: Caller) -> None:
            if caller.subject in revoked:
                raise UnauthorizedError("this token has been revoked: sign in again")

        world = World(True, check)
        world.database.may_answer.clear()
        transport = world.connect()
        feed(transport, [PLAIN])
        await settle()
        revoked.append("o")
        world.database.may_answer.set()
        await settle()
        assert transport.written.startswith(b"HTTP/1.1 401")
        feed(transport, [PLAIN])
        await settle()
        assert transport.written.count(b"HTTP/1.1 401") == 2
        assert len(world.database.queries) == 1

    async def test_of_a_guest_whose_party_has_left_is_refused(self) -> None:
        async def left(_caller: Caller) -> None:
            raise PartyLeftError

        asked = PLAIN.replace(OWNER.encode(), GUEST.encode())
        asked = asked.replace(b"store:1&lastEventId=store:1@", b"table:1/2&lastEventId=")
        found = []
        for is_quick in (True, False):
            world = World(is_quick, stays=left)
            transport = world.connect()
            feed(transport, [asked])
            await settle()
            found.append(transport.written)
        assert found[0] == found[1]
        assert b"party-left" in found[0]

    async def test_of_a_guest_waits_until_its_party_is_known_to_stay_after_the_read(self) -> None:
        may_stay, asked_after = asyncio.Event(), list[int]()

        async def stays(_caller: Caller) -> None:
            asked_after.append(len(world.database.queries))
            await may_stay.wait()

        world = World(True, stays=stays)
        transport = world.connect()
        asked = PLAIN.replace(OWNER.encode(), GUEST.encode())
        feed(transport, [asked.replace(b"store:1&lastEventId=store:1@", b"table:1/2&lastEventId=")])
        await settle()
        assert asked_after == [1]
        assert not transport.written
        may_stay.set()
        await settle()
        assert transport.written.startswith(b"HTTP/1.1 200")

    async def test_of_a_guest_shows_nothing_whatever_asking_for_its_party_ends_with(self) -> None:
        class Odd(BaseException):
            """No Exception."""

        async def stays(_caller: Caller) -> None:
            raise Odd

        for is_quick in (True, False):
            world = World(is_quick, stays=stays)
            transport = world.connect()
            feed(transport, [OF_GUEST])
            with capture_logs():
                await settle()
            assert transport.written.startswith(b"HTTP/1.1 500")

    async def test_of_a_guest_that_has_gone_as_its_party_was_asked_for_takes_no_place(self) -> None:
        may_stay = asyncio.Event()

        async def stays(_caller: Caller) -> None:
            await may_stay.wait()

        world = World(True, stays=stays, limit=1)
        left, comes = world.connect(), world.connect()
        feed(left, [OF_GUEST])
        await settle()
        await gone(left)
        feed(comes, [OF_GUEST, PLAIN])
        await settle()
        may_stay.set()
        await settle()
        assert left.written == b""
        assert comes.written.count(b"HTTP/1.1 200") == 2
        assert world.bound.under_way == 0
        assert world.quick is not None
        assert not world.quick._asking

    async def test_of_a_guest_whose_party_is_asked_for_is_finished_as_the_server_stops(
        self,
    ) -> None:
        may_stay = asyncio.Event()

        async def stays(_caller: Caller) -> None:
            await may_stay.wait()

        world = World(True, stays=stays)
        transport = world.connect()
        feed(transport, [OF_GUEST])
        await settle()
        assert transport.protocol is not None
        assert not transport.protocol.give_way()
        transport.protocol.shutdown()
        assert not transport.closing
        may_stay.set()
        await settle()
        assert transport.closing
        assert b"\r\nconnection: close\r\n\r\n{" in transport.written

    async def test_of_a_guest_is_refused_if_its_party_cannot_be_asked_for_as_the_core_stops(
        self,
    ) -> None:
        asking: list[asyncio.Task[Any] | None] = []

        async def stays(_caller: Caller) -> None:
            asking.append(asyncio.current_task())
            await asyncio.Event().wait()

        world = World(True, stays=stays)
        transport = world.connect()
        asked = PLAIN.replace(OWNER.encode(), GUEST.encode())
        feed(transport, [asked.replace(b"store:1&lastEventId=store:1@", b"table:1/2&lastEventId=")])
        await settle()
        (task,) = asking
        assert task is not None
        task.cancel()
        await settle()
        assert transport.written.startswith(b"HTTP/1.1 503")

    async def test_is_refused_once_its_deadline_is_over_and_its_query_is_given_up(self) -> None:
        world = World(True, deadline_s=0.01)
        world.database.may_answer.clear()
        transport = world.connect()
        feed(transport, [PLAIN])
        with capture_logs():
            while not transport.written:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await settle()
        assert transport.written.startswith(b"HTTP/1.1 503")
        assert world.bound.under_way == 0
        assert not any(task.get_name() == "gather" for task in asyncio.all_tasks())

    async def test_under_way_is_finished_before_the_connection_closes(self) -> None:
        for is_quick in (True, False):
            world = World(is_quick)
            world.database.may_answer.clear()
            transport = world.connect()
            feed(transport, [PLAIN])
            await settle()
            assert transport.protocol is not None
            transport.protocol.shutdown()
            assert not transport.closing
            world.database.may_answer.set()
            await settle()
            assert transport.closing
            assert b"HTTP/1.1 200" in transport.written
            assert b"\r\nconnection: close\r\n\r\n{" in transport.written

    async def test_that_turns_out_to_need_more_closes_too_when_the_server_stops(self) -> None:
        world = World(True)
        world.database.may_answer.clear()
        transport = world.connect()
        feed(transport, [PLAIN.replace(b"1@5", b"1@9")])
        await settle()
        assert transport.protocol is not None
        transport.protocol.shutdown()
        world.database.may_answer.set()
        await settle()
        assert b'"reset":"ahead"' in transport.written
        assert b"connection: close" in transport.written
        assert transport.closing

    async def test_keeps_what_follows_it_for_its_turn_and_reads_no_flood(self) -> None:
        world = World(True)
        world.database.may_answer.clear()
        transport = world.connect()
        feed(transport, [PLAIN, PLAIN])
        assert not transport.paused
        feed(transport, [PLAIN * (MAX_WAITING_BYTES // len(PLAIN))] * 2)
        assert transport.paused
        world.database.may_answer.set()
        while transport.paused:
            await settle()
        while transport.written.count(b"HTTP/1.1 200") < 2 + 2 * (MAX_WAITING_BYTES // len(PLAIN)):
            await settle()
        assert not transport.closing

    async def test_is_answered_before_what_comes_behind_it(self) -> None:
        world = World(True)
        world.database.may_answer.clear()
        transport = world.connect()
        feed(transport, [PLAIN, PLAIN.replace(b"store:1&", b"shop:1&")])
        await settle()
        written_before = transport.written
        world.database.may_answer.set()
        await settle()
        assert written_before == b""
        statuses = [part[:3] for part in transport.written.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200", b"400"]

    async def test_waits_for_a_client_that_does_not_read(self) -> None:
        world = World(True)
        transport = world.connect()
        assert transport.protocol is not None
        transport.protocol.pause_writing()
        feed(transport, [PLAIN] * 5)
        await settle()
        written_before = transport.written
        transport.protocol.resume_writing()
        await settle()
        assert written_before == b""
        assert transport.written.count(b"HTTP/1.1 200") == 5

    async def test_of_hundreds_at_once_is_answered_from_one_read(self) -> None:
        world = World(True, limit=300)
        world.database.may_answer.clear()
        transports = [world.connect() for _ in range(300)]
        for transport in transports:
            feed(transport, [PLAIN])
        world.database.may_answer.set()
        await settle()
        assert all(one.written.startswith(b"HTTP/1.1 200 OK\r\n") for one in transports)
        assert len(world.database.queries) == 1
        assert world.bound.under_way == 0

    async def test_counts_as_load_while_it_waits_for_a_query_that_is_stuck(self) -> None:
        now = [0.0]
        world = World(True, limit=10, now=lambda: now[0])
        world.database.may_answer.clear()
        transports = [world.connect() for _ in range(10)]
        for transport in transports:
            feed(transport, [PLAIN])
            await settle()
        now[0] = 10.0
        world.database.may_answer.set()
        await settle()
        (told,) = {one.written.rpartition(b":")[2] for one in transports}
        assert int(told[:-1]) > 3000, "clients poll more slowly"

    async def test_leaves_nothing_behind_when_its_client_is_gone(self) -> None:
        world = World(True)
        transport = world.connect()
        feed(transport, [PLAIN])
        await settle()
        assert transport.written.startswith(b"HTTP/1.1 200")
        await gone(transport)
        left = weakref.ref(transport)
        gc.collect()
        del transport
        assert left() is None

    async def test_whose_moment_cannot_be_written_fails_for_all_who_share_it(self) -> None:
        for is_quick in (True, False):
            world = World(is_quick)
            world.database.moment = 1e300
            transports = [world.connect() for _ in range(3)]
            for transport in transports:
                feed(transport, [PLAIN])
            with capture_logs():
                await settle()
            assert [one.written[9:12] for one in transports] == [b"500"] * 3


class TestAConnectionThatIsKept:
    async def test_is_closed_once_nothing_was_asked_for_so_long(self) -> None:
        world = World(True)
        transport = world.connect()
        connection = transport.protocol
        assert connection is not None
        connection.timeout_keep_alive = 75
        feed(transport, [PLAIN])
        await settle()
        timer = connection.timeout_keep_alive_task
        assert timer is not None
        feed(transport, [PLAIN])
        await settle()
        assert connection.timeout_keep_alive_task is timer, "an answer takes no timer of its own"
        connection.timeout_keep_alive_handler()
        assert not transport.closing, "something was asked since it was set"
        assert connection.timeout_keep_alive_task not in (None, timer)
        connection._answered_at -= 76
        connection.timeout_keep_alive_handler()
        assert transport.closing

    async def test_is_not_closed_while_a_sync_is_under_way(self) -> None:
        world = World(True)
        transport = world.connect()
        connection = transport.protocol
        assert connection is not None
        world.database.may_answer.clear()
        feed(transport, [PLAIN])
        connection.timeout_keep_alive_handler()
        assert not transport.closing
        world.database.may_answer.set()
        await settle()
        assert transport.written.startswith(b"HTTP/1.1 200")
        assert connection.timeout_keep_alive_task is not None


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class TestBlocksOfHeaders:
    def test_are_remembered_without_what_is_a_clients_own(self) -> None:
        reader = PlainRequests("/v1/sync")
        for n in range(100):
            block = b"Host: x\r\nAuthorization: Bearer a%d\r\nYabam-Device: till-%d\r\n\r\n" % (
                n,
                n,
            )
            found = reader.read(ASKED + block)
            assert found is not None
            assert (found.token, found.device) == (f"a{n}", f"till-{n}")
        assert len(reader) == 1

    def test_are_remembered_up_to_a_number(self) -> None:
        reader = PlainRequests("/v1/sync")
        for n in range(MAX_KNOWN_BLOCKS + 10):
            assert reader.read(PLAIN.replace(b"Host: x", b"Host: x%d" % n)) is not None
            assert len(reader) <= MAX_KNOWN_BLOCKS

    @pytest.mark.parametrize("line", [b"Cookie: a", b"X-Forwarded-For: 10.0.0.1"])
    def test_of_one_client_are_not_remembered(self, line: bytes) -> None:
        reader = PlainRequests("/v1/sync")
        assert reader.read(ASKED + line + b"\r\n" + ABOUT + b"\r\n") is not None
        assert len(reader) == 0

    @pytest.mark.usefixtures("no_collector")
    @pytest.mark.parametrize("line", [b"X: a", b"no colon", b"Upgrade: h2c\r\nConnection: Upgrade"])
    def test_leave_nothing_to_the_collector(self, line: bytes) -> None:
        reader = PlainRequests("/v1/sync")
        for n in range(100):
            reader.read(ASKED + b"X: %d\r\n" % n + line + b"\r\n" + ABOUT + b"\r\n")
        assert gc.collect() < 100  # other threads may have left a little


async def test_a_request_that_is_begun_behind_another_has_its_time_out_too() -> None:
    world = World(True)
    transport = world.connect()
    feed(transport, [WITH_BODY + b"GET /x HTTP/1.1\r\nX: "])
    with capture_logs():
        await settle()
    assert len(world.read_timeout) == 1


async def test_an_answer_carries_nothing_of_the_trace_of_the_request_that_began_its_read() -> None:
    world = World(True)
    contexts: list[dict[str, object]] = []
    assert world.quick is not None
    world.quick._note = lambda *_: contexts.append(dict(get_contextvars()))
    world.database.may_answer.clear()
    first, second = world.connect(), world.connect()
    trace = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
    feed(first, [ASKED + trace + ABOUT + b"\r\n"])
    await settle()
    feed(second, [ASKED + DEVICE + ABOUT + b"\r\n"])
    world.database.may_answer.set()
    await settle()
    assert second.written.startswith(b"HTTP/1.1 200")
    assert contexts == [{}]


@pytest.mark.usefixtures("no_collector")
async def test_a_refusal_leaves_nothing_to_the_collector() -> None:
    world = World(True)
    gc.collect()
    with capture_logs():
        for _ in range(50):
            transport = world.connect()
            feed(transport, [PLAIN.replace(b"Bearer ", b"Bearer x")])
            await settle()
            assert transport.written.startswith(b"HTTP/1.1 401")
            await gone(transport)
            del transport
    assert gc.collect() < 100


async def never(_caller: Caller) -> None:
    """Whether the party stays is not known in time."""
    await asyncio.Event().wait()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("stays", [stays_unless_named_so, never], ids=["gone", "too late"])
async def test_a_guests_refusal_leaves_nothing_to_the_collector(
    stays: Callable[[Caller], Awaitable[None]],
) -> None:
    world = World(True, stays=stays, gate_deadline_s=0.001)
    asked = OF_GUEST.replace(GUEST.encode(), GUESTS[1].encode())
    gc.collect()
    with capture_logs():
        for _ in range(50):
            transport = world.connect()
            feed(transport, [asked])
            while not transport.written:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await settle()
            assert transport.written.startswith((b"HTTP/1.1 401", b"HTTP/1.1 503"))
            await gone(transport)
            del transport
    assert gc.collect() < 100


async def test_an_error_that_many_are_refused_with_does_not_grow() -> None:
    shared = CoreError("no")
    lengths = set()
    for _ in range(5):
        with pytest.raises(CoreError):
            await _refused([(shared, None)])
        lengths.add(len(traceback.extract_tb(shared.__traceback__)))
    assert len(lengths) == 1


async def test_what_fails_in_telling_one_client_is_told_the_others() -> None:
    world = World(True)

    def fail(_caller: Caller, _report: object, *_more: object) -> None:
        raise CoreError("it cannot be noted")

    assert world.quick is not None
    world.quick._note = fail
    first, second = world.connect(), world.connect()
    feed(first, [ASKED + DEVICE + ABOUT + b"\r\n"])
    feed(second, [PLAIN])
    with capture_logs():
        await settle()
    assert first.written.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    assert second.written.startswith(b"HTTP/1.1 200")
