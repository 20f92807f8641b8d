"""The trace that a request or a record belongs to (W3C Trace Context), for the log lines.

    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01

Nothing is traced here; a tracing system finds the log lines by `trace_id`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

TRACEPARENT: Final = "traceparent"
_FORM: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def trace_id_of(traceparent: bytes) -> str | None:
    """The trace's id; None: the header is malformed and must be ignored."""
    found = _FORM.match(traceparent)
    if found is None:
        return None
    rest = traceparent[found.end() :]
    # Only a later version may have more fields.
    good = not rest or (rest.startswith(b"-") and not traceparent.startswith(b"00"))
    return found[1].decode() if good else None


@contextmanager
def traced(headers: Sequence[tuple[str, bytes | None]]) -> Iterator[None]:
    """Add the trace id of the headers, if there is one, to all log lines of the block."""
    for name, value in headers:
        trace_id = trace_id_of(value) if name == TRACEPARENT and value else None
        if trace_id is not None:
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                yield
            return
    yield


class Tracing:
    """ASGI middleware that adds the trace id to a request's log lines."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        headers = traceparents(scope)
        if not headers:  # as in nearly all requests
            await self._app(scope, receive, send)
            return
        with traced(headers):
            await self._app(scope, receive, send)


def traceparents(scope: Scope) -> list[tuple[str, bytes | None]]:
    """The headers of a request that may name its trace."""
    return [
        (TRACEPARENT, value) for name, value in scope.get("headers", ()) if name == b"traceparent"
    ]
