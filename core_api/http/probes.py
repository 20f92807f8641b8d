"""The small HTTP side of a process that has no HTTP of its own: health, readiness, metrics.

`/healthz` says whether the process should live on, `/readyz` whether it can work now; both are
open. `/metrics` needs a token of role ops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from client_sdk.contract.problem import problem
from core_api.access.callers import Caller
from core_api.errors import CoreError, ForbiddenError, UnauthorizedError
from server_common.access_tokens import TokenError, bearer_token
from server_common.ops_server import OpsServer
from server_common.problem_answers import respond

__all__ = ["OpsServer", "check_ops", "ops_app"]

_NO_STORE: Final = {"cache-control": "no-store"}


def ops_app(
    registry: CollectorRegistry,
    verify: Callable[[str], Caller],
    healthy: Callable[[], bool],
    trouble: Callable[[], str | None],
) -> Starlette:
    """The application.

    Args:
        registry: the numbers to show.
        verify: who holds a token; raises `UnauthorizedError`.
        healthy: whether the process should live on.
        trouble: why it cannot work now; None if it can.
    """

    async def healthz(_request: Request) -> Response:
        return _plain("ok") if healthy() else _refuse("unavailable", "the main loop stands still")

    async def readyz(_request: Request) -> Response:
        reason = trouble()
        return _plain("ready") if reason is None else _refuse("unavailable", reason)

    async def metrics(request: Request) -> Response:
        try:
            check_ops(request, verify)
        except CoreError as error:
            return _refuse(error.slug, str(error))
        return Response(
            generate_latest(registry), headers=_NO_STORE, media_type=CONTENT_TYPE_LATEST
        )

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )


def check_ops(request: Request, verify: Callable[[str], Caller]) -> None:
    """Check that a request carries a token of role ops.

    Raises:
        UnauthorizedError: it carries no valid token.
        ForbiddenError: the token is of another role.
    """
    try:
        token = bearer_token(request.headers.get("authorization", ""))
    except TokenError as error:
        raise UnauthorizedError(str(error)) from error
    if verify(token).role != "ops":
        raise ForbiddenError("a token of role ops is needed")


def _plain(text: str) -> Response:
    return PlainTextResponse(text + "\n", headers=_NO_STORE)


def _refuse(slug: str, detail: str) -> Response:
    return respond(problem(slug, detail))
