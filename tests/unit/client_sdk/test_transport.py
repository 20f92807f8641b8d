"""The HTTP side of the client: whatever a server answers becomes an input, within its bounds."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import client_sdk
from client_sdk.contract.device import DeviceReport
from client_sdk.contract.problem import encode_problem, problem
from client_sdk.contract.sse import SseEvent
from client_sdk.contract.sync import Snapshot
from client_sdk.machine.messages import (
    Failure,
    Input,
    OpenStream,
    StartSync,
    StreamBye,
    StreamEnded,
    StreamHello,
    SyncDone,
    SyncFailed,
)
from client_sdk.transport.http_bodies import no_cookies
from client_sdk.transport.http_failures import MAX_DETAIL_CHARS
from client_sdk.transport.http_transport import Transport
from client_sdk.transport.stream_events import input_of
from tests.unit.client_sdk.samples import channel_sync, event, order, sync_response

CHANNEL: Final = "store:12"
ASK: Final = StartSync(7, {CHANNEL: 5}, "E1", 0.0)
OPEN: Final = OpenStream(7, "http://events/v1/stream", "secret", {CHANNEL: 5})
Answer = Callable[[httpx.Request], httpx.Response]


class Pieces(httpx.AsyncByteStream):
    """A body in pieces, perhaps with an error at its end; whether it was closed."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces, self.error, self.closed = pieces, error, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.error is not None:
            raise self.error

    async def aclose(self) -> None:
        self.closed = True


class World:
    """A Core and an event server that answer by what a test says."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def transport(self, report: Callable[[], DeviceReport] | None = None) -> Transport:
        http = httpx.AsyncClient(
            base_url="http://core", transport=httpx.MockTransport(self), cookies=no_cookies()
        )
        return Transport(http, report)


def synced() -> httpx.Response:
    return httpx.Response(200, content=msgspec.json.encode(sync_response(channel_sync(head=5))))


def stream_of(*pieces: bytes, error: Exception | None = None) -> httpx.Response:
    headers = {"content-type": "text/event-stream"}
    return httpx.Response(200, headers=headers, stream=Pieces(*pieces, error=error))


async def sync(*answers: httpx.Response | Exception) -> SyncDone | SyncFailed:
    return await World(*answers).transport().sync(ASK, "t")


async def failure_of(*answers: httpx.Response | Exception) -> Failure:
    failed = await sync(*answers)
    assert isinstance(failed, SyncFailed)
    assert failed.generation == 7
    return failed.failure


async def inputs(answer: httpx.Response | Exception, url: str = OPEN.url) -> list[Input]:
    command = OpenStream(7, url, "secret", {CHANNEL: 5})
    return [signal async for signal in World(answer).transport().stream(command)]


async def ended(answer: httpx.Response | Exception, url: str = OPEN.url) -> Failure:
    (signal,) = await inputs(answer, url)
    assert isinstance(signal, StreamEnded)
    return signal.failure


# ── syncs ────────────────────────────────────────────────────────────────────


async def test_a_sync_asks_as_the_protocol_says() -> None:
    world = World(synced())
    report = DeviceReport("till-1", "live", 3)
    done = await world.transport(lambda: report).sync(StartSync(1, {CHANNEL: 5}, "E1", 2.5), "t")
    assert isinstance(done, SyncDone)
    (request,) = world.requests
    assert (request.method, request.url.path) == ("GET", "/v1/sync")
    asked = dict(request.url.params)
    assert asked == {
        "channel": CHANNEL, "orders": "1000", "lastEventId": f"{CHANNEL}@5", "epoch": "E1",
        "wait": "2.5",
    }  # fmt: skip
    assert request.headers["authorization"] == "Bearer t"
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["yabam-device"] == "till-1; mode=live; pending=3"


async def test_many_channels_go_into_a_body() -> None:
    world = World(synced())
    after = {f"store:{n}": n or None for n in range(41)}
    await world.transport().sync(StartSync(1, after, "E1", 0.0), "t")
    (request,) = world.requests
    assert request.method == "POST"
    assert json.loads(request.content)["channels"] == after


async def test_pages_are_asked_for_until_the_snapshot_is_whole() -> None:
    first = channel_sync(reset="first_sync", snapshot=Snapshot(5, [order("a")], "p1"))
    last = channel_sync(snapshot=Snapshot(5, [order("b")]))
    world = World(
        *(httpx.Response(200, content=msgspec.json.encode(sync_response(c))) for c in (first, last))
    )
    done = await world.transport().sync(ASK, "t")
    assert isinstance(done, SyncDone)
    (channel,) = done.response.channels
    assert channel.snapshot is not None
    assert [one.id for one in channel.snapshot.orders] == ["a", "b"]
    assert dict(world.requests[1].url.params) == {"page": "p1", "orders": "1000"}


async def test_a_refusal_of_a_page_is_the_refusal_of_the_sync() -> None:
    first = channel_sync(reset="first_sync", snapshot=Snapshot(5, [], "p1"))
    page = httpx.Response(200, content=msgspec.json.encode(sync_response(first)))
    assert (await failure_of(page, httpx.Response(503))).kind == "busy"


async def test_pages_that_never_end_are_cut_off_after_a_few_requests() -> None:
    pages = [
        channel_sync(reset="retention", snapshot=Snapshot(5, [], f"p{n}")) for n in range(1000)
    ]
    world = World(
        *(httpx.Response(200, content=msgspec.json.encode(sync_response(c))) for c in pages)
    )
    failed = await world.transport().sync(ASK, "t")
    assert isinstance(failed, SyncFailed)
    assert failed.failure.kind == "malformed"
    assert len(world.requests) < 10


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_every_answer_is_closed(status: int) -> None:
    body = Pieces(b"x" * 1000, error=httpx.ReadError("cut"))
    await sync(httpx.Response(status, stream=body))
    assert body.closed


NONSENSE: Final = {
    "nothing": b"", "bytes": b"\xff\xfe", "deep": b"[" * 200_000, "deep object": b'{"a":' * 50_000,
    "digits": b'{"poll_after_ms":' + b"9" * 100_000 + b"}", "page": b"<html>",
}  # fmt: skip


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
async def test_an_answer_that_is_nonsense_is_malformed(body: bytes) -> None:
    failure = await failure_of(httpx.Response(200, content=body))
    assert failure.kind == "malformed"
    assert len(failure.detail) <= MAX_DETAIL_CHARS + 1


@pytest.mark.parametrize("wait_ms", [10**400, 2**53, -1])
async def test_a_time_to_wait_that_no_client_can_hold_is_malformed(wait_ms: int) -> None:
    answer = json.loads(msgspec.json.encode(sync_response())) | {"poll_after_ms": wait_ms}
    failure = await failure_of(httpx.Response(200, content=json.dumps(answer).encode()))
    assert failure.kind == "malformed"
    bye = json.dumps({"reason": "timeout", "reconnect_after_ms": wait_ms})
    with pytest.raises(msgspec.DecodeError):
        input_of(7, SseEvent("bye", bye, ""))


@pytest.mark.parametrize("error", [
    httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x"),
    httpx.InvalidURL("x"), OSError("x"),
])  # fmt: skip
async def test_no_answer_is_unreachable(error: Exception) -> None:
    assert (await failure_of(error)).kind == "unreachable"
    assert (await ended(error)).kind == "unreachable"


@pytest.mark.parametrize(
    "error", [OverflowError("x"), RuntimeError("x"), MemoryError(), KeyError()]
)
async def test_whatever_else_a_library_raises_is_malformed(error: Exception) -> None:
    assert (await failure_of(error)).kind == "malformed"
    assert (await ended(error)).kind == "malformed"


async def test_a_long_problem_is_cut_short() -> None:
    told = encode_problem(problem("invalid", "x" * 10_000))
    failure = await failure_of(httpx.Response(422, content=told))
    assert failure.kind == "refused"
    assert len(failure.detail) <= MAX_DETAIL_CHARS + 1


async def test_a_problem_beyond_its_limit_counts_by_its_status() -> None:
    body = Pieces(*[b" " * 4096] * 10_000)
    failure = await failure_of(httpx.Response(503, stream=body, headers={"retry-after": "7"}))
    assert (failure.kind, failure.retry_after) == ("busy", 7.0)


async def test_no_cookie_is_kept_or_sent() -> None:
    answers = [synced() for _ in range(3)]
    for n, answer in enumerate(answers):
        answer.headers["set-cookie"] = f"c{n}=" + "x" * 4000
    world = World(*answers, stream_of())
    transport = world.transport()
    for _ in range(3):
        await transport.sync(ASK, "t")
    assert [signal async for signal in transport.stream(OPEN)]
    assert all("cookie" not in request.headers for request in world.requests)


# ── streams ──────────────────────────────────────────────────────────────────

HELLO: Final = (
    b'event: hello\ndata: {"server":"s","epoch":"E1","watermark":"2026-11-21T12:00:00Z",'
    b'"ends_in_ms":1,"replayed":0}\n\n'
)
BYE: Final = b'event: bye\ndata: {"reason":"timeout","reconnect_after_ms":5}\n\n'


async def test_a_stream_is_asked_for_with_ticket_and_cursor_and_without_any_coding() -> None:
    world = World(stream_of(HELLO, BYE))
    signals = [signal async for signal in world.transport().stream(OPEN)]
    assert [type(signal) for signal in signals] == [StreamHello, StreamBye, StreamEnded]
    (request,) = world.requests
    assert dict(request.url.params) == {"ticket": "secret", "lastEventId": f"{CHANNEL}@5"}
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(401), "ticket"),
        (httpx.Response(503), "busy"),
        (httpx.Response(302, headers={"location": "http://e"}), "unreachable"),
        (httpx.Response(200, content=b"<html>"), "malformed"),
        (stream_of(b"event: hello\ndata: {}\n\n"), "malformed"),
        (stream_of(b"data: " + b"x" * (1 << 20) + b"\n"), "malformed"),
        (stream_of(error=httpx.ReadError("cut")), "unreachable"),
        (stream_of(), "unreachable"),
    ],
)
async def test_a_stream_that_cannot_be_had_says_why(answer: httpx.Response, kind: str) -> None:
    assert (await ended(answer)).kind == kind


async def test_a_packed_stream_is_refused() -> None:
    packed = stream_of(b"x")
    packed.headers["content-encoding"] = "gzip"
    assert (await ended(packed)).kind == "malformed"


@pytest.mark.parametrize(
    "url",
    ["http://e:65536/", "http://e:99999999999/", "http://e:-1/", "http://e:0/", "http://e:x/",
     "ftp://e/", "file:///etc/passwd", "javascript:x", "//e/", "http://", "http:///x", "http://[",
     "ws://e/", "http://\x00/", "unix:/x"],
)  # fmt: skip
async def test_an_address_that_is_none_of_http_is_malformed(url: str) -> None:
    failure = await ended(stream_of(HELLO), url)
    assert failure.kind in ("malformed", "unreachable")


@pytest.mark.parametrize("url", ["http://e:65535/s", "https://e/s", "http://[::1]:8/s", "/v1/s"])
async def test_an_address_of_http_is_asked(url: str) -> None:
    assert len(await inputs(stream_of(HELLO), url)) == 2


TYPES: Final = ("hello", "heartbeat", "sync-required", "bye", "order.placed")


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("data", ["[" * 100_000, '{"a":' * 50_000, "", "null", "\ud7ff", "1e400"])
def test_nonsense_in_any_event_of_a_stream_is_told_by_the_guarded_errors(
    kind: str, data: str
) -> None:
    with pytest.raises((msgspec.DecodeError, ValueError)):
        input_of(7, SseEvent(kind, data, ""))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.sampled_from([10**400, 2**63, -1, "E1", "x" * 100, "2026-11-21T12:00:00Z", CHANNEL]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
GOOD: Final = json.loads(msgspec.json.encode(sync_response(channel_sync([event(6)]))))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(GOOD)), json_values)
async def test_whatever_stands_in_an_answer_the_sync_is_done_or_malformed(
    key: str, value: object
) -> None:
    answer = httpx.Response(200, content=json.dumps(GOOD | {key: value}).encode())
    came = await sync(answer)
    assert isinstance(came, SyncDone) or came.failure.kind == "malformed"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=60) | st.sampled_from([HELLO, BYE, b"data: ", b"\n\n"])))
async def test_whatever_bytes_a_stream_brings_it_ends_with_a_failure(pieces: list[bytes]) -> None:
    signals = await inputs(stream_of(*pieces))
    assert isinstance(signals[-1], StreamEnded)


GUARDED: Final = "contract/json_decoding.py"
DECODERS: Final = tuple(
    f"{library}.{name}"
    for library in ("msgspec.json", "msgspec.msgpack", "msgspec.yaml", "msgspec.toml", "json")
    for name in ("Decoder", "decode", "JSONDecoder", "load", "loads")
)


def origins_of(tree: ast.Module) -> dict[str, str]:
    """Each name that the module imports, with what it is."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                # `import a.b` binds `a`, and `import a.b as c` binds `c`.
                found[one.asname or one.name.split(".")[0]] = (
                    one.name if one.asname else one.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def origin_of(node: ast.AST, origins: dict[str, str]) -> str | None:
    """What a name stands for, such as `msgspec.json.Decoder`, whatever the module calls it."""
    if isinstance(node, ast.Name):
        return origins.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = origin_of(node.value, origins)
        return owner and f"{owner}.{node.attr}"
    return None


def test_nothing_from_outside_is_read_by_a_decoder_without_its_guard() -> None:
    """`contract.json_decoding` alone turns what msgspec lets through into its one kind of error."""
    folder = Path(client_sdk.__file__).parent
    wrong = []
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).as_posix() == GUARDED:
            continue
        tree = ast.parse(path.read_text())
        origins = origins_of(tree)
        wrong += [
            f"{path.relative_to(folder)}:{node.lineno}: {origin}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Name | ast.Attribute | ast.ImportFrom)
            for origin in (
                [f"{node.module}.{one.name}" for one in node.names]
                if isinstance(node, ast.ImportFrom)
                else [origin_of(node, origins)]
            )
            if origin in DECODERS
        ]
    assert wrong == []


def test_no_module_holds_a_decoder_without_its_guard() -> None:
    """As the test before, but by type: however it was made."""
    held = []
    for found in pkgutil.walk_packages(client_sdk.__path__, "client_sdk."):
        module = importlib.import_module(found.name)
        held += [
            f"{found.name}.{name}"
            for name, value in vars(module).items()
            if isinstance(value, msgspec.json.Decoder | json.JSONDecoder)
            or isinstance(getattr(value, "__self__", None), msgspec.json.Decoder)
        ]
    assert held == []
