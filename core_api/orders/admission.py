"""The limits of the orders that Core accepts, so that every client can receive them. Pure.

An order has the same limits over HTTP and Kafka; how much may be open at once is counted in the
channels' counter rows (`writing.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from client_sdk.contract.limits import MAX_ORDER_BYTES
from core_api.errors import BadRequestError, TooManyOpenError
from core_api.orders.channel_entries import LogWrite
from core_api.orders.lifecycle import GROWING
from server_common.limits import (
    OPEN_STORE_BYTES,
    OPEN_STORE_ORDERS,
    OPEN_SUBJECT_BYTES,
    OPEN_SUBJECT_ORDERS,
    OPEN_TABLE_BYTES,
    OPEN_TABLE_ORDERS,
)

Scope = Literal["table", "store", "subject"]


@dataclass(frozen=True, slots=True)
class OpenLimits:
    """How many orders, and how many bytes of them, may be open at once."""

    table_orders: int = OPEN_TABLE_ORDERS
    table_bytes: int = OPEN_TABLE_BYTES
    subject_orders: int = OPEN_SUBJECT_ORDERS
    """Of one subject in one store."""
    subject_bytes: int = OPEN_SUBJECT_BYTES
    store_orders: int = OPEN_STORE_ORDERS
    store_bytes: int = OPEN_STORE_BYTES


DEFAULT_OPEN_LIMITS: Final = OpenLimits()


def check_size(write: LogWrite) -> None:
    """Whether the order is small enough for every client.

    A step is never refused for its size: an order older than the limit must not get stuck.

    Raises:
        BadRequestError: it is larger than `MAX_ORDER_BYTES`, and was placed or changed.
    """
    if write.change.type in GROWING and write.owner_bytes > MAX_ORDER_BYTES:
        raise BadRequestError(
            f"the order has {write.owner_bytes} bytes as JSON; at most {MAX_ORDER_BYTES} are "
            "taken: send fewer items, or shorter texts",
            "too-large",
        )


def too_many_open(write: LogWrite, scope: Scope, limits: OpenLimits) -> TooManyOpenError:
    """The refusal of an order for which there is no room.

    Args:
        write: the order that was to be placed, changed or taken back.
        scope: where there is no room.
        limits: how much may be open at once.
    """
    order = write.change.after
    match scope:
        case "table":
            who = f"table {order.table_id} of store {order.store_id}"
            orders, size = limits.table_orders, limits.table_bytes
        case "store":
            who = f"store {order.store_id}"
            orders, size = limits.store_orders, limits.store_bytes
        case "subject":
            who = f"what this token's subject placed in store {order.store_id}"
            orders, size = limits.subject_orders, limits.subject_bytes
    return TooManyOpenError(
        f"{who} has no room for it: at most {orders} orders, and {size} bytes of them, may be open "
        "at once; let some be paid, rejected or cancelled first"
    )
