"""Problems as answers: problem+json (RFC 9457), without internal details."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from client_sdk.contract.problem import MEDIA_TYPE, Problem, encode_problem, problem
from server_common.logs import get_logger

log = get_logger()

ErrorHandler = Callable[[Request, Exception], Awaitable[Response]]
"""Starlette's exception handler for a class of errors."""


def headers_of(value: Problem) -> dict[str, str]:
    """The headers that belong to a problem."""
    headers = {"cache-control": "no-store"}
    if value.retry_after is not None:
        headers["retry-after"] = str(math.ceil(value.retry_after))
    if value.slug == "unauthorized":
        headers["www-authenticate"] = 'Bearer realm="yabam"'
    if value.slug == "upgrade-required":
        # RFC 9110, section 15.5.22, and RFC 6455, section 4.4.
        headers |= {"upgrade": "websocket", "sec-websocket-version": "13"}
    return headers


def respond(value: Problem, headers: dict[str, str] | None = None) -> Response:
    """The problem as an answer."""
    return Response(
        encode_problem(value), value.status, headers_of(value) | (headers or {}), MEDIA_TYPE
    )


def http_error_handler(told: Mapping[int, tuple[str, str]]) -> ErrorHandler:
    """The handler of Starlette's own errors: no route, wrong method.

    Args:
        told: by status, the problem's slug and its detail.
    """

    async def on_http_error(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        slug, detail = told.get(error.status_code, ("bad-request", "the request is malformed"))
        return respond(problem(slug, detail), dict(error.headers or {}))

    return on_http_error


def internal_error() -> Response:
    """The answer to a request that met a bug."""
    detail = "the server failed; nothing is known to be done: try again"
    return respond(problem("internal", detail))


class LastResort:
    """ASGI middleware around all of ours: a bug is logged, and answered without a traceback."""

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
            await internal_error()(scope, receive, send)
