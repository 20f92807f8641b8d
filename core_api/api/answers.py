"""The responses of Core's handlers, which no cache may store."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from core_api.api.operations import JSON

NO_STORE: Final = {"cache-control": "no-store"}


def json_answer(value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return encoded_answer(msgspec.json.encode(value), status)


def encoded_answer(body: bytes, status: int = 200) -> Response:
    """A body that is JSON already."""
    return Response(body, status, NO_STORE, JSON)


def done() -> Response:
    """Success without a body."""
    return Response(status_code=204, headers=NO_STORE)
