"""An order as the wire carries it, and the event that tells of its change.

`Order` is the resource of Core's HTTP API, the `data` of an event and the element of a snapshot.
`guest` and `placed_by` are the owner's fields: a table's view leaves the keys out altogether.
Unknown keys are ignored on reading, so that Core may add fields without breaking a client.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.decode import decode

OrderStatus = Literal[
    "placed", "accepted", "rejected", "preparing", "ready", "served", "paid", "cancelled"
]
EventType = Literal[
    "order.placed",
    "order.accepted",
    "order.rejected",
    "order.preparing",
    "order.ready",
    "order.served",
    "order.paid",
    "order.cancelled",
    "order.changed",
]

STATUSES: Final[tuple[OrderStatus, ...]] = get_args(OrderStatus)
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
CLOSED_STATUSES: Final[frozenset[OrderStatus]] = frozenset({"rejected", "paid", "cancelled"})
"""An order in one of these is over: it is in no snapshot and in no digest."""

MinorUnits = Annotated[int, Meta(ge=0, le=10**12)]
"""Money in the currency's minor unit (ISO 4217), never a fraction."""


class Item(Struct, frozen=True):
    """One line of an order."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    quantity: Annotated[int, Meta(ge=1, le=999)]
    unit_price: MinorUnits
    note: Annotated[str, Meta(max_length=500)] = ""


class Guest(Struct, frozen=True):
    """Who ordered; only the owner sees it."""

    name: Annotated[str, Meta(max_length=200)] = ""
    phone: Annotated[str, Meta(max_length=40)] = ""


class Order(Struct, frozen=True):
    """One order at one version, as one channel may see it."""

    id: str
    store_id: str
    table_id: str | None
    status: OrderStatus
    version: int
    """1 when placed, one up at each event of this order."""
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
    items: list[Item]
    total: int
    note: str
    reference: str | None
    """The number the producer knows the order by, if it gave one."""
    reason: str | None
    """Why it was rejected or cancelled, if somebody said so."""
    created_at: datetime
    updated_at: datetime
    guest: Guest | UnsetType | None = UNSET
    placed_by: str | UnsetType = UNSET

    @property
    def is_open(self) -> bool:
        """Whether the order still stands in snapshots and digests."""
        return self.status not in CLOSED_STATUSES


class OrderEvent(Struct, frozen=True):
    """One event of one channel: the whole order as it stood after the change."""

    id: str
    seq: Annotated[int, Meta(ge=0, le=MAX_SEQ)]
    type: str
    occurred_at: datetime
    order_id: str
    order_version: int
    data: Order

    @property
    def channel(self) -> str:
        """The channel that this event is the `seq`-th of."""
        return self.id.rpartition("@")[0]


_order_decoder: Final = msgspec.json.Decoder(Order)
_event_decoder: Final = msgspec.json.Decoder(OrderEvent)


def decode_event(data: bytes | str) -> OrderEvent:
    """Read an event from its JSON.

    Raises:
        msgspec.DecodeError: not JSON, or (as its subclass ValidationError) not an event.
    """
    return decode(_event_decoder, data)


def decode_order(data: bytes | str) -> Order:
    """Read an order from its JSON; raises as `decode_event`."""
    return decode(_order_decoder, data)
