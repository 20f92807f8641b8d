"""The module's HTTP side in a real Chromium, against answers that the test makes up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Page, Request, Route

from tests.browser.module_page import ModulePage, module_page
from tests.conformance.cases import TIME, Json, event, response

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("module-shell")]

SNAPSHOT: Final = {"reset": "first_sync", "snapshot": {"head": 5, "orders": [{"id": "a"}]}}
HTML: Final = {"content_type": "text/html", "body": "<html>Welcome! Please sign in.</html>"}
Handler = Callable[[Route], Coroutine[Any, Any, None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module() -> AsyncIterator[ModulePage]:
    async with module_page() as page:
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def page(module: ModulePage) -> AsyncIterator[Page]:
    yield module.page
    await module.page.unroute_all(behavior="ignoreErrors")


class Answers:
    """What is answered, one after the other, and what was asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []

    async def __call__(self, route: Route) -> None:
        self.requests.append(route.request)
        answer = self._answers.pop(0)
        if "abort" in answer:
            await route.abort(answer["abort"])
        else:
            await route.fulfill(**answer)

    def query(self, n: int = 0) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.requests[n].url).query)


def good(*channels: Json, **more: Json) -> dict[str, Any]:
    told = {"channels": list(channels) or [SNAPSHOT]} | more
    return {"status": 200, "json": response(told)}


def problem(status: int, slug: str, title: str, **headers: str) -> dict[str, Any]:
    body = {"type": f"urn:yabam:problem:{slug}", "title": title, "status": status, "detail": "why"}
    kind = {"content-type": "application/problem+json"}
    return {"status": status, "body": json.dumps(body), "headers": kind | headers}


def frames(*events: tuple[str, Json]) -> str:
    return "".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n" for kind, data in events)


def streaming(*events: tuple[str, Json], end: str = "") -> dict[str, Any]:
    body = frames(*events) + end
    return {"status": 200, "content_type": "text/event-stream; charset=utf-8", "body": body}


HELLO: Final = ("hello", {"epoch": "E1", "watermark": TIME})


async def sync(page: Page, answers: Handler, token: str = '"k"', **command: Json) -> Json:
    await page.route("**/v1/sync*", answers)
    return await page.evaluate(
        f"""async (command) => {{
            const {{ syncOnce }} = await import("/tests/bench.js");
            return syncOnce({token}, command);
        }}""",
        command,
    )


async def stream(page: Page, answers: Handler, **command: Json) -> Json:
    await page.route("**/v1/stream*", answers)
    return await page.evaluate(
        """async (command) => {
            const { streamOnce } = await import("/tests/bench.js");
            return streamOnce(command);
        }""",
        command,
    )


async def send(page: Page, answers: Handler, **options: Json) -> Json:
    await page.route("**/v1/orders/**", answers)
    return await page.evaluate(
        """async (options) => {
            const { commandOnce } = await import("/tests/bench.js");
            const key = "key-1";
            return commandOnce("/v1/orders/a/transitions", { to: "ready" }, { key, ...options });
        }""",
        options,
    )


# ── syncs ────────────────────────────────────────────────────────────────────


async def test_a_sync_asks_for_its_channels_from_where_they_are(page: Page) -> None:
    answers = Answers(good())
    after = {"table:12/5": 7, "store:12": 5, "store:13": None}
    done = await sync(page, answers, after=after, epoch="E1", wait=12.345)
    assert done["type"] == "SyncDone"
    assert done["generation"] == 3
    assert answers.query() == {
        "channel": ["table:12/5", "store:12", "store:13"],
        "lastEventId": ["store:12@5,table:12/5@7"],
        "epoch": ["E1"],
        "wait": ["12.35"],
        "orders": ["1000"],
    }
    headers = answers.requests[0].headers
    assert headers["authorization"] == "Bearer k"
    assert headers["yabam-device"] == "till-1; mode=live; pending=0"
    assert "cookie" not in headers


async def test_a_first_sync_names_no_position(page: Page) -> None:
    answers = Answers(good())
    await sync(page, answers)
    assert answers.query() == {"channel": ["store:12"], "orders": ["1000"]}


async def test_the_pages_of_a_snapshot_are_put_together(page: Page) -> None:
    first = SNAPSHOT | {"snapshot": {"head": 5, "orders": [{"id": "a"}], "next": "p2"}}
    second = {"snapshot": {"head": 5, "orders": [{"id": "b"}]}}
    answers = Answers(good(first), good(second))
    done = await sync(page, answers)
    (channel,) = done["response"]["channels"]
    assert [one["id"] for one in channel["snapshot"]["orders"]] == ["a", "b"]
    assert answers.query(1) == {"page": ["p2"], "orders": ["1000"]}


async def test_a_page_that_cannot_be_had_fails_the_sync(page: Page) -> None:
    first = SNAPSHOT | {"snapshot": {"head": 5, "orders": [], "next": "p2"}}
    busy = problem(503, "overloaded", "The server is full", **{"retry-after": "7"})
    failed = await sync(page, Answers(good(first), busy))
    assert failed["type"] == "SyncFailed"
    assert failed["failure"]["kind"] == "busy"


SYNC_FAILURES: Final = [
    ("a token that Core refuses", problem(401, "unauthorized", "No"), "unauthorized", None),
    ("a Core that is full", problem(503, "overloaded", "Full", **{"retry-after": "7"}), "busy", 7),
    ("a Core that refuses for good", problem(403, "forbidden", "No"), "refused", None),
    ("a proxy's 404", {"status": 404, **HTML}, "unreachable", None),
    ("a proxy's 502", {"status": 502, **HTML}, "unreachable", None),
    ("a captive portal's page", {"status": 200, **HTML}, "malformed", None),
    ("an answer that is no sync", {"status": 200, "json": {"ok": True}}, "malformed", None),
    ("JSON that is null", {"status": 200, "body": "null"}, "malformed", None),
    ("no network", {"abort": "internetdisconnected"}, "unreachable", None),
    ("a refused connection", {"abort": "connectionrefused"}, "unreachable", None),
]


@pytest.mark.parametrize(
    ("answer", "kind", "wait"), [f[1:] for f in SYNC_FAILURES], ids=[f[0] for f in SYNC_FAILURES]
)
async def test_a_sync_that_fails_says_why(
    page: Page, answer: dict[str, Any], kind: str, wait: float | None
) -> None:
    failed = await sync(page, Answers(answer))
    assert failed["type"] == "SyncFailed"
    assert (failed["failure"]["kind"], failed["failure"]["retryAfter"]) == (kind, wait)


async def test_a_token_callback_is_asked_again_only_for_a_new_token(page: Page) -> None:
    answers = Answers(good(), good(), good())
    await page.route("**/v1/sync*", answers)
    await page.evaluate(
        """async () => {
            const { Transport } = await import("/static/yabam/transport.js");
            let given = 0;
            const transport = new Transport(location.origin, async () => `token-${++given}`);
            const ask = { generation: 1, after: { "store:12": 5 }, epoch: "E1", wait: 0 };
            for (const newToken of [false, false, true]) {
                await transport.sync({ ...ask, newToken }, new AbortController().signal);
            }
        }"""
    )
    sent = [request.headers["authorization"] for request in answers.requests]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_a_token_callback_that_gives_none_is_a_failure_that_passes(page: Page) -> None:
    failed = await sync(page, Answers(), token='() => { throw new Error("signed out"); }')
    assert failed["failure"]["kind"] == "token"
    assert "signed out" in failed["failure"]["detail"]


# ── streams ──────────────────────────────────────────────────────────────────


async def test_a_stream_is_asked_for_with_its_ticket_and_nothing_else(page: Page) -> None:
    answers = Answers(streaming())
    await stream(page, answers, ticket="a+b/c=")
    assert answers.query() == {"ticket": ["a+b/c="], "lastEventId": ["store:12@5"]}
    headers = answers.requests[0].headers
    assert headers["accept"] == "text/event-stream"
    assert "authorization" not in headers


async def test_a_stream_says_what_came_and_last_that_it_ended(page: Page) -> None:
    answers = Answers(streaming(HELLO, ("order.placed", event({"seq": 6}))))
    inputs = await stream(page, answers)
    assert [one["type"] for one in inputs] == ["StreamHello", "StreamEvent", "StreamEnded"]
    assert {one["generation"] for one in inputs} == {4}
    assert inputs[1]["event"]["id"] == "store:12@6"


async def test_an_event_that_the_end_cuts_off_is_not_given(page: Page) -> None:
    inputs = await stream(page, Answers(streaming(HELLO, end="event: bye\ndata: {")))
    assert [one["type"] for one in inputs] == ["StreamHello", "StreamEnded"]
    assert inputs[-1]["failure"]["kind"] == "unreachable"


async def test_a_malformed_event_ends_the_stream(page: Page) -> None:
    answers = Answers(streaming(HELLO, ("heartbeat", {}), ("heartbeat", {"watermark": TIME})))
    inputs = await stream(page, answers)
    assert [one["type"] for one in inputs] == ["StreamHello", "StreamEnded"]
    assert inputs[-1]["failure"]["kind"] == "malformed"


STREAM_FAILURES: Final = [
    ("a ticket that is refused", problem(401, "bad-ticket", "No"), "ticket", None),
    ("a server that carries other channels", problem(421, "misdirected", "No"), "ticket", None),
    ("a full server", problem(503, "overloaded", "Full", **{"retry-after": "7"}), "busy", 7),
    ("a degraded server", problem(503, "degraded", "Behind"), "busy", None),
    ("a proxy's 404", {"status": 404, **HTML}, "unreachable", None),
    ("a captive portal's page", {"status": 200, **HTML}, "malformed", None),
    (
        "an answer without a type",
        {"status": 200, "body": "x", "content_type": ""},
        "malformed",
        None,
    ),
    ("a refusal without end", {"status": 401, "body": "x" * 70_000}, "malformed", None),
    ("no network", {"abort": "internetdisconnected"}, "unreachable", None),
]


@pytest.mark.parametrize(
    ("answer", "kind", "wait"),
    [f[1:] for f in STREAM_FAILURES],
    ids=[f[0] for f in STREAM_FAILURES],
)
async def test_a_stream_that_cannot_be_had_says_why(
    page: Page, answer: dict[str, Any], kind: str, wait: float | None
) -> None:
    (ended,) = await stream(page, Answers(answer))
    assert ended["type"] == "StreamEnded"
    assert (ended["failure"]["kind"], ended["failure"]["retryAfter"]) == (kind, wait)


async def test_an_address_that_is_none_is_a_failure_and_no_bug(page: Page) -> None:
    (ended,) = await stream(page, Answers(), url="http://[")
    assert ended["failure"]["kind"] == "unreachable"


async def test_a_relative_address_is_the_pages_own(page: Page) -> None:
    answers = Answers(streaming(HELLO))
    inputs = await stream(page, answers, url="/v1/stream")
    assert inputs[0]["type"] == "StreamHello"


class RawServer:
    """An event server on one port that says hello and bye, and ends the answer when it is told to.

    Args:
        ends: whether it ends its answers.
    """

    def __init__(self, *, ends: bool) -> None:
        self._ends = ends
        self.connections = 0
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await _request_came(reader):
                self.requests += 1
                writer.write(_STREAM_HEAD + _chunk(frames(HELLO, BYE).encode()))
                await writer.drain()
                if self._ends:
                    # On its own way, so that a client which leaves at the bye leaves before it.
                    await asyncio.sleep(0.05)
                    writer.write(b"0\r\n\r\n")
        finally:
            writer.close()


BYE: Final = ("bye", {"reason": "timeout", "reconnect_after_ms": 0})
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"access-control-allow-origin: *\r\ntransfer-encoding: chunked\r\n\r\n"
)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _request_came(reader: asyncio.StreamReader) -> bool:
    try:
        return bool(await reader.readuntil(b"\r\n\r\n"))
    except (asyncio.IncompleteReadError, ConnectionError):
        return False


async def test_after_a_bye_the_connection_serves_the_next_stream(page: Page) -> None:
    raw = RawServer(ends=True)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/stream"
        for _ in range(3):
            inputs = await _stream_from(page, url)
            assert [one["type"] for one in inputs][:2] == ["StreamHello", "StreamBye"]
    assert (raw.connections, raw.requests) == (1, 3)


async def test_a_server_that_does_not_end_after_its_bye_holds_nobody_up(page: Page) -> None:
    server = await asyncio.start_server(RawServer(ends=False).serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/stream"
        inputs = await _stream_from(page, url)
        assert [one["type"] for one in inputs] == ["StreamHello", "StreamBye"]


async def _stream_from(page: Page, url: str) -> Json:
    """The inputs of a real stream, which is closed at its bye as the client would close it."""
    return await page.evaluate(
        """async (url) => {
            const { streamOnce } = await import("/tests/bench.js");
            return streamOnce({ url });
        }""",
        url,
    )


# ── commands ─────────────────────────────────────────────────────────────────


async def test_a_command_names_its_key_and_the_version_that_was_seen(page: Page) -> None:
    answers = Answers({"status": 200, "json": {"id": "a", "version": 3}})
    answer = await send(page, answers, version=2)
    assert (answer["ok"], answer["order"]["version"]) == (True, 3)
    (request,) = answers.requests
    assert request.headers["idempotency-key"] == "key-1"
    assert request.headers["if-match"] == '"2"'
    assert request.post_data_json == {"to": "ready"}


async def test_a_command_without_a_version_goes_for_any(page: Page) -> None:
    answers = Answers({"status": 200, "json": {"id": "a"}})
    await send(page, answers)
    assert "if-match" not in answers.requests[0].headers


async def test_a_refused_command_brings_the_order_as_it_stands(page: Page) -> None:
    refused = problem(412, "stale-version", "The order has changed since you read it")
    body = json.loads(refused["body"]) | {"order": {"id": "a", "version": 9}}
    answer = await send(page, Answers(refused | {"body": json.dumps(body)}), version=2)
    assert (answer["ok"], answer["problem"], answer["detail"]) == (False, "stale-version", "why")
    assert answer["order"]["version"] == 9


async def test_a_proxys_refusal_names_no_problem(page: Page) -> None:
    answer = await send(page, Answers({"status": 502, **HTML}))
    assert (answer["ok"], answer["status"], answer["problem"]) == (False, 502, None)


async def test_a_command_that_gets_no_answer_throws(page: Page) -> None:
    assert await send(page, Answers({"abort": "connectionreset"})) == {"thrown": "TypeError"}


async def test_a_command_whose_answer_does_not_come_throws(page: Page) -> None:
    forever = asyncio.Event()

    async def silent(route: Route) -> None:
        await forever.wait()
        await route.abort()

    assert await send(page, silent, timeout=50) == {"thrown": "TimeoutError"}
    forever.set()
