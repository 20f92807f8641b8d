"""A connection whose first request opens a stream: one object is its protocol and its subscriber.

Nearly every connection is one. It has only the state that a stream needs: other requests, and those
after its stream, are handed to an `EdgeConnection`, which replaces it at the transport.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from client_sdk.contract.socket import STREAM_PATH
from event_server.push.requests import Asked, Requests
from event_server.push.response_heads import ResponseHeads
from event_server.push.stream_requests import Block, StreamRequests
from event_server.push.subscriber import BeingWritten, EdgeStream
from event_server.streams.registry import Streams
from event_server.streams.request_rules import parse_request
from server_common.http.read_timeout import ReadTimeout, TimedConnection

log = structlog.get_logger()


class Successor(Requests):
    """A connection that can serve any request, and replaces a `DirectStream`."""

    __slots__ = ()

    @abstractmethod
    def fail(self, error: Exception, asked: Asked) -> None:
        """Answer a request that is refused, or that fails."""

    @abstractmethod
    def too_slow(self, stream: BeingWritten) -> None:
        """End a stream: its client reads too slowly."""

    @abstractmethod
    def finish(self, stream: BeingWritten) -> None:
        """Finish the response: its last byte has left."""


class Answering(Protocol):
    """What a `DirectStream` needs of the `Edge` that it belongs to."""

    streams: Streams
    heads: ResponseHeads
    buffer_bytes: int
    monotonic: Callable[[], float]
    read_timeout: ReadTimeout
    stream_requests: StreamRequests

    def connection(
        self,
        serving: Serving,
        transport: asyncio.Transport,
        timed: TimedConnection,
        stream: BeingWritten | None,
    ) -> Successor:
        """The connection that replaces a `DirectStream`.

        Args:
            serving: what it has in common with the others.
            transport: the client's.
            timed: the connection's key at the read timeout.
            stream: the stream that is open on it already; None: there is none.
        """
        ...


@dataclass(slots=True, eq=False)
class Serving:
    """What all connections of one server have in common."""

    edge: Answering
    """What answers."""
    config: Config
    server_state: ServerState
    app_state: dict[str, Any]
    """For the application; uvicorn's, like the two before."""
    loop: asyncio.AbstractEventLoop


class DirectStream(EdgeStream, asyncio.Protocol):
    """A connection, until it gets another request than for one stream.

    Args:
        serving: shared by all connections.
    """

    __slots__ = ("_is_open", "_is_paused", "_serving", "loop", "transport")

    transport: asyncio.Transport

    def __init__(self, serving: Serving) -> None:
        # The parts of a stream are set when it begins.
        self._serving = serving
        self.loop = serving.loop
        self._is_open = self._is_paused = False

    # The connection -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        self.transport = cast(asyncio.Transport, transport)
        serving = self._serving
        serving.server_state.connections.add(self)  # type: ignore[arg-type]
        serving.edge.read_timeout.begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or we have cut the connection."""
        serving = self._serving
        if self._is_open:
            self._is_open = False
            self.lose()
            serving.edge.streams.close(self)
            self._owner = None  # type: ignore[assignment]  # it would keep itself
        else:
            serving.edge.read_timeout.end(self)
        serving.server_state.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """The client has sent something."""
        if not self._is_open:
            found = self._serving.edge.stream_requests.read(data)
            if found is not None and not self.transport.is_closing():
                self._open(*found)
                return
        self._give_way().data_received(data)

    def pause_writing(self) -> None:
        """The write buffer is full."""
        self._is_paused = True
        if self._is_open:
            self.fill_up()

    def resume_writing(self) -> None:
        """The write buffer has room again."""
        self._is_paused = False
        if self._is_open:
            self.drained()

    def shutdown(self) -> None:
        """Close when the stream is complete; at once if there is none."""
        if self._is_open:
            self.keep = False
        else:
            self.transport.close()

    def time_out(self) -> None:
        """The client takes too long over a request."""
        self.transport.abort()

    # The stream -----------------------------------------------------------------------------

    def too_slow(self, stream: BeingWritten) -> None:
        """End the stream: its client reads too slowly."""
        edge = self._serving.edge
        edge.streams.slow(stream, edge.monotonic())

    def finish(self, stream: BeingWritten) -> None:
        """Finish the response: its last byte has left."""
        if self._is_open:
            owner = self._owner if self._owner is not self else self._give_way()
            owner.finish(stream)

    def wait(self, data: bytes) -> None:
        """Keep bytes for later: they are the next request."""
        self._give_way().wait(data)

    def _open(self, query: bytes, block: Block) -> None:
        serving = self._serving
        edge, state = serving.edge, serving.server_state
        edge.read_timeout.end(self)
        state.total_requests += 1
        try:
            now = edge.monotonic()
            accepted = edge.streams.judge(parse_request(query, block.last_event_id), now)
            head = edge.heads.stream(state.default_headers, block.origin, True, True)
        except Exception as error:
            asked = Asked(STREAM_PATH, query, block.headers, True, True)
            self._give_way().fail(error, asked)
            return
        super().__init__(self, head, True, True, edge.buffer_bytes)
        self._is_open = True
        try:
            edge.streams.open(self, accepted, now)
        except Exception:
            log.exception("request_failed", path=STREAM_PATH)
            self.transport.abort()

    def _give_way(self) -> Successor:
        """Replace this connection by one that can serve any request."""
        serving = self._serving
        stream = self if self._is_open else None
        connection = serving.edge.connection(serving, self.transport, self, stream)
        connection.write_paused = self._is_paused
        if stream is not None:
            self._owner = connection
        self.transport.set_protocol(connection)
        serving.server_state.connections.discard(self)
        return connection
