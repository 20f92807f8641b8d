"""Errors as answers: every refusal becomes problem+json (RFC 9457), without internal details."""

from __future__ import annotations

from typing import Final

from client_sdk.contract.problem import Problem, problem
from event_server.errors import StreamRefusedError
from server_common.http.problem_answers import http_error_handler

EXPOSED_HEADERS: Final = "retry-after"
"""The headers that a page of another origin may read, beside those that CORS always permits."""
STREAM_HEADERS: Final = (
    ("cache-control", "no-store"),
    ("content-type", "text/event-stream; charset=utf-8"),
    ("x-accel-buffering", "no"),
)
"""The headers of an open stream."""

on_http_error: Final = http_error_handler(
    {
        404: ("not-found", "there is nothing at this path: streams are at /v1/stream"),
        405: ("method-not-allowed", "this path takes GET, HEAD and OPTIONS"),
    }
)


def of_refusal(error: StreamRefusedError) -> Problem:
    """A refusal as a problem."""
    retry_after = None if error.retry_after is None else round(error.retry_after, 3)
    return problem(error.slug, str(error), retry_after=retry_after, url=error.url)
