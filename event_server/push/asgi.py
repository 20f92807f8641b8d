"""The portable push path: one bounded queue per stream, written by sse-starlette's response.

It runs on any ASGI server. Its cost is that each event wakes one task per client.

sse-starlette ends its streams by itself when uvicorn is told to stop. Here the drain decides
when a stream ends and with which last event, so that mechanism is switched off for the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import anyio
from sse_starlette.sse import AppStatus, EventSourceResponse
from starlette.types import Receive, Scope, Send

from event_server.problems import STREAM_HEADERS
from event_server.streams.registry import Streams
from event_server.streams.request_rules import Accepted

AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]


class QueueSubscriber:
    """A subscriber whose frames wait for its response's task, up to `max_bytes` of them.

    Args:
        max_bytes: how much may wait; above it `overflow` is called, soon and once.
        overflow: ends the stream as too slow.
        abort: cuts the response.
    """

    def __init__(
        self, max_bytes: int, overflow: Callable[[], None], abort: Callable[[], None]
    ) -> None:
        self.backlog = 0
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._abort = abort
        self._waiting: list[bytes] = []
        self._something = asyncio.Event()
        self._full = False
        self._ended = False

    def send(self, frame: bytes) -> None:
        """Queue a frame; once over the limit, only the last frame is taken."""
        if self._ended or self._full:
            return
        if self.backlog and self.backlog + len(frame) > self._max_bytes:
            self._full = True
            asyncio.get_running_loop().call_soon(self._overflow)
            return
        self.backlog += len(frame)
        self._waiting.append(frame)
        self._something.set()

    def end(self, frame: bytes) -> None:
        """Queue the last frame; for a stream that was too slow it replaces the waiting ones."""
        if self._ended:
            return
        if self._full:
            self._waiting.clear()
        self._waiting.append(frame)
        self._ended = True
        self._something.set()

    def abort(self) -> None:
        """Cut the response."""
        self._ended = True
        self._abort()

    def replay(self, frame: bytes) -> None:
        """Queue a frame with a replay, which may be above the limit of waiting bytes."""
        if not self._ended and not self._full:
            self.backlog += len(frame)
            self._waiting.append(frame)
            self._something.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """What is queued, joined, until the last frame."""
        while True:
            await self._something.wait()
            self._something.clear()
            ended, chunk = self._ended, b"".join(self._waiting)
            self._waiting.clear()
            yield chunk
            self.backlog = sum(map(len, self._waiting))
            if ended:
                return


class StreamResponse(EventSourceResponse):
    """One stream as an ASGI response.

    Args:
        streams: where it is opened and closed.
        accepted: the checked request.
        max_bytes: how much may wait for a slow client.
        monotonic: seconds.
    """

    def __init__(
        self,
        streams: Streams,
        accepted: Accepted,
        max_bytes: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._streams = streams
        self._accepted = accepted
        self._monotonic = monotonic
        self._scope = anyio.CancelScope()
        self._subscriber = QueueSubscriber(
            max_bytes,
            lambda: streams.slow(self._subscriber, monotonic()),
            self._scope.cancel,
        )
        super().__init__(self._subscriber.chunks(), headers=dict(STREAM_HEADERS), ping=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve until the stream ends or the client leaves."""
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        self._streams.open(self._subscriber, self._accepted, self._monotonic())
        try:
            with self._scope:
                await super().__call__(scope, receive, send)
        finally:
            self._streams.close(self._subscriber)
