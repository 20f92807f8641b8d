"""One HTTP/1.1 connection of a client, by callbacks: no task and no coroutine per answer.

Ten thousand clients in one process are only possible if a byte that arrives wakes nothing but the
code that reads it. RFC 9112; one request at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, Protocol, cast

import httptools

_MAX_HEADERS: Final = 100
_MAX_BODY_BYTES: Final = 64 << 20
"""A longer answer is cut off."""
_IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Of Linux (ip(7)); Python names it from 3.12 on."""


class Answer(Protocol):
    """Who is told of the answer to a request."""

    def began(self, status: int, headers: dict[str, str]) -> None:
        """The head is there."""

    def brought(self, data: bytes) -> None:
        """A part of the body."""

    def ended(self, trouble: str | None) -> None:
        """The answer is whole, or (`trouble`) it broke off; the last that is told."""


class OutgoingConnection(asyncio.Protocol):
    """A connection to one server.

    Args:
        address: whom it leads to.
    """

    __slots__ = ("_answer", "_headers", "_keeps", "_parser", "_transport", "address")

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self._keeps = False
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._answer: Answer | None = None
        self._headers: dict[str, str] = {}

    @property
    def is_free(self) -> bool:
        """Whether it may be used for a request now."""
        return self._keeps and self._answer is None

    def ask(self, request: bytes, answer: Answer) -> None:
        """Send a request; only when the answer before it is whole."""
        assert self._transport is not None  # noqa: S101
        self._answer = answer
        self._headers = {}
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)

    def abort(self) -> None:
        """Cut it; nothing is told any more."""
        self._answer = None
        self._keeps = False
        if self._transport is not None:
            self._transport.abort()

    def cut(self) -> None:
        """Reset it, as the network would; whoever waits for an answer is told."""
        if self._transport is not None:
            self._transport.abort()

    # ── asyncio ──────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._keeps = True

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer."""
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(f"the answer is not HTTP: {error}")
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is closed."""
        self._keeps = False
        self._end(str(error) if error else "the connection was closed")
        self._transport = None

    # ── httptools ────────────────────────────────────────────────────────────

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if len(self._headers) < _MAX_HEADERS:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._answer is not None and self._parser is not None:
            self._answer.began(self._parser.get_status_code(), self._headers)

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        if self._answer is not None:
            self._answer.brought(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._parser is not None and not self._parser.should_keep_alive():
            self._keeps = False
            if self._transport is not None:
                self._transport.close()
        self._end(None)

    def _end(self, trouble: str | None) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.ended(trouble)


async def connect(address: tuple[str, int], source: str | None) -> OutgoingConnection:
    """A new connection, from this address of ours; None: from any.

    Raises:
        OSError: there is none to be had.
    """
    loop = asyncio.get_running_loop()
    if source is None:
        _, made = await loop.create_connection(lambda: OutgoingConnection(address), *address)
        return made
    begun = socket.socket()
    try:
        begun.setblocking(False)
        # A port that is chosen before the kernel knows where to must be free of all that has been.
        begun.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        begun.bind((source, 0))
        with contextlib.suppress(BlockingIOError):
            begun.connect(address)
        if not _is_connected(begun):
            await loop.sock_connect(begun, address)
        _, made = await loop.create_connection(lambda: OutgoingConnection(address), sock=begun)
    except BaseException:
        begun.close()
        raise
    return made


def _is_connected(begun: socket.socket) -> bool:
    """On one machine the kernel has mostly connected it by now; then no loop has to wait for it."""
    try:
        begun.getpeername()
    except OSError:
        return False
    return True


Done = Callable[[int, dict[str, str], bytes, str | None], None]
"""Takes status, headers and body of an answer, and what was wrong; None: it is whole."""


class Whole:
    """An answer that is collected and handed over at once.

    Args:
        done: gets it; the status is 0 where there is none.
    """

    __slots__ = ("_body", "_done", "_headers", "_status")

    def __init__(self, done: Done) -> None:
        self._done = done
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def began(self, status: int, headers: dict[str, str]) -> None:
        """The head is there."""
        self._status, self._headers = status, headers

    def brought(self, data: bytes) -> None:
        """A part of the body."""
        if len(self._body) < _MAX_BODY_BYTES:
            self._body += data

    def ended(self, trouble: str | None) -> None:
        """Hand it over."""
        self._done(self._status, self._headers, bytes(self._body), trouble)


async def fetch(
    connection: OutgoingConnection, request: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Ask, and wait for the whole answer.

    Raises:
        ConnectionError: it broke off.
    """
    future: asyncio.Future[tuple[int, dict[str, str], bytes]] = (
        asyncio.get_running_loop().create_future()
    )

    def done(status: int, headers: dict[str, str], body: bytes, trouble: str | None) -> None:
        if future.done():
            return
        if trouble is None:
            future.set_result((status, headers, body))
        else:
            future.set_exception(ConnectionError(trouble))

    connection.ask(request, Whole(done))
    return await future
