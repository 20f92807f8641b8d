"""Health, readiness and metrics of Core's processes that have no HTTP of their own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request

from client_sdk.contract.problem import Problem, problem
from core_api.access.callers import Caller
from core_api.errors import CoreError, ForbiddenError, UnauthorizedError
from server_common.access.access_tokens import TokenError, bearer_token
from server_common.ops import server as ops_server


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

    def refusal(request: Request) -> Problem | None:
        try:
            check_ops(request, verify)
        except CoreError as error:
            return problem(error.slug, str(error))
        return None

    return ops_server.ops_app(registry, refusal, healthy, trouble)


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
