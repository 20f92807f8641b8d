"""An order in messages, and the event of its change.

`Order` is the resource of Core's HTTP API, the `data` of an event and the element of a snapshot.
Only the owner sees `guest` and `placed_by`: a table's view does not have these keys.
Unknown keys are ignored on reading, so that Core may add fields without breaking a client. An
unknown status is kept, and `open` says whether the order is still open.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.digest import content_hash
from client_sdk.contract.json_decoding import reader

OrderStatus = Literal[
    "placed", "accepted", "rejected", "preparing", "ready", "served", "paid", "cancelled"
]
"""In the sequence in which an order passes through them."""
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
    "order.recalled",
]
"""The types of events that this version knows; a newer Core may send others."""

STATUSES: Final[tuple[OrderStatus, ...]] = get_args(OrderStatus)
"""The statuses that this version knows; a newer Core may send others."""
ENDED_EARLY: Final[frozenset[str]] = frozenset({"rejected", "cancelled"})
"""An order in one of these was not completed."""
CLOSED_STATUSES: Final[frozenset[str]] = ENDED_EARLY | {"paid"}
"""An order in one of these is closed: it is in no snapshot and in no digest."""

EPOCH_HEADER: Final = "yabam-epoch"
"""The header of Core's answer with the epoch of the log that an order's version belongs to."""

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


class Order(Struct, frozen=True, dict=True):
    """One order at one version, as one channel may see it."""

    id: str
    store_id: str
    table_id: str | None
    status: str
    """One of `STATUSES`, or a status of a newer Core."""
    version: int
    """1 when placed; each event of this order adds 1."""
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
    items: list[Item]
    total: int
    note: str
    reference: str | None
    """The producer's own number for the order, if it gave one."""
    reason: str | None
    """Why it was rejected or cancelled, if a reason was given."""
    created_at: datetime
    updated_at: datetime
    open: bool | UnsetType = UNSET
    """Whether it is in snapshots and digests; UNSET: from a Core without this field."""
    guest: Guest | UnsetType | None = UNSET
    placed_by: str | UnsetType = UNSET

    @property
    def is_open(self) -> bool:
        """Whether the order is in snapshots and digests."""
        return self.status not in CLOSED_STATUSES if self.open is UNSET else self.open

    @property
    def content(self) -> int | None:
        """Its hash in the content digest; None: it was not decoded from a message in this form.

        The hash of an event's order is computed on first use: most orders are replaced by the next
        event before.
        """
        event = self.__dict__.pop("_event", None)
        if event is not None:
            keep_content(self, _content_decoder(event).data)
        return self.__dict__.get("_content")


class OrderEvent(Struct, frozen=True):
    """One event of one channel: the whole order after the change.

    `type` is one of `EventType`, or a type of a newer Core.
    """

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


class EventContent(Struct, frozen=True):
    """An event with its order as the received text."""

    data: msgspec.Raw


decode_order: Final = reader(Order)
_event_decoder: Final = reader(OrderEvent)
_content_decoder: Final = reader(EventContent)


def keep_content(order: Order, received: msgspec.Raw) -> None:
    """Set the order's hash for the content digest, from its received JSON.

    An order with an invalid value, such as a fraction, gets no hash.
    """
    with suppress(msgspec.DecodeError):
        order.__dict__["_content"] = content_hash(received)


def decode_event(data: bytes | str) -> OrderEvent:
    """Read an event from its JSON.

    Raises:
        msgspec.DecodeError: not JSON, or (as its subclass ValidationError) not an event.
    """
    event = _event_decoder(data)
    event.data.__dict__["_event"] = data
    return event
