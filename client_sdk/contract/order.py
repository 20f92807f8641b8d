"""An order as the wire carries it, and the event that tells of its change.

`Order` is the resource of Core's HTTP API, the `data` of an event and the element of a snapshot.
`guest` and `placed_by` are the owner's fields: a table's view leaves the keys out altogether.
Unknown keys are ignored on reading, so that Core may add fields without breaking a client; an
unknown status is taken as it is, and `open` says whether an order in it is over.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.digest import content_hash
from client_sdk.contract.json_decoding import decode, reader

OrderStatus = Literal[
    "placed", "accepted", "rejected", "preparing", "ready", "served", "paid", "cancelled"
]
"""In the order in which orders pass them."""
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
"""An order in one of these was not carried out to its end."""
CLOSED_STATUSES: Final[frozenset[str]] = ENDED_EARLY | {"paid"}
"""An order in one of these is over: it is in no snapshot and in no digest."""

EPOCH_HEADER: Final = "yabam-epoch"
"""The header of Core's answer that names the log that an order's version is of."""

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
    """One of `STATUSES`, or one that only a newer Core knows."""
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
    open: bool | UnsetType = UNSET
    """Whether it still stands in snapshots and digests; Core before this field left it out."""
    guest: Guest | UnsetType | None = UNSET
    placed_by: str | UnsetType = UNSET

    @property
    def is_open(self) -> bool:
        """Whether the order still stands in snapshots and digests."""
        return self.status not in CLOSED_STATUSES if self.open is UNSET else self.open

    @property
    def content(self) -> int | None:
        """What it adds to the content digest; None: it was not read from the wire in this form.

        That of an event's order is worked out when it is first asked for: most are replaced by the
        next event before anybody asks.
        """
        event = self.__dict__.pop("_event", None)
        if event is not None:
            keep_content(self, decode(_content_decoder, event).data)
        return self.__dict__.get("_content")


class OrderEvent(Struct, frozen=True):
    """One event of one channel: the whole order as it stood after the change.

    `type` is one of `EventType`, or one that only a newer Core knows.
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
    """An event with its order as the text that was received."""

    data: msgspec.Raw


decode_order: Final = reader(Order)
_event_decoder: Final = msgspec.json.Decoder(OrderEvent)
_content_decoder: Final = msgspec.json.Decoder(EventContent)


def keep_content(order: Order, received: msgspec.Raw) -> None:
    """Note what the order adds to the content digest, from its JSON as it was received.

    An order with something that no order has, such as a fraction, is in no digest.
    """
    with suppress(msgspec.DecodeError):
        order.__dict__["_content"] = content_hash(received)


def decode_event(data: bytes | str) -> OrderEvent:
    """Read an event from its JSON.

    Raises:
        msgspec.DecodeError: not JSON, or (as its subclass ValidationError) not an event.
    """
    event = decode(_event_decoder, data)
    event.data.__dict__["_event"] = data
    return event
