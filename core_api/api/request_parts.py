"""What Core's routes read from a request: each part is parsed, or refused with its name."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Generic, TypeVar

import msgspec
from starlette.requests import Request

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.device import DeviceReport, parse_device
from client_sdk.contract.errors import ChannelError, DeviceError
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.text import is_id, is_order_id, shown, time_of
from core_api.access.callers import Caller
from core_api.api.parameters import ETAG_PATTERN, UPDATED_AT
from core_api.errors import BadRequestError, InvalidError, NotFoundError
from core_api.http.bodies import MAX_BODY_BYTES, read_request_body
from core_api.orders.idempotency import Idempotency, parse_key
from core_api.orders.lifecycle import Seen

T = TypeVar("T")

_ETAG: Final = re.compile(ETAG_PATTERN)


class JsonBody(Generic[T]):
    """The body of a request: JSON of one type.

    Args:
        type_: what it is decoded to, and described as.
        limit: how many bytes it may have.
    """

    def __init__(self, type_: type[T], limit: int = MAX_BODY_BYTES) -> None:
        self.type = type_
        self._decoder = msgspec.json.Decoder(type_)
        self._limit = limit

    async def read(self, request: Request) -> T:
        """The body of this request.

        Raises:
            BadRequestError: it is too large, or not JSON.
            InvalidError: it breaks a rule.
        """
        return decoded(self._decoder, await read_request_body(request, self._limit))


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The body as the decoder's type.

    Raises:
        BadRequestError: it is not JSON.
        InvalidError: it breaks a rule.
    """
    try:
        return decode(decoder, body)
    except msgspec.ValidationError as error:
        raise InvalidError(str(error)) from error
    except msgspec.DecodeError as error:
        raise BadRequestError(f"the body is not JSON in UTF-8: {error}", "bad-json") from error


def idempotency_of(caller: Caller, request: Request) -> Idempotency | None:
    """The Idempotency-Key, which is the caller's own.

    Raises:
        BadRequestError: it is malformed.
    """
    text = request.headers.get("idempotency-key")
    if text is None:
        return None
    return Idempotency(f"{caller.role}:{caller.subject}", parse_key(text))


def order_id_of(request: Request) -> str:
    """The order that the path names.

    Raises:
        NotFoundError: it is malformed, so there is no such order.
    """
    order_id: str = request.path_params["id"]
    if not is_order_id(order_id):
        raise NotFoundError(f"there is no order {shown(order_id)} that this token may see")
    return order_id


def store_of(request: Request) -> str:
    """The store that the path names.

    Raises:
        BadRequestError: it is malformed.
    """
    try:
        return parse_channel(f"store:{request.path_params['id']}").root
    except ChannelError as error:
        raise BadRequestError(str(error), "bad-channel") from error


def table_of(request: Request) -> Channel:
    """The table that the path names, as the channel of its orders.

    Raises:
        BadRequestError: it is malformed.
    """
    names = request.path_params
    try:
        return parse_channel(f"table:{names['id']}/{names['table']}")
    except ChannelError as error:
        raise BadRequestError(str(error), "bad-channel") from error


def device_id_of(request: Request) -> str:
    """The registered device that the path names.

    Raises:
        BadRequestError: it is malformed.
    """
    device_id: str = request.path_params["device"]
    if not is_id(device_id):
        raise BadRequestError(f"{shown(device_id)} is no device: use 1 to 64 of A-Z a-z 0-9 _ . -")
    return device_id


def webhook_id_of(request: Request) -> str:
    """The webhook that the path names.

    Raises:
        BadRequestError: it is malformed.
    """
    webhook_id: str = request.path_params["webhook"]
    if not is_id(webhook_id):
        raise BadRequestError(f"{shown(webhook_id)} is no webhook: 1 to 64 of A-Z a-z 0-9 _ . -")
    return webhook_id


def device_of(text: str | None) -> DeviceReport | None:
    """What the device's header reports.

    Raises:
        BadRequestError: it is malformed.
    """
    try:
        return None if text is None else parse_device(text)
    except DeviceError as error:
        raise BadRequestError(str(error)) from error


def seen_of(request: Request) -> Seen:
    """The version that the command was made on, as If-Match and the time beside it name it.

    Raises:
        BadRequestError: one of them is malformed.
    """
    return Seen(_version_of(request.headers.get("if-match")), _updated_at_of(request))


def _version_of(text: str | None) -> int | None:
    if text is None or text == "*":
        return None
    match = _ETAG.fullmatch(text)
    if match is None:
        raise BadRequestError('If-Match must be the version as its ETag gave it, such as "3"')
    return int(match[1])


def _updated_at_of(request: Request) -> datetime | None:
    text = request.headers.get(UPDATED_AT)
    if text is None:
        return None
    at = time_of(text)
    if at is None:
        raise BadRequestError(
            f"{UPDATED_AT} must be the order's updated_at as Core gave it, "
            "such as 2026-11-22T09:30:00.123456Z"
        )
    return at
