"""uvicorn's connection, with bounds: how long a head may be, how slowly a request may come, and how
much of a flood of pipelined requests is taken in before the first is answered.

A malformed request is answered with a problem, as everything else is, and is not logged: anybody
who can reach the port could fill the log.

A request on an idle connection is first offered to `QuickAnswers`, which answers the simplest and
most frequent requests without a parser, an ASGI scope and a task of their own.
"""

from __future__ import annotations

import asyncio
import select
from functools import partial
from typing import Any, Final

import httptools
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from core_api.http.open_connections import OpenConnections
from core_api.http.quick_answers import AnswerHeads, QuickAnswers
from core_api.http.refusals import answer_all, answer_to, problem_of
from server_common.http.read_timeout import ReadTimeout
from server_common.http.request_heads import (
    MAX_WAITING_BYTES,
    Refusal,
    bad_request,
    refusal_of,
    split_head,
)
from server_common.limits import CORE_HEAD_BYTES

_LEAVE_S: Final = 1.0
"""How long a client may take to leave, by TLS or by reading the last of an answer, once closed."""


class HttpConnection(HttpToolsProtocol):
    """One connection.

    Args:
        read_timeout: how long a request may take to come.
        quick: answers plain requests; None: all go to the application.
        heads: makes the heads of quick answers.
        open_connections: all of the server.
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: uvicorn's.
    """

    def __init__(
        self,
        read_timeout: ReadTimeout,
        quick: QuickAnswers | None,
        heads: AnswerHeads,
        open_connections: OpenConnections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._read_timeout = read_timeout
        self._tail = b""
        self._head_bytes = 0
        self._in_head = False
        self._in_body = False
        self._waiting = b""
        self._refusal: Refusal | None = None
        self._quick = quick
        self._heads = heads
        self._open_connections = open_connections
        self._asked: bytes | None = None
        """The request that `quick` answers now."""
        self._answered_at = 0.0
        self._is_leaving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The client is there."""
        super().connection_made(transport)
        self._read_timeout.begin(self)
        self._open_connections.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up: the client is gone, or we have cut the connection."""
        self._read_timeout.end(self)
        self._open_connections.went(self)
        self._waiting, self._asked = b"", None
        super().connection_lost(exc)

    def time_out(self) -> None:
        """End the connection: its request takes too long."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """The client has sent something."""
        if self._quick is not None and self._is_at_rest():
            self._asked = data
            if self._quick.take(data, self):
                self._read_timeout.end(self)
                return
            self._asked = None
        self._unset_keepalive_if_required()
        if self._waiting or self._is_full():
            self._wait(data)
        else:
            self._feed(data)

    def on_message_begin(self) -> None:
        """The first byte of a request, perhaps in one packet with the end of the one before."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is ignored.

        Raises:
            ValueError: there are too many; it is answered as a bad request.
        """
        if not self._in_body:
            super().on_header(name, value)
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > CORE_HEAD_BYTES:
            raise ValueError("too many trailers")  # answered as a bad request

    def on_headers_complete(self) -> None:
        """The head is complete.

        Raises:
            ValueError: the head is refused.
        """
        self._in_head = False
        self._refusal = refusal_of(self.parser.get_http_version(), self.headers)
        if self._refusal is not None:
            raise ValueError(self._refusal.detail)  # before there is a request to answer
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._in_body, self._head_bytes = False, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The application has answered."""
        super().on_response_complete()
        self._open_connections.answered(self)
        if not self._waiting:
            return
        if len(self._waiting) > MAX_WAITING_BYTES:
            self.transport.pause_reading()  # uvicorn has just made it read again
        self.loop.call_soon(self._go_on)  # in its turn: others wait, too

    def answer(self, body: bytes) -> None:
        """Send the quick answer to the request that `quick` has taken."""
        if self._asked is None or self.transport.is_closing():
            return  # the client has gone
        self._asked = None
        self.transport.write(
            b"%b%d\r\ncontent-type: application/json\r\nvary: Origin\r\n%b\r\n%b"
            % (
                self._heads.beginning(self.server_state.default_headers),
                len(body),
                b"connection: close\r\n" if self._is_leaving else b"",
                body,
            )
        )
        self.server_state.total_requests += 1
        if self._is_leaving:
            self.transport.close()
            return
        # A timer per answer would add a tenth to its cost: so there is one timer.
        self._answered_at = self.loop.time()
        self._open_connections.answered(self)
        if self.timeout_keep_alive_task is None:
            self._keep_alive_for(self.timeout_keep_alive)
        if self._waiting:
            self.loop.call_soon(self._go_on)

    def leave_to(self, app: ASGIApp) -> None:
        """Let this application answer the request that `quick` has taken."""
        data, self._asked = self._asked, None
        if data is None or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        usual, self.app = self.app, app
        try:
            self._feed(data)
        finally:
            self.app = usual
        if self._is_leaving:
            self.shutdown()

    def give_way(self) -> bool:
        """Close, if nothing is in progress and a request was answered; whether it did.

        A connection without a request so far stays: one may be on its way, and has a time-out.
        """
        has_answered = self._answered_at > 0 or self.cycle is not None
        if not has_answered or not self._is_at_rest() or self.transport.is_closing():
            return False
        # An answer that is still being sent is not cut, nor a request that only the kernel has yet:
        # a proxy could not send an order again.
        if self.transport.get_write_buffer_size() or _is_readable(self.transport):
            return False
        self._close()
        return True

    def shutdown(self) -> None:
        """Close once the request under way is answered; at once if there is none."""
        if self._asked is None:
            super().shutdown()
        else:
            self._is_leaving = True

    def timeout_keep_alive_handler(self) -> None:
        """Close, unless something was asked meanwhile."""
        self.timeout_keep_alive_task = None
        if self._asked is not None:
            return
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._keep_alive_for(left)
        elif not self.transport.is_closing():
            self._close()

    def _close(self) -> None:
        """Close, with a short time-out: an idle client would hold the file descriptor, by TLS for
        half a minute, and for ever where it does not read."""
        self.transport.close()
        self.loop.call_later(_LEAVE_S, self.transport.abort)

    def _keep_alive_for(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _is_at_rest(self) -> bool:
        """Whether nothing is under way, and nothing waits."""
        return not (
            self._asked is not None
            or self._head_bytes
            or self._in_head
            or self._in_body
            or self._waiting
            or self.flow.write_paused
            or self._is_answering()
        )

    def _feed(self, data: bytes) -> None:
        self._parse(data)
        if self._in_body or self._in_head or self._head_bytes:
            self._read_timeout.begin(self)
        else:
            self._read_timeout.end(self)

    def _parse(self, data: bytes) -> None:
        """Take the next bytes, up to a request that has to be answered first."""
        while data and not self.transport.is_closing():
            piece, data, self._tail = split_head(self._tail, data)
            if not self._in_body or not self._is_answering():
                self._head_bytes += len(piece)  # a body that nobody reads any more counts, too
            if self._head_bytes > CORE_HEAD_BYTES:
                self._turn_away(
                    bad_request(f"the request's head is longer than {CORE_HEAD_BYTES} bytes")
                )
                return
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade:
                pass  # Core never upgrades; the request itself was parsed as any other
            except httptools.HttpParserError as error:
                self._turn_away(self._refusal or bad_request(f"this is not HTTP/1.1: {error}"))
                return
            if data and self._is_full():
                self._wait(data)
                return

    def _is_full(self) -> bool:
        """Whether the application has as many requests as it may have before it answers one."""
        return (
            bool(self.pipeline)
            or self._asked is not None
            or (not self._in_body and self._is_answering())
        )

    def _is_answering(self) -> bool:
        return not getattr(self.cycle, "response_complete", True)

    def _wait(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) > MAX_WAITING_BYTES:
            self.transport.pause_reading()

    def _go_on(self) -> None:
        if not self._waiting or self._is_full() or self.transport.is_closing():
            return
        data, self._waiting = self._waiting, b""
        if not self.transport.is_reading():
            self.transport.resume_reading()
        self._unset_keepalive_if_required()
        self._feed(data)

    def _turn_away(self, refusal: Refusal) -> None:
        """Answer a malformed request and close: the bytes after it cannot be parsed either."""
        body = problem_of(refusal)
        if not self._is_answering():
            self._refuse(refusal, body)
        elif self._in_body and self.pipeline:
            # It is still queued: it gets this answer instead of the application's.
            self.transport.pause_reading()
            cycle, _app = self.pipeline[0]
            cycle.keep_alive = False
            self.pipeline[0] = (cycle, partial(answer_all, refusal.status, body))
        elif self._in_body and not self.cycle.response_started:
            # The application waits for the rest of a body that never comes.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._refuse(refusal, body)
        else:
            self.transport.pause_reading()
            self.cycle.keep_alive = False  # it closes once the request before has its answer

    def _refuse(self, refusal: Refusal, body: bytes) -> None:
        self.transport.write(answer_to(refusal, body, self.server_state.default_headers))
        self.transport.close()


def _is_readable(transport: asyncio.Transport) -> bool:
    """Whether the kernel has received bytes that the event loop has not read yet."""
    socket = transport.get_extra_info("socket")
    if socket is None:
        return False
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    return bool(poll.poll(0))
