"""The fast push path: streams are answered inside uvicorn's protocol class, without a task each.

A stream's bytes go straight to the transport, encoded once for all. Every other request goes on to
the ASGI application, on the same connection if the client likes. A connection begins as a
`DirectStream`, which is all that an open stream needs; for anything else an `EdgeConnection` takes
over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from client_sdk.contract.problem import Problem, problem
from event_server.errors import StreamRefusedError
from event_server.metrics import EventMetrics
from event_server.problems import of_refusal
from event_server.push.direct_stream import DirectStream, Serving, Successor
from event_server.push.requests import Asked
from event_server.push.response_heads import ResponseHeads
from event_server.push.socket import EdgeSocket
from event_server.push.stream_requests import StreamRequests
from event_server.push.subscriber import BeingWritten, EdgeStream
from event_server.replay.frames import joined
from event_server.sockets.handshake import Origins, check_subprotocol, check_upgrade
from event_server.sockets.messages import SharedMessages
from event_server.sockets.session import SocketSession
from event_server.sockets.talk import Talk
from event_server.streams.registry import Streams
from event_server.streams.request_rules import parse_request, refuse_body
from server_common.http.problem_answers import respond
from server_common.http.read_timeout import ReadTimeout, TimedConnection

log = structlog.get_logger()


class Edge:
    """What the connections share.

    Args:
        streams: judges and serves.
        metrics: counts refusals.
        talk: passes on the messages of sockets.
        cors_origins: whose pages may read, and open sockets.
        buffer_bytes: how much may wait for a slow client.
        monotonic: seconds.
        read_timeout: how long a request may take to come.
    """

    def __init__(
        self,
        streams: Streams,
        metrics: EventMetrics,
        talk: Talk,
        cors_origins: Collection[str],
        buffer_bytes: int,
        monotonic: Callable[[], float],
        read_timeout: ReadTimeout,
    ) -> None:
        self.streams = streams
        self.metrics = metrics
        self.talk = talk
        self.heads = ResponseHeads(cors_origins)
        self.origins = Origins(cors_origins)
        self.messages = SharedMessages(joined)
        self.buffer_bytes = buffer_bytes
        self.monotonic = monotonic
        self.read_timeout = read_timeout
        self.stream_requests = StreamRequests()
        self._serving: Serving | None = None

    def protocol(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> DirectStream:
        """A new connection's protocol; uvicorn calls this as if it were the class.

        Args:
            config: uvicorn's; it names the ASGI application.
            server_state: uvicorn's record of the server's open connections.
            app_state: the state that the application has set when it started.
            _loop: the event loop; None: the one that runs.
        """
        loop = _loop or asyncio.get_running_loop()
        serving = self._serving
        if serving is None or serving.server_state is not server_state or serving.loop is not loop:
            serving = self._serving = Serving(self, config, server_state, app_state, loop)
        return DirectStream(serving)

    def connection(
        self,
        serving: Serving,
        transport: asyncio.Transport,
        timed: TimedConnection,
        stream: BeingWritten | None,
    ) -> EdgeConnection:
        """The connection that replaces a `DirectStream`.

        Args:
            serving: what it has in common with the others.
            transport: the client's.
            timed: the connection's key at the read timeout.
            stream: the stream that is open on it already; None: there is none.
        """
        return EdgeConnection(self, serving, transport, timed, stream)


class EdgeConnection(Successor):
    """One connection, which serves one stream or application request after the other.

    Args:
        edge: shared by all connections.
        serving: the same, of uvicorn's.
        transport: the client's.
        timed: its key at the read timeout.
        stream: the stream that is open on it already.
    """

    __slots__ = ("_edge", "_stream")

    def __init__(
        self,
        edge: Edge,
        serving: Serving,
        transport: asyncio.Transport,
        timed: TimedConnection,
        stream: BeingWritten | None,
    ) -> None:
        super().__init__(
            serving.config,
            serving.server_state,
            serving.app_state,
            serving.loop,
            edge.read_timeout,
            timed,
        )
        self.transport = transport
        self._edge = edge
        self._stream = stream
        self.server_state.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or we have cut the connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.lose()
            self._edge.streams.close(stream)
            self._edge.talk.leave(stream)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The client has sent something; during a stream that waits, a socket reads it."""
        if self._stream is None:
            super().data_received(data)
        else:
            self._stream.take(data)

    def pause_writing(self) -> None:
        """The write buffer is full."""
        super().pause_writing()
        if self._stream is not None:
            self._stream.fill_up()

    def resume_writing(self) -> None:
        """The write buffer has room again."""
        super().resume_writing()
        if self._stream is None:
            self.go_on()
        else:
            self._stream.drained()

    def shutdown(self) -> None:
        """Close when the response in progress is complete; at once if there is none."""
        if self._stream is not None:
            self._stream.keep = False
        else:
            super().shutdown()

    def go_on(self) -> None:
        """The last request is answered: continue with the waiting bytes, if possible."""
        if self._stream is None:
            super().go_on()

    # Streams --------------------------------------------------------------------------------

    def serve(self) -> None:
        """Answer the request for a stream, once the requests before it are answered."""
        asked = self.asked
        if asked is None or self.write_paused or self.is_answering():
            return
        self.asked = None
        self._unset_keepalive_if_required()
        self.server_state.total_requests += 1
        try:
            if asked.is_socket:
                self._open_socket(asked)
            else:
                self._open(asked)
        except Exception as error:
            self.fail(error, asked)

    def fail(self, error: Exception, asked: Asked) -> None:
        """Answer a request that could not be served, by what was raised."""
        if isinstance(error, StreamRefusedError):
            self._edge.metrics.refused[error.slug] += 1
            self._refuse(of_refusal(error), asked)
            return
        log.error("request_failed", path=asked.path, exc_info=error)
        if self._stream is not None:
            self.transport.abort()
            return
        self._refuse(problem("internal", "the server failed: try again"), asked)

    def _open(self, asked: Asked) -> None:
        if asked.fault is not None:
            raise asked.fault
        edge, field = self._edge, asked.headers.get
        refuse_body(_text(field(b"content-length")), _text(field(b"transfer-encoding")))
        now = edge.monotonic()
        request = parse_request(asked.query, _text(field(b"last-event-id")))
        accepted = edge.streams.judge(request, now)
        head = edge.heads.stream(
            self.server_state.default_headers, field(b"origin"), asked.chunked, asked.keep
        )
        stream = EdgeStream(self, head, asked.chunked, asked.keep, edge.buffer_bytes)
        self._stream = stream
        self.forget_requests()
        edge.streams.open(stream, accepted, now)

    def _open_socket(self, asked: Asked) -> None:
        if asked.fault is not None:
            raise asked.fault
        edge, field = self._edge, asked.headers.get
        refuse_body(_text(field(b"content-length")), _text(field(b"transfer-encoding")))
        accept = check_upgrade(
            asked.chunked,
            _text(field(b"upgrade")),
            _text(field(b"connection")),
            _text(field(b"sec-websocket-version")),
            _text(field(b"sec-websocket-key")),
        )
        check_subprotocol(_text(field(b"sec-websocket-protocol")))
        edge.origins.check(_text(field(b"origin")), _text(field(b"host")))
        now = edge.monotonic()
        accepted = edge.streams.judge(parse_request(asked.query, ""), now)
        head = edge.heads.socket(self.server_state.default_headers, accept)
        socket = EdgeSocket(self, head, edge.messages, edge.buffer_bytes, edge.monotonic)
        socket.session = SocketSession(edge.streams, edge.talk, socket, accepted, now)
        self._stream = socket
        self.forget_requests()
        edge.talk.join(socket)
        edge.streams.open(socket, accepted, now)
        if early := self.take_waiting():
            socket.take(early)

    def too_slow(self, stream: BeingWritten) -> None:
        """End the stream: its client reads too slowly."""
        self._edge.streams.slow(stream, self._edge.monotonic())

    def finish(self, stream: BeingWritten) -> None:
        """Finish the response: the stream's last byte has left."""
        if self._stream is not stream:
            return
        self._stream = None
        self._edge.streams.close(stream)
        self._edge.talk.leave(stream)
        if not stream.keep:
            self.transport.close()
            return
        self.transport.set_write_buffer_limits()
        self.be_idle()

    # Answers --------------------------------------------------------------------------------

    def turn_away(self, detail: str) -> None:
        """Answer a malformed request and close: the bytes after it cannot be parsed either."""
        self.asked = None
        if self.is_answering():
            self.transport.pause_reading()
            self.cycle.keep_alive = False  # it closes once the requests before have their answers
            return
        self._edge.metrics.refused["bad-request"] += 1
        self._answer(problem("bad-request", detail), None, keep=False)

    def _refuse(self, value: Problem, asked: Asked) -> None:
        body_follows = b"content-length" in asked.headers or b"transfer-encoding" in asked.headers
        keep = asked.keep and not body_follows
        self._answer(value, asked.headers.get(b"origin"), keep)
        if keep:
            self.be_idle()

    def _answer(self, value: Problem, origin: bytes | None, keep: bool) -> None:
        common = self.server_state.default_headers
        self.transport.write(self._edge.heads.answer(common, origin, respond(value), keep))
        if not keep:
            self.transport.close()


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("latin-1")
