"""Refusals as answers: everything becomes problem+json (RFC 9457), and nothing else leaks out."""

from __future__ import annotations

import math
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from client_sdk.contract.problem import MEDIA_TYPE, Problem, encode_problem, problem
from event_server.errors import RefusedError

log = structlog.get_logger()

EXPOSED_HEADERS: Final = "retry-after"
"""What a page of another origin may read of an answer, beside what CORS always lets it."""
STREAM_HEADERS: Final = (
    ("cache-control", "no-store"),
    ("content-type", "text/event-stream; charset=utf-8"),
    ("x-accel-buffering", "no"),
)
"""The headers of an open stream."""

_OF_STATUS: Final = {
    404: ("not-found", "there is nothing at this path: streams are at /v1/stream"),
    405: ("method-not-allowed", "this path takes GET, HEAD and OPTIONS"),
}


def headers_of(value: Problem) -> dict[str, str]:
    """The headers that belong to a problem."""
    headers = {"cache-control": "no-store"}
    if value.retry_after is not None:
        headers["retry-after"] = str(math.ceil(value.retry_after))
    if value.slug == "unauthorized":
        headers["www-authenticate"] = 'Bearer realm="yabam"'
    return headers


def of_refusal(error: RefusedError) -> Problem:
    """A refusal as a problem."""
    retry_after = None if error.retry_after is None else round(error.retry_after, 3)
    return problem(error.slug, str(error), retry_after=retry_after, url=error.url)


def respond(value: Problem, headers: dict[str, str] | None = None) -> Response:
    """The problem as an answer."""
    return Response(
        encode_problem(value), value.status, headers_of(value) | (headers or {}), MEDIA_TYPE
    )


async def on_http_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for its own errors: no route, wrong method."""
    if not isinstance(error, HTTPException):
        raise error
    slug, detail = _OF_STATUS.get(error.status_code, ("bad-request", "the request is malformed"))
    return respond(problem(slug, detail), dict(error.headers or {}))


class LastResort:
    """ASGI middleware around everything: a bug is logged, and answered without a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer `internal` if the application fails."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            log.exception("request_failed", path=scope.get("path"))
            if started or scope["type"] != "http":
                raise
            value = problem("internal", "the server failed: try again")
            await respond(value)(scope, receive, send)
