"""Errors as answers: every refusal becomes problem+json (RFC 9457), without internal details."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from client_sdk.contract.order import EPOCH_HEADER
from client_sdk.contract.problem import Problem, problem
from core_api.errors import (
    CoreError,
    EditGapError,
    ProviderKeysUnknownError,
    RefusedStepError,
    SoldOutError,
    StaleVersionError,
    TooMuchError,
    UnavailableError,
)
from server_common.http.problem_answers import http_error_handler, respond
from server_common.logs import get_logger

log = get_logger()

on_http_error: Final = http_error_handler(
    {
        404: (
            "not-found",
            "there is no such path: /openapi.json lists all paths",
        ),
        405: (
            "method-not-allowed",
            "this path does not take this method: /openapi.json lists its methods",
        ),
    }
)


def of_core_error(error: CoreError) -> Problem:
    """The problem that answers an error of Core."""
    order = retry_after = None
    settled = error.settled if isinstance(error, EditGapError) else None
    items = error.items if isinstance(error, SoldOutError) else None
    if isinstance(error, RefusedStepError):
        order = msgspec.json.encode(error.order)
    if isinstance(error, TooMuchError | UnavailableError):
        retry_after = error.retry_after
    return problem(
        error.slug, str(error), order=order, retry_after=retry_after, settled=settled, items=items
    )


async def on_core_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for `CoreError`."""
    if not isinstance(error, CoreError):
        raise error
    headers = {}
    if isinstance(error, StaleVersionError):
        headers["etag"] = f'"{error.order.version}"'
    if isinstance(error, RefusedStepError) and error.epoch:
        headers[EPOCH_HEADER] = error.epoch
    if isinstance(error, UnavailableError):
        if not isinstance(error, ProviderKeysUnknownError):
            log.warning("database_unavailable", reason=str(error))
        # The reason may name hosts; the client needs only to know that it should retry.
        return respond(problem("unavailable", f"{error.told}: try again", retry_after=1))
    return respond(of_core_error(error), headers)
