"""The quick way of `/v1/sync` answers what Starlette's way answers, byte for byte."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
import structlog
from asyncpg import BitString
from starlette.types import ASGIApp, Message, Scope
from structlog.testing import capture_logs

from core_api.access.callers import Caller
from core_api.access.sign_in import SignIn
from core_api.access.tokens import TokenKeys
from core_api.api.app import core_app
from core_api.api.fast_path import FastPath
from core_api.api.gate import ApiLimits, Gate
from core_api.api.handlers.ops_handlers import OpsApi
from core_api.api.handlers.order_handlers import CoreApi
from core_api.api.handlers.print_handlers import PrintApi
from core_api.api.handlers.revocation_handlers import RevocationsApi
from core_api.api.handlers.token_handlers import TokensApi
from core_api.api.routes import Handlers
from core_api.metrics import CoreMetrics
from core_api.overload import Bound, PollingPace, RateLimit
from core_api.sync import reading as reads
from core_api.sync.large_answers import LargeAnswers
from core_api.sync.long_poll import LongPolls
from core_api.sync.service import FetchSync
from tests.unit.core_api.samples import (
    GRANTS,
    devices_api,
    everybody_stays,
    push_api,
    state_api,
    webhooks_api,
)

TOKENS = TokenKeys({"k": b"t" * 32}, "k", lambda: 1000.0)
OWNER = TOKENS.sign(Caller("o", "owner", frozenset({"1"})), 600)
EXPIRED = TOKENS.sign(Caller("o", "owner", frozenset({"1"})), -1)
BUSY = TOKENS.sign(Caller("busy", "owner", frozenset({"1"})), 600)
HEAD = 5
CONTENT = BitString.from_int(9, 128)


class Database:
    """Answers Core's reads for any channel: five events, of which retention has trimmed one."""

    async def fetch(self, statement: str, channels: Sequence[str], *more: Any) -> list[list[Any]]:
        if "table:1/down" in channels:
            raise ConnectionRefusedError
        if "table:1/bug" in channels:
            raise ZeroDivisionError
        if statement == reads.PAGES:
            afters, limits, _rooms = more
            return [
                ["e1", 1.5, HEAD, 7, 1, seqs, [f'"n":{seq}}}' for seq in seqs], CONTENT]
                for seqs in (
                    [*range(after + 1, HEAD + 1)][:limit]
                    for after, limit in zip(afters, limits, strict=True)
                )
            ]
        opened = ["e1", 1.5, HEAD, 7, 1, [UUID(int=1)], ['{"id":"a"}'], 1, [UUID(int=2)]]
        opened.append(CONTENT)
        return [opened] * len(channels)


class Devices:
    """Takes reports, and keeps none."""

    def saw(self, sightings: object) -> None:
        assert sightings is not None


RATE = RateLimit(1e9, 10**9, lambda: 0.0)
GATE = Gate(
    SignIn(TOKENS),
    ApiLimits(Bound(1, "commands", lambda low, _high: low), RATE, RATE, 5.0, RATE),
    everybody_stays,
)
STATE = state_api(GATE)
DEVICES = devices_api(GATE, TOKENS)
_UNUSED: Any = None
PRINTS = PrintApi(_UNUSED, _UNUSED, _UNUSED)
SIGN_INS = TokensApi(_UNUSED, _UNUSED, _UNUSED, 3600, lambda: 1000.0)
WEBHOOKS = webhooks_api(GATE)
PUSHES = push_api(GATE)
REVOCATIONS = RevocationsApi(_UNUSED, _UNUSED, GATE, lambda: 1000.0)


def core() -> CoreApi:
    """A Core over that database, with clocks and chance that stand still."""
    bound = Bound(10, "syncs", lambda low, _high: low)
    metrics = CoreMetrics(lambda: 0, {"sync": bound})
    database: Any = Database()
    unused: Any = None
    devices: Any = Devices()
    fetch = FetchSync(
        database,
        LongPolls(unused, 0.1, 0),
        GRANTS,
        PollingPace(3000, lambda: 0.0),
        bound,
        5.0,
        metrics.reset_given,
        lambda _channel: None,
        LargeAnswers(lambda: 0.0),
    )
    rate = RateLimit(1000.0, 10_000, lambda: 0.0)
    for _ in range(10_000):
        rate.take("busy")
    limits = ApiLimits(bound, rate, RATE, 5.0, rate)
    return CoreApi(
        unused,
        fetch,
        devices,
        unused,
        Gate(SignIn(TOKENS), limits, everybody_stays),
        metrics,
        unused,
        OpsApi(unused, unused, unused, unused),
    )


async def answer_of(app: ASGIApp, scope: Scope, body: bytes = b"") -> list[Message]:
    """What it sends; the body comes in two pieces."""
    sent: list[Message] = []
    middle = len(body) // 2
    pieces = iter([(body[:middle], True), (body[middle:], False)])

    async def receive() -> Message:
        piece, more = next(pieces)
        return {"type": "http.request", "body": piece, "more_body": more}

    async def send(message: Message) -> None:
        sent.append(dict(message, headers=list(message.get("headers", []))))

    await app(scope, receive, send)
    return sent


def scope_of(
    query: str, headers: Sequence[tuple[str, str]], method: str = "GET", path: str = "/v1/sync"
) -> Scope:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": query.encode("latin-1"),
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers],
        "app": None,
    }


def handlers(api: CoreApi) -> Handlers:
    return Handlers(api, STATE, DEVICES, PRINTS, SIGN_INS, REVOCATIONS, WEBHOOKS, PUSHES)


QUERIES = [
    "",
    "channel=store:1",
    "channel=store%3A1&lastEventId=store%3A1%405",
    "channel=store:1&lastEventId=5",
    "channel=store:1&lastEventId=2&limit=1",
    "channel=store:1&lastEventId=0",
    "channel=store:1&lastEventId=9",
    "channel=store:1&lastEventId=3&epoch=e0",
    "channel=store:1&lastEventId=3&epoch=e1&epoch=e1",
    "channel=store:1&channel=table:1/2&lastEventId=store:1@4,table:1/2@5",
    "lastEventId=store:1@4,table:1/2@5",
    "channel=store:1&channel=store:1",
    "channel=store:2",
    "channel=table:1/down",
    "channel=table:1/bug",
    "channel=store:\xff",
    "channel=store:%FF",
    "channel=store:1;limit=3",
    "channel=store:1&limit=0",
    "channel=store:1&limit=1e3",
    "channel=store:1&limit=",
    "channel=store:1&wait=26",
    "channel=store:1&wait=1",
    "channel=store:1&wait=0.0&lastEventId=4",
    "channel=store:1&lastEventId=5&wait=1",
    "channel=store:1&what=ever",
    "channel=store:1&&=&a",
    "channel=store:1&orders=1",
    "channel=store:1&orders=1001",
    f"page=store:1@4~{UUID(int=1)}~e1&orders=5",
    f"page=store:1@4~{UUID(int=1)}~e2",
    f"page=store:1@4~{UUID(int=1)}~e1&channel=store:1",
    "page=store:1@4~~",
    "channel=" + "x" * 200,
    "channel",
    "lastEventId=%2B5",
    "channel=store:1&lastEventId=+5",
]
HEADERS = [
    [],
    [("authorization", "")],
    [("authorization", f"Bearer {OWNER}")],
    [("authorization", f"bearer  {OWNER} ")],
    [("authorization", f"Bearer {OWNER}"), ("authorization", "Bearer x")],
    [("authorization", "Bearer x"), ("authorization", f"Bearer {OWNER}")],
    [("authorization", "Basic eDp5")],
    [("authorization", "Bearer \xff")],
    [("authorization", f"Bearer {EXPIRED}")],
    [("authorization", f"Bearer {BUSY}")],
    [("authorization", f"Bearer {OWNER}"), ("origin", "https://a.example")],
    [("authorization", f"Bearer {OWNER}"), ("origin", "https://b.example")],
    [("origin", "https://a.example")],
    [("authorization", f"Bearer {OWNER}"), ("yabam-device", "\xff;;")],
    [("authorization", f"Bearer {OWNER}"), ("yabam-device", "pos-1; mode=stream")],
    [("authorization", f"Bearer {OWNER}"), ("cookie", "a=b"), ("accept", "*/*")],
]


BODIES = [
    b"",
    b"{",
    b"{}",
    b"\xff",
    b"null",
    b'{"channels":{}}',
    b'{"channels":{"store:1":null}}',
    b'{"channels":{"store:1":5}}',
    b'{"channels":{"store:1":2},"limit":1}',
    b'{"channels":{"store:1":9},"epoch":"e1"}',
    b'{"channels":{"store:1":3},"epoch":"e0"}',
    b'{"channels":{"store:1":4,"table:1/2":5}}',
    b'{"channels":{"store:2":1}}',
    b'{"channels":{"table:1/down":1}}',
    b'{"channels":{"table:1/bug":1}}',
    b'{"channels":{"shop:1":1}}',
    b'{"channels":{"store:1":-1}}',
    b'{"channels":{"store:1":5},"wait":1}',
    b'{"channels":{"store:1":5},"wait":26}',
    b'{"channels":{"store:1":null},"orders":1}',
    b'{"channels":{"store:1":null},"orders":0}',
    b'{"channels":{"store:1":1},"more":1}',
    b'{"page":"store:1@4~00000000-0000-0000-0000-000000000001~e1","orders":5}',
    b'{"page":"store:1@4~00000000-0000-0000-0000-000000000001~e2"}',
    b'{"page":"store:1@4~00000000-0000-0000-0000-000000000001~e1","limit":5}',
    b'{"page":"store:1@4~~"}',
    b'{"channels":{"store:1":1},"page":""}',
    b" " * 70_000,
]
TYPES = [
    [("content-type", "application/json")],
    [("content-type", "Application/JSON; charset=utf-8")],
    [("content-type", "text/plain")],
    [("content-type", "application/json"), ("content-length", "999999")],
    [],
]


def requests() -> Iterator[tuple[Scope, bytes]]:
    """Every query and every body with every set of headers, and mutations of them."""
    for query, headers in itertools.product(QUERIES, HEADERS):
        yield scope_of(query, headers), b""
    for body, headers in itertools.product(BODIES, HEADERS):
        yield scope_of("channel=store:1", [*headers, *TYPES[0]], "POST"), body
    for body, kind in itertools.product(BODIES, TYPES):
        yield scope_of("", [*HEADERS[2], *kind], "POST"), body
    chance = random.Random(11)
    for _ in range(500):
        changed = bytearray(chance.choice(BODIES[:-1]))
        for _ in range(chance.randrange(1, 4)):
            changed.insert(chance.randrange(len(changed) + 1), chance.choice(b'{}":,15nu \xe9'))
        yield scope_of("", [*chance.choice(HEADERS), *TYPES[0]], "POST"), bytes(changed)
    for _ in range(500):
        mutated = list(chance.choice(QUERIES))
        for _ in range(chance.randrange(1, 4)):
            mutated.insert(chance.randrange(len(mutated) + 1), chance.choice("&=@:,%+;15/ \xe9"))
        yield scope_of("".join(mutated), chance.choice(HEADERS)), b""


@pytest.mark.parametrize("origins", [["*"], ["https://a.example"]], ids=["any", "one"])
async def test_both_ways_answer_alike(origins: list[str]) -> None:
    quick = core_app(handlers(core()), origins)
    assert isinstance(quick, FastPath)
    usual = core_app(handlers(core()), origins)
    assert isinstance(usual, FastPath)
    statuses = set()
    with capture_logs() as logged:
        for scope, body in requests():
            expected = await answer_of(usual.behind, dict(scope), body)
            assert await answer_of(quick, dict(scope), body) == expected, (scope, body)
            statuses.add((scope["method"], expected[0]["status"]))
    assert {line["event"] for line in logged} == {"request_failed", "database_unavailable"}
    assert {status for method, status in statuses if method == "GET"} == {
        *(200, 400, 401, 403, 429, 500, 503)
    }
    assert {status for method, status in statuses if method == "POST"} == {
        *(200, 400, 401, 403, 413, 415, 422, 429, 500, 503)
    }


async def test_a_body_that_means_the_same_as_a_query_gets_the_same_answer() -> None:
    app = core_app(handlers(core()), ["*"])
    page = f"store:1@4~{UUID(int=1)}~e1"
    for query, body in [
        ("channel=store:1", b'{"channels":{"store:1":null}}'),
        ("lastEventId=store:1@2,table:1/2@5", b'{"channels":{"store:1":2,"table:1/2":5}}'),
        ("channel=store:1&orders=3", b'{"channels":{"store:1":null},"orders":3}'),
        (f"page={page}", b'{"page":"%s"}' % page.encode()),
        (f"page={page}&orders=5", b'{"page":"%s","orders":5}' % page.encode()),
    ]:
        expected = await answer_of(app, scope_of(query, HEADERS[2]))
        assert expected[0]["status"] == 200
        scope = scope_of("", [*HEADERS[2], *TYPES[0]], "POST")
        assert await answer_of(app, scope, body) == expected


async def test_what_is_neither_get_nor_post_is_left_to_starlette() -> None:
    app = core_app(handlers(core()), ["*"])
    for method in ("PUT", "HEAD", "OPTIONS"):
        scope = scope_of("channel=store:2", HEADERS[2], method)
        sent = await answer_of(app, scope)
        assert sent[0]["status"] != 200
    preflight = scope_of(
        "", [("origin", "https://a.example"), ("access-control-request-method", "GET")], "OPTIONS"
    )
    assert (await answer_of(app, preflight))[0]["status"] == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", ["quick", "usual"])
async def test_the_log_lines_of_a_request_tell_its_trace_either_way(
    method: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    told: list[object] = []

    def saw(_devices: Devices, _sightings: object) -> None:
        told.append(structlog.contextvars.get_contextvars().get("trace_id"))

    monkeypatch.setattr(Devices, "saw", saw)
    app = core_app(handlers(core()), ["*"])
    assert isinstance(app, FastPath)
    device = ("yabam-device", "till-1; mode=live; pending=0")
    traced = ("traceparent", f"00-{trace}-00f067aa0ba902b7-01")
    for more in ([traced], [], [("traceparent", "x")]):
        scope = scope_of("channel=store:1", [*HEADERS[2], *TYPES[0], device, *more], method)
        await answer_of(app if way == "quick" else app.behind, scope, BODIES[6])
    assert told == [trace, None, None]


async def test_a_request_is_counted_under_its_route_and_status_either_way() -> None:
    api = core()
    app = core_app(handlers(api), ["*"])
    assert isinstance(app, FastPath)
    for one in (app, app.behind):
        await answer_of(one, scope_of("channel=store:1", HEADERS[2]))
        await answer_of(one, scope_of("channel=table:1/down", HEADERS[2]))
        await answer_of(one, scope_of("channel=store:2", HEADERS[2]))
        posted = scope_of("", [*HEADERS[2], *TYPES[0]], "POST")
        await answer_of(one, posted, b'{"channels":{"store:1":1}}')
    text = api.metrics.exposition().decode()
    for status, count in ((200, 4), (403, 2), (503, 2)):
        line = f'yabam_core_request_seconds_count{{route="/v1/sync",status="{status}"}} {count}.0'
        assert line in text
