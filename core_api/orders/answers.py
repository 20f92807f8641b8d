"""The answers of the write path, for the caller and for an idempotency key. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from client_sdk.contract.json_decoding import decode
from client_sdk.contract.order import Order
from core_api.access.callers import Caller
from core_api.errors import IdempotencyMismatchError
from core_api.orders.channel_entries import LogWrite
from core_api.orders.idempotency import Idempotency, KeptResponse
from core_api.orders.lifecycle import table_view
from core_api.orders.writes import KeyClaim


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a command: the order as the caller may see it."""

    status: int
    """201 when placed, else 200; a replayed answer has the status of the first one."""
    order_id: str
    body: bytes
    version: int
    epoch: str
    """The epoch of the version: after a restore another version may have its number."""
    replayed: bool = False
    """Whether an earlier request with the same key was answered again."""


def visible(caller: Caller, order: Order) -> Order:
    """The order as the caller may see it."""
    return order if caller.sees_owner_fields else table_view(order)


def answer_body(caller: Caller, write: LogWrite) -> str:
    """What was written, as JSON, as the caller may see it."""
    if caller.sees_owner_fields or write.table_view is None:
        return write.owner_view
    return write.table_view


def claim_of(
    idempotency: Idempotency | None, request_hash: bytes, status: int, body: str
) -> KeyClaim | None:
    """The answer to keep under the request's key.

    Args:
        idempotency: the key and whose it is; None: the request has none.
        request_hash: what a retry must have.
        status: of the answer.
        body: of the answer.
    """
    if idempotency is None:
        return None
    return KeyClaim(idempotency.subject, idempotency.key, request_hash, status, body)


def again(kept: KeptResponse, epoch: str, request_hash: bytes) -> Written:
    """The kept answer, if the request has this hash.

    Args:
        kept: the answer.
        epoch: of the log that it was found in.
        request_hash: what the request must have.

    Raises:
        IdempotencyMismatchError: it was kept for another request.
    """
    if kept.request_hash != request_hash:
        raise IdempotencyMismatchError(
            "this Idempotency-Key came with another request before: use a new key for a new "
            "request, and send a retry unchanged"
        )
    body = kept.body.encode()
    version = decode(_order, body).version
    return Written(kept.status, kept.order_id, body, version, epoch, replayed=True)


_order: Final = msgspec.json.Decoder(Order)
