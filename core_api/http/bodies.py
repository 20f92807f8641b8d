"""The body of a request, within its bounds, charged to who sent it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request

from client_sdk.contract.text import number_of
from core_api.errors import BadRequestError
from server_common.limits import BODY_BYTES

MAX_BODY_BYTES: Final = BODY_BYTES

Charge = Callable[[int], None]
"""Told of the bytes of a body as they come."""

_CHARGE: Final = "yabam.charge"


def charge_body(request: Request, charge: Charge) -> None:
    """Let the bytes of this request's body be charged, whoever reads it."""
    request.scope[_CHARGE] = charge


async def read_request_body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body, at most `limit` bytes.

    Raises:
        BadRequestError: it is larger, or not sent as JSON.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise BadRequestError("send the body as application/json", "unsupported-media-type")
    declared = request.headers.get("content-length", "0")
    if number_of(declared, limit) is None:
        raise _too_large(limit)
    charge: Charge | None = request.scope.get(_CHARGE)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if charge is not None:
                charge(len(chunk))
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect as error:
        # Nobody reads the answer, but it is no failure of ours and must not be logged as one.
        raise BadRequestError("the request ended before its body did") from error
    return bytes(body)


def _too_large(limit: int) -> BadRequestError:
    return BadRequestError(f"a body may have at most {limit} bytes here", "too-large")
