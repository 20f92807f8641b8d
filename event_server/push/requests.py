"""Splits the bytes of a connection into requests, each for a stream or for the application.

uvicorn's own state of a connection is made when an application request comes, by uvicorn's own
`__init__`, and dropped when a stream begins.

A request is parsed up to the end of its head. Bytes after a request that is not answered yet wait,
unparsed and bounded. So no request ever overtakes another, a flood of pipelined requests costs no
more memory than one, and an open stream needs no parser.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import httptools
from msgspec import Struct
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from client_sdk.contract.socket import SOCKET_PATH, STREAM_PATH
from event_server.errors import StreamRefusedError
from event_server.push.request_head import check_head
from server_common.http.read_timeout import ReadTimeout, TimedConnection
from server_common.http.request_heads import MAX_WAITING_BYTES, split_head
from server_common.limits import EVENTS_HEAD_BYTES

PATHS: Final = (STREAM_PATH.encode(), SOCKET_PATH.encode())
"""The paths that are answered here, for GET."""


class Asked(Struct, frozen=True):
    """A request for a stream or a WebSocket, as it came."""

    path: str
    query: bytes
    headers: dict[bytes, bytes]
    chunked: bool
    """Whether its client speaks HTTP/1.1."""
    keep: bool
    """Whether the connection is kept for another request."""
    fault: StreamRefusedError | None = None
    """Why its head is malformed; None: it is not."""

    @property
    def is_socket(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.path == SOCKET_PATH


class Requests(HttpToolsProtocol, ABC):
    """A connection's requests. Attributes without a slot are uvicorn's.

    A subclass answers: `asked` is set, and `serve` called, for each request for the stream. The
    read timeout must have the connection as `timed`.
    """

    __slots__ = (
        "_application", "_head", "_head_bytes", "_in_body", "_in_head", "_making", "_read_timeout",
        "_tail", "_timed", "_url", "_waiting", "asked", "loop", "parser", "server_state",
        "timeout_keep_alive_task", "transport", "write_paused",
    )  # fmt: skip

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
        read_timeout: ReadTimeout,
        timed: TimedConnection,
    ) -> None:
        # uvicorn's own __init__ runs when an application request comes.
        self.loop = loop or asyncio.get_running_loop()
        self.server_state = server_state
        self.timeout_keep_alive_task = None
        self.asked: Asked | None = None
        self.write_paused = False
        self._making = (config, app_state)
        self._read_timeout = read_timeout
        self._timed = timed
        self._application = False
        self._in_body = False
        self._head_bytes = 0
        self._in_head = False
        self._waiting = b""
        self.forget_requests()

    # For the subclass -----------------------------------------------------------------------

    @abstractmethod
    def serve(self) -> None:
        """Answer `asked`, unless the connection is closing."""

    @abstractmethod
    def turn_away(self, detail: str) -> None:
        """Answer a malformed request and close: the bytes after it cannot be parsed either."""

    def is_answering(self) -> bool:
        """Whether the application has not answered all that it was asked."""
        if not self._application:
            return False
        return bool(self.pipeline) or not getattr(self.cycle, "response_complete", True)

    def forget_requests(self) -> None:
        """Drop the state of requests, but not the bytes that wait."""
        self._url, self._head, self._tail = b"", list[tuple[bytes, bytes]](), b""
        self.parser = None  # type: ignore[assignment]
        if self._application:
            self._application = False
            self.__dict__.clear()

    def go_on(self) -> None:
        """The last request is answered: continue with the waiting bytes, if possible."""
        if self.write_paused or self.transport.is_closing():
            return
        if self.asked is not None:
            self.serve()
        elif self._waiting and not self._is_full():
            data, self._waiting = self._waiting, b""
            if not self.transport.is_reading():
                self.transport.resume_reading()
            self._unset_keepalive_if_required()
            self.feed(data)

    def be_idle(self) -> None:
        """An answer was written: go on with the waiting bytes, or await the next request."""
        if self._waiting:
            self.loop.call_soon(self.go_on)  # in its turn: others wait, too
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            self._making[0].timeout_keep_alive, self.timeout_keep_alive_handler
        )

    # The connection -------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or we have cut the connection."""
        self._read_timeout.end(self._timed)
        self._unset_keepalive_if_required()
        self.asked, self._waiting = None, b""
        if self._application:
            super().connection_lost(exc)
        self.server_state.connections.discard(self)
        self.parser = None  # type: ignore[assignment]
        self._timed = None  # type: ignore[assignment]  # it may lead back here

    def data_received(self, data: bytes) -> None:
        """The client has sent something."""
        self._unset_keepalive_if_required()
        if self.asked is None and not self._waiting and not self._is_full():
            self.feed(data)
        else:
            self.wait(data)

    def pause_writing(self) -> None:
        """The write buffer is full."""
        self.write_paused = True
        if self._application:
            super().pause_writing()

    def resume_writing(self) -> None:
        """The write buffer has room again."""
        self.write_paused = False
        if self._application:
            super().resume_writing()

    def shutdown(self) -> None:
        """Close when the response in progress is complete; at once if there is none."""
        if self._application:
            super().shutdown()
        else:
            self.transport.close()

    # Bytes in -------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take the next bytes, up to a request that has to be answered first."""
        self._parse(data)
        if self.asked is None and (self._in_body or self._in_head or self._head_bytes):
            self._read_timeout.begin(self._timed)
        else:
            self._read_timeout.end(self._timed)

    def _parse(self, data: bytes) -> None:
        if self.parser is None:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        while data and not self.transport.is_closing():
            piece, data, self._tail = split_head(self._tail, data)
            if not self._in_body or not self.is_answering():
                self._head_bytes += len(piece)  # a body that nobody reads any more counts, too
            if self._head_bytes > EVENTS_HEAD_BYTES:
                self.turn_away(f"the request's head is longer than {EVENTS_HEAD_BYTES} bytes")
                return
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade:
                pass  # this server never upgrades here; the request itself was parsed as any other
            except httptools.HttpParserError as error:
                self.turn_away(f"this is not HTTP/1.1: {error}")
                return
            if self.asked is not None:
                if data:
                    self.wait(data)
                self.serve()
                return
            if data and self._is_full():
                self.wait(data)
                return

    def _is_full(self) -> bool:
        """Whether the application has as many requests as it may have before it answers one."""
        if not self._application:
            return False
        return bool(self.pipeline) or (not self._in_body and self.is_answering())

    def take_waiting(self) -> bytes:
        """Take out the bytes that wait behind the request; they are of another protocol."""
        data, self._waiting = self._waiting, b""
        if not self.transport.is_reading():
            self.transport.resume_reading()
        return data

    def wait(self, data: bytes) -> None:
        """Keep bytes for later."""
        self._waiting += data
        if len(self._waiting) > MAX_WAITING_BYTES:
            self.transport.pause_reading()

    # What the parser finds ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins.

        Raises:
            RuntimeError: it is the second in one piece; it is answered as a bad request.
        """
        if self.asked is not None:
            raise RuntimeError("a second request in one piece")  # answered as a bad request
        self._url, self._head = b"", []
        self._in_head = True  # perhaps in one packet with the end of the request before

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is ignored.

        Raises:
            ValueError: there are too many; it is answered as a bad request.
        """
        if not self._in_body:
            self._head.append((name, value))
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > EVENTS_HEAD_BYTES:
            raise ValueError("too many trailers")  # answered as a bad request

    def on_headers_complete(self) -> None:
        """The head is complete. Here it is only decided who answers: an error in a callback of
        the parser would look like a bad request."""
        self._in_head, self._in_body = False, True
        ours = self._ours() if self.parser.get_method() == b"GET" else None
        if ours is None:
            self._pass_on()
            return
        path, query = ours
        version = self.parser.get_http_version()
        http_1_1 = version != "1.0"
        # The first of a name counts, as in the application.
        headers = {name.lower(): value for name, value in reversed(self._head)}
        try:
            check_head(version, _hosts(self._head, headers))
        except StreamRefusedError as error:
            self.asked = Asked(path, query, headers, http_1_1, False, error)
            return
        # After a request for a WebSocket there is no other, whatever the answer.
        keep = http_1_1 and path != SOCKET_PATH and self.parser.should_keep_alive()
        self.asked = Asked(path, query, headers, http_1_1, keep)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self.asked is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._in_body, self._head_bytes = False, 0
        if self.asked is None:
            super().on_message_complete()

    def _ours(self) -> tuple[str, bytes] | None:
        """The path and the query, if it is answered here."""
        url = self._url
        for path in PATHS:
            if url.startswith(path) and b"#" not in url and url[len(path) : len(path) + 1] in b"?":
                return path.decode(), url[len(path) + 1 :]
        parsed = httptools.parse_url(url)
        found = unquote_to_bytes(parsed.path or b"")
        return (found.decode(), parsed.query or b"") if found in PATHS else None

    # The application ------------------------------------------------------------------------

    def _pass_on(self) -> None:
        if not self._application:
            config, app_state = self._making
            parser, transport = self.parser, self.transport
            super().__init__(config, self.server_state, app_state, self.loop)
            super().connection_made(transport)
            self.parser = parser
            self._application = True
        super().on_message_begin()
        for name, value in self._head:
            super().on_header(name, value)
        super().on_url(self._url)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The application has answered."""
        super().on_response_complete()
        if len(self._waiting) > MAX_WAITING_BYTES:
            self.transport.pause_reading()  # uvicorn has just made it read again
        if self.asked is not None or self._waiting:
            self.loop.call_soon(self.go_on)


def _hosts(head: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]) -> list[bytes]:
    """The values of all Host headers; `headers` has the first of each name."""
    if len(headers) == len(head):  # no name came twice
        return [headers[b"host"]] if b"host" in headers else []
    return [value for name, value in head if name.lower() == b"host"]
