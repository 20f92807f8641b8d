"""One HTTP/1.1 connection of a client (RFC 9112), one request at a time.

It uses callbacks: with a task or a coroutine for each answer, ten thousand clients would not fit
into one process.
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
"""Linux's number of this option (ip(7)); Python has a name for it from 3.12 on."""


class Answer(Protocol):
    """Callbacks for the answer to a request."""

    def began(self, status: int, headers: dict[str, str]) -> None:
        """The head has arrived."""

    def brought(self, data: bytes) -> None:
        """A part of the body has arrived."""

    def ended(self, trouble: str | None) -> None:
        """The last callback: the answer is complete, or broken; `trouble` says why."""


class OutgoingConnection(asyncio.Protocol):
    """A connection to one server.

    Args:
        address: the server's host and port.
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
        """Whether it can be used for a request now."""
        return self._keeps and self._answer is None

    def ask(self, request: bytes, answer: Answer) -> None:
        """Send a request; allowed once the previous answer is complete."""
        assert self._transport is not None  # noqa: S101
        self._answer = answer
        self._headers = {}
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)

    def abort(self) -> None:
        """Close it at once; a waiting `Answer` gets no more callbacks."""
        self._answer = None
        self._keeps = False
        if self._transport is not None:
            self._transport.abort()

    def cut(self) -> None:
        """Reset it, as the network would; a waiting `Answer` gets `ended`."""
        if self._transport is not None:
            self._transport.abort()

    # ── asyncio ──────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        # uvloop's transports are not instances of asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        self._keeps = True

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer have arrived."""
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
        """A header was parsed."""
        if len(self._headers) < _MAX_HEADERS:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is complete."""
        if self._answer is not None and self._parser is not None:
            self._answer.began(self._parser.get_status_code(), self._headers)

    def on_body(self, data: bytes) -> None:
        """A part of the body was parsed."""
        if self._answer is not None:
            self._answer.brought(data)

    def on_message_complete(self) -> None:
        """The answer is complete."""
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
    """Open a connection, from the local address `source`; None: from any.

    Raises:
        OSError: it cannot be opened.
    """
    loop = asyncio.get_running_loop()
    if source is None:
        _, made = await loop.create_connection(lambda: OutgoingConnection(address), *address)
        return made
    begun = socket.socket()
    try:
        begun.setblocking(False)
        # Otherwise bind chooses the port, and takes only one that no connection uses. This way
        # connect chooses it, and may take one that is in use towards another server.
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
    """On one machine the kernel has mostly connected it already; then there is no need to wait."""
    try:
        begun.getpeername()
    except OSError:
        return False
    return True


Done = Callable[[int, dict[str, str], bytes, str | None], None]
"""Takes the status, the headers and the body of an answer, and what was wrong; None: nothing."""


class Whole:
    """Collects an answer and passes it on once it is complete.

    Args:
        done: called with the answer; the status is 0 if no answer has begun.
    """

    __slots__ = ("_body", "_done", "_headers", "_status")

    def __init__(self, done: Done) -> None:
        self._done = done
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def began(self, status: int, headers: dict[str, str]) -> None:
        """Keep the status and the headers."""
        self._status, self._headers = status, headers

    def brought(self, data: bytes) -> None:
        """Keep a part of the body."""
        if len(self._body) < _MAX_BODY_BYTES:
            self._body += data

    def ended(self, trouble: str | None) -> None:
        """Pass the answer on."""
        self._done(self._status, self._headers, bytes(self._body), trouble)


async def fetch(
    connection: OutgoingConnection, request: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Send a request and wait for the complete answer.

    Raises:
        ConnectionError: the connection was lost before that, or the answer is not HTTP.
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
