"""The event server's routes: they read HTTP, call the parts and write HTTP, without rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from client_sdk.contract.socket import SOCKET_PATH, STREAM_PATH
from client_sdk.contract.text import number_of
from event_server.errors import StreamRefusedError
from event_server.http.access import OpsTokens
from event_server.http.busiest_channels import MAX_CHANNELS, busiest
from event_server.metrics import EventMetrics
from event_server.problems import EXPOSED_HEADERS, of_refusal, on_http_error
from event_server.push.asgi import StreamResponse
from event_server.push.asgi_socket import serve_socket
from event_server.push.request_head import check_head
from event_server.sockets.handshake import Origins
from event_server.sockets.talk import Talk
from event_server.streams.registry import Streams
from event_server.streams.request_rules import parse_request, refuse_body
from server_common.http.problem_answers import LastResort, respond

_NO_STORE: Final = {"cache-control": "no-store"}
_READY_AGAIN_S: Final = 5.0
_ALLOW: Final = {"allow": "GET, HEAD, OPTIONS"}


class EventApi:
    """The handlers, over the parts that they call.

    Args:
        streams: judges and serves streams.
        tokens: verifies the tokens for `/metrics`.
        metrics: what `/metrics` shows.
        talk: passes on the messages of sockets.
        origins: whose pages may open sockets.
        buffer_bytes: how much may wait for a slow client.
        monotonic: seconds.
    """

    def __init__(
        self,
        streams: Streams,
        tokens: OpsTokens,
        metrics: EventMetrics,
        talk: Talk,
        origins: Origins,
        buffer_bytes: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._streams = streams
        self._talk = talk
        self._origins = origins
        self._tokens = tokens
        self._metrics = metrics
        self._buffer_bytes = buffer_bytes
        self._monotonic = monotonic

    def app(self, cors_origins: list[str]) -> Starlette:
        """The ASGI application."""
        app = Starlette(
            routes=[
                _route(STREAM_PATH, self.stream),
                WebSocketRoute(SOCKET_PATH, self.socket),
                _route(SOCKET_PATH, self.no_socket),
                _route("/healthz", self.healthz),
                _route("/readyz", self.readyz),
                _route("/metrics", self.show_metrics),
                _route("/v1/channels/top", self.top_channels),
            ],
            middleware=[
                Middleware(
                    CORSMiddleware,
                    allow_origins=cors_origins,
                    allow_methods=["GET", "HEAD"],
                    allow_headers=["authorization", "cache-control", "last-event-id"],
                    expose_headers=[EXPOSED_HEADERS],
                    max_age=86_400,
                ),
                Middleware(LastResort),
                Middleware(CheckedHead, self._metrics),
            ],
            exception_handlers={StreamRefusedError: self._on_refusal, HTTPException: on_http_error},
        )
        app.router.redirect_slashes = False  # one path, one answer
        return app

    async def stream(self, request: Request) -> Response:
        """GET /v1/stream. It judges and opens without an await in between."""
        headers = request.headers
        refuse_body(headers.get("content-length", ""), headers.get("transfer-encoding", ""))
        asked = parse_request(request.scope["query_string"], headers.get("last-event-id", ""))
        accepted = self._streams.judge(asked, self._monotonic())
        return StreamResponse(self._streams, accepted, self._buffer_bytes, self._monotonic)

    async def socket(self, socket: WebSocket) -> None:
        """GET /v1/socket, as a WebSocket."""
        await serve_socket(
            socket,
            self._streams,
            self._talk,
            self._origins,
            self._buffer_bytes,
            self._monotonic,
            self._refused,
        )

    async def no_socket(self, _request: Request) -> Response:
        """GET /v1/socket, as anything else.

        Raises:
            StreamRefusedError: always; it says how a socket is opened.
        """
        raise StreamRefusedError(
            "upgrade-required", "this is a WebSocket: streams for others are at /v1/stream"
        )

    async def healthz(self, _request: Request) -> Response:
        """GET /healthz: the process runs."""
        return Response(b'{"status":"ok"}', media_type="application/json", headers=_NO_STORE)

    async def readyz(self, _request: Request) -> Response:
        """GET /readyz: streams are served; if not, why.

        Raises:
            StreamRefusedError: none are served now.
        """
        reason = self._streams.health.trouble()
        if reason is not None:
            raise StreamRefusedError("degraded", reason, retry_after=_READY_AGAIN_S)
        self._streams.check_ready(self._monotonic())
        return Response(b'{"status":"ready"}', media_type="application/json", headers=_NO_STORE)

    async def show_metrics(self, request: Request) -> Response:
        """GET /metrics, for ops."""
        self._tokens.check(request.headers.get("authorization", ""))
        return Response(
            self._metrics.exposition(), headers=_NO_STORE | {"content-type": CONTENT_TYPE_LATEST}
        )

    async def top_channels(self, request: Request) -> Response:
        """GET /v1/channels/top?limit=…, for ops.

        Raises:
            StreamRefusedError: the caller is not ops, or the limit is out of range.
        """
        self._tokens.check(request.headers.get("authorization", ""))
        top = await busiest(self._streams.hub, _limit(request.query_params.get("limit", "10")))
        return Response(msgspec.json.encode(top), media_type="application/json", headers=_NO_STORE)

    async def _on_refusal(self, _request: Request, error: Exception) -> Response:
        if not isinstance(error, StreamRefusedError):
            raise error
        return self._refused(error)

    def _refused(self, error: StreamRefusedError) -> Response:
        self._metrics.refused[error.slug] += 1
        return respond(of_refusal(error))


class CheckedHead:
    """ASGI middleware that refuses requests whose head breaks the rules, and closes."""

    def __init__(self, app: ASGIApp, metrics: EventMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, if its head is right."""
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            try:
                check_head(scope["http_version"], hosts)
            except StreamRefusedError as error:
                self._metrics.refused[error.slug] += 1
                await respond(of_refusal(error), {"connection": "close"})(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _limit(text: str) -> int:
    number = number_of(text, MAX_CHANNELS)
    if number:
        return number
    raise StreamRefusedError("bad-request", f"limit is a number from 1 to {MAX_CHANNELS}")


def _route(path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_ALLOW)
        return await handler(request)

    return Route(path, answer, methods=["GET", "OPTIONS"])
