"""Protects the metrics of Core's processes: a token of role ops is needed."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from client_sdk.contract.problem import Problem, problem
from core_api.access.callers import Caller
from core_api.errors import CoreError, ForbiddenError, UnauthorizedError
from server_common.access.access_tokens import TokenError, bearer_token


def refusal_by(verify: Callable[[str], Caller]) -> Callable[[Request], Problem | None]:
    """Says why a request may not see them; None: it may.

    Args:
        verify: who holds a token; raises `UnauthorizedError`.
    """

    def refusal(request: Request) -> Problem | None:
        try:
            check_ops(request, verify)
        except CoreError as error:
            return problem(error.slug, str(error))
        return None

    return refusal


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
