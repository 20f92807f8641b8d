"""Streams of the module in a real Chromium, with made-up answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.made_up import (
    BYE,
    HELLO,
    HTML,
    Answers,
    Handler,
    frames,
    problem,
    streaming,
)
from tests.browser.module_page import ModulePage, module_page
from tests.conformance.cases import TIME, Json, event
from tests.serving import serving

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("module-shell")]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def module(browser: Browser) -> AsyncIterator[ModulePage]:
    async with module_page(browser) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="package")
async def page(module: ModulePage) -> AsyncIterator[Page]:
    yield module.page
    await module.page.unroute_all(behavior="ignoreErrors")


async def stream(page: Page, answers: Handler, **command: Json) -> Json:
    await page.route("**/v1/stream*", answers)
    return await page.evaluate(
        """async (command) => {
            const { streamOnce } = await import("/tests/bench.js");
            return streamOnce(command);
        }""",
        command,
    )


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
    ("a refusal without end", {"status": 401, "body": "x" * 70_000}, "ticket", None),
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
    assert ended["failure"]["kind"] == "malformed"


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
    async with serving(raw.serve) as port:
        url = f"http://127.0.0.1:{port}/v1/stream"
        for _ in range(3):
            inputs = await _stream_from(page, url)
            assert [one["type"] for one in inputs][:2] == ["StreamHello", "StreamBye"]
    assert (raw.connections, raw.requests) == (1, 3)


async def test_a_server_that_does_not_end_after_its_bye_holds_nobody_up(page: Page) -> None:
    async with serving(RawServer(ends=False).serve) as port:
        url = f"http://127.0.0.1:{port}/v1/stream"
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
