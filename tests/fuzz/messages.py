"""Targets for JSON: what clients send to Core, what a server sends to a client, commands."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from client_sdk.contract.sse import SseEvent
from client_sdk.contract.sync import decode_sync
from client_sdk.transport.stream_events import input_of
from core_api.api.request_parts import decoded
from core_api.errors import BadRequestError, InvalidError
from core_api.ingest.inbound_commands import decode_command
from core_api.orders.lifecycle import PlaceOrder
from core_api.sync.request import SyncBody, request_of
from tests.fuzz.names import hold

_BODY = msgspec.json.Decoder(SyncBody)
_PLACE = msgspec.json.Decoder(PlaceOrder)


def sync_body(data: bytes) -> None:
    """The body of `POST /v1/sync`, and of an order, is refused or asks within the limits."""
    with suppress(BadRequestError, InvalidError):
        hold(request_of(decoded(_BODY, data)))
    try:
        order = decoded(_PLACE, data)
    except (BadRequestError, InvalidError):
        return
    assert "\x00" not in str(order)
    assert order.items


def command(data: bytes) -> None:
    """A command from Kafka is refused with a reason, or is valid."""
    try:
        found = decode_command(data)
    except (BadRequestError, InvalidError):
        return
    assert found.caller.role == "producer"
    assert found.idempotency.key.isascii()


def sync_answer(data: bytes) -> None:
    """A client decodes an answer, or raises one of the errors that it knows."""
    try:
        answer = decode_sync(data)
    except (msgspec.DecodeError, ValueError):
        return
    assert decode_sync(msgspec.json.encode(answer)) == answer


def signal(data: bytes) -> None:
    """A client decodes an event of a stream to an input or nothing, or raises a known error."""
    kind, _, text = data.partition(b"\x00")
    event = SseEvent(kind.decode("utf-8", "replace"), text.decode("utf-8", "replace"), "")
    try:
        input_of(1, event)
    except (msgspec.DecodeError, ValueError):
        return
