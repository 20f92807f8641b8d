"""Targets for sockets: the real servers give any bytes valid answers, or close the connection."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cache
from unittest.mock import patch

import httptools
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from core_api.http.bodies import read_request_body
from core_api.http.server import CoreHttpServer as CoreServer
from event_server.http.server import EventHttpServer as EventServer
from server_common.http.problem_answers import LastResort
from server_common.sockets import bind
from tests.integration.event_server.conftest import Running, running

_QUIET_S = 0.05
"""After so long without a byte, the server's answer counts as complete."""
_TIMEOUT_S = 0.5
_ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def events_socket(data: bytes) -> None:
    """Send the bytes to the event server."""
    _ask(_events(), data)


def core_socket(data: bytes) -> None:
    """Send the bytes to Core's HTTP server with an application that reads bodies as Core does."""
    _ask(_core(), data)


def _ask(port: int, data: bytes) -> None:
    with capture_logs() as logs:
        received = _exchange(port, data, _QUIET_S)
        alive = _exchange(port, _ALIVE, 10.0)
    # An answer to HEAD states the length of a body that is not sent.
    if b"HEAD" not in data:
        _check_answers(received)
    assert received == b"" or received.startswith(b"HTTP/1.1 "), received
    assert b"Traceback" not in received
    assert alive.startswith(b"HTTP/1.1 200"), alive
    failed = [entry for entry in logs if entry["event"] == "request_failed"]
    assert not failed, failed


def _exchange(port: int, data: bytes, quiet_s: float) -> bytes:
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as client:
        with contextlib.suppress(OSError):  # it may be closed while we still send
            client.sendall(data)
        client.settimeout(quiet_s)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while piece := client.recv(65_536):
                received += piece
    return received


class _Answers:
    """The answers as a strict parser of responses reads them."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        self.statuses.append(self.parser.get_status_code())


def _check_answers(received: bytes) -> None:
    if not received:
        return
    answers = _Answers()
    answers.parser.feed_data(received)  # raises if they are no answers
    assert answers.statuses
    for status in answers.statuses:
        assert status in range(100, 500) or status == 503, received


@cache
def _events() -> int:
    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        async with running(
            events_request_timeout_s=_TIMEOUT_S,
            events_lifetime_min_s=0.05,
            events_lifetime_max_s=0.1,
        ) as server:
            marking = asyncio.create_task(_keep_marking(server))
            yield server.port
            marking.cancel()

    return _in_the_background(serve)


async def _keep_marking(server: Running) -> None:
    while True:
        server.mark()
        await asyncio.sleep(0.2)


@cache
def _core() -> int:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method == "POST":
            with contextlib.suppress(Exception):
                await read_request_body(request)
        await Response(b"ok")(scope, receive, send)

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        listener = bind("127.0.0.1", 0, "none")
        server = CoreServer(LastResort(app), 1.0, lambda: None, _TIMEOUT_S)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        yield listener.getsockname()[1]
        server.should_exit = server.force_exit = True
        await serving

    return _in_the_background(serve)


def _in_the_background(serve: Callable[[], AbstractAsyncContextManager[int]]) -> int:
    """Serve in a thread until the process ends. Returns the port."""
    ready: list[int] = []
    started, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def run() -> None:
        async with AsyncExitStack() as stack:
            with (
                patch.object(CoreServer, "capture_signals", _no_signals),
                patch.object(EventServer, "capture_signals", _no_signals),
            ):
                ready.append(await stack.enter_async_context(serve()))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()

    def end() -> None:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)

    atexit.register(end)
    assert started.wait(20)
    return ready[0]


@contextlib.contextmanager
def _no_signals(_server: object) -> Iterator[None]:
    """In place of `capture_signals`: only the main thread can take signals."""
    yield
