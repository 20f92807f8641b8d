"""The life of an order: the commands, the allowed transitions, and who sees which fields.

Pure. `NEXT` is the only table of allowed transitions; all other code uses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from client_sdk.contract.digest import MAX_INTEGER
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.order import (
    CLOSED_STATUSES,
    ENDED_EARLY,
    EventType,
    MinorUnits,
    Order,
    OrderStatus,
)
from client_sdk.contract.order import Guest as WireGuest
from client_sdk.contract.order import Item as WireItem
from client_sdk.contract.text import ID_PATTERN, TEXT_PATTERN, time_text, whole
from core_api.errors import ImpossibleTransitionError, InvalidError, StaleVersionError

NEXT: Final[dict[OrderStatus, tuple[OrderStatus, ...]]] = {
    "placed": ("accepted", "rejected", "cancelled"),
    "accepted": ("preparing", "ready", "cancelled"),
    "preparing": ("ready", "cancelled"),
    "ready": ("served", "cancelled"),
    "served": ("paid",),
    "paid": (),
    "rejected": (),
    "cancelled": (),
}
"""The statuses that may follow each status."""

BACK: Final[dict[OrderStatus, tuple[OrderStatus, ...]]] = {
    status: tuple(before for before, after in NEXT.items() if status in after) for status in NEXT
}
"""The statuses to which an owner may take an order back: those that have a step to its status."""

CHANGEABLE: Final[frozenset[str]] = frozenset({"placed", "accepted", "preparing"})
"""While an order is in one of these, its items and note may be changed."""

GROWING: Final[frozenset[EventType]] = frozenset({"order.placed", "order.changed"})
"""Commands that can make an order larger by more than a reason; lack of room refuses only these."""

MAX_ITEMS: Final = 200

_TEXT: Final = whole(TEXT_PATTERN)
StoreId = Annotated[str, Meta(pattern=whole(ID_PATTERN), description="The store's id.")]
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=_TEXT)]
Note = Annotated[str, Meta(max_length=500, pattern=_TEXT)]
Target = Literal["accepted", "rejected", "preparing", "ready", "served", "paid", "cancelled"]
RecallTarget = Literal["placed", "accepted", "preparing", "ready", "served"]


class NewItem(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of an order; `unit_price` in minor units of the order's currency."""

    name: Line
    quantity: Annotated[int, Meta(ge=1, le=999)]
    unit_price: MinorUnits
    note: Note = ""


class NewGuest(Struct, frozen=True, forbid_unknown_fields=True):
    """The guest who orders; only the owner sees it."""

    name: Annotated[str, Meta(max_length=200, pattern=_TEXT)] = ""
    phone: Annotated[str, Meta(max_length=40, pattern=_TEXT)] = ""


Items = Annotated[list[NewItem], Meta(min_length=1, max_length=MAX_ITEMS)]


@dataclass(frozen=True, slots=True)
class Seen:
    """The version of an order that a command was made on, as far as its author gives it."""

    version: int | None = None
    """Its number; None: any."""
    updated_at: datetime | None = None
    """When it was made; None: any time. After a restore of the database a lost version's number may
    be used again, but never its time."""


ANY_VERSION: Final = Seen()
"""For a command that depends on no version."""


class PlaceOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Place an order, at a table or (without `table_id`) at the counter."""

    store_id: StoreId
    currency: Annotated[str, Meta(pattern=whole("[A-Z]{3}"), description="ISO 4217.")]
    items: Items
    table_id: Annotated[str, Meta(pattern=whole(ID_PATTERN))] | None = None
    note: Note = ""
    reference: Annotated[str, Meta(min_length=1, max_length=100, pattern=_TEXT)] | None = None
    guest: NewGuest | None = None


class Transition(Struct, frozen=True, forbid_unknown_fields=True):
    """Take an order one step further; `reason` says why it is rejected or cancelled."""

    to: Target
    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=_TEXT)] | None = None


class Recall(Struct, frozen=True, forbid_unknown_fields=True):
    """Take an order one step back, as after a wrong press; a closed order is open again."""

    to: RecallTarget


class ChangeOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Replace an order's items, its note, or both."""

    items: Items | UnsetType = UNSET
    note: Note | UnsetType = UNSET


class OrderChange(Struct, frozen=True):
    """What a command does to an order: its state before (None: it is new) and after."""

    type: EventType
    before: Order | None
    after: Order


def place(command: PlaceOrder, *, order_id: str, placed_by: str, now: datetime) -> OrderChange:
    """A new order at version 1.

    Args:
        command: the order, as it was asked for.
        order_id: its id, which no order has yet.
        placed_by: the subject that places it.
        now: its time; in UTC.

    Raises:
        InvalidError: its total is too large.
    """
    items = _items(command.items)
    guest = command.guest
    order = Order(
        id=order_id,
        store_id=command.store_id,
        table_id=command.table_id,
        status="placed",
        version=1,
        currency=command.currency,
        items=items,
        total=_total(items),
        note=command.note,
        reference=command.reference,
        reason=None,
        created_at=now,
        updated_at=now,
        open=True,
        guest=WireGuest(guest.name, guest.phone) if guest else None,
        placed_by=placed_by,
    )
    return OrderChange("order.placed", None, order)


def check_seen(order: Order, seen: Seen) -> None:
    """Check that the order is at the version that the command was made on.

    Raises:
        StaleVersionError: it is not.
    """
    if seen.version is not None and seen.version != order.version:
        raise StaleVersionError(
            f"If-Match names version {seen.version}, the order is at version {order.version}: "
            "look at it as it stands now and decide again",
            order,
        )
    if seen.updated_at is not None and seen.updated_at != order.updated_at:
        raise StaleVersionError(
            f"the command was made on a version of {time_text(seen.updated_at)}, the order's is of "
            f"{time_text(order.updated_at)}: read it again and decide again",
            order,
        )


def transition(order: Order, command: Transition, *, now: datetime) -> OrderChange:
    """The order one step further.

    Args:
        order: as it stands.
        command: the step.
        now: the time of the step; in UTC.

    Raises:
        ImpossibleTransitionError: the step does not follow the order's status.
        InvalidError: a reason for a step that takes none.
    """
    ahead = following(order)
    if command.to not in ahead:
        raise ImpossibleTransitionError(
            f"the order is {order.status}; what may follow is {_listed(ahead)}", order
        )
    if command.reason is not None and command.to not in ENDED_EARLY:
        raise InvalidError("$.reason: only a rejected or cancelled order has a reason")
    after = replace(
        order,
        status=command.to,
        version=order.version + 1,
        reason=command.reason,
        updated_at=now,
        open=command.to not in CLOSED_STATUSES,
    )
    return OrderChange(_EVENT_OF[command.to], order, after)


def recall(order: Order, command: Recall, *, now: datetime) -> OrderChange:
    """The order one step back, without the reason that it was closed for.

    Args:
        order: as it stands.
        command: the step back.
        now: the time of the step; in UTC.

    Raises:
        ImpossibleTransitionError: there is no step from that status to the order's status.
    """
    behind = _of(BACK, order)
    if command.to not in behind:
        raise ImpossibleTransitionError(
            f"the order is {order.status}; it may be taken back to {_listed(behind)}", order
        )
    after = replace(
        order,
        status=command.to,
        version=order.version + 1,
        reason=None,
        updated_at=now,
        open=True,
    )
    return OrderChange("order.recalled", order, after)


def change(order: Order, command: ChangeOrder, *, now: datetime) -> OrderChange:
    """The order with other items or another note.

    Args:
        order: as it stands.
        command: what replaces its items, its note, or both.
        now: the time of the change; in UTC.

    Raises:
        ImpossibleTransitionError: the order's status no longer permits a change.
        InvalidError: the command changes nothing, or the total becomes too large.
    """
    if order.status not in CHANGEABLE:
        raise ImpossibleTransitionError(
            f"the order is {order.status}; it may be changed while it is "
            f"{_listed(tuple(s for s in NEXT if s in CHANGEABLE))}",
            order,
        )
    if command.items is UNSET and command.note is UNSET:
        raise InvalidError("$: give items, note or both")
    items = order.items if command.items is UNSET else _items(command.items)
    after = replace(
        order,
        items=items,
        total=_total(items),
        note=order.note if command.note is UNSET else command.note,
        version=order.version + 1,
        updated_at=now,
        open=True,
    )
    return OrderChange("order.changed", order, after)


def table_view(order: Order) -> Order:
    """The order as its table may see it: without the owner's fields."""
    return replace(order, guest=UNSET, placed_by=UNSET)


_EVENT_OF: Final[dict[Target, EventType]] = {
    "accepted": "order.accepted",
    "rejected": "order.rejected",
    "preparing": "order.preparing",
    "ready": "order.ready",
    "served": "order.served",
    "paid": "order.paid",
    "cancelled": "order.cancelled",
}


def _items(items: list[NewItem]) -> list[WireItem]:
    return [WireItem(item.name, item.quantity, item.unit_price, item.note) for item in items]


def _total(items: list[WireItem]) -> int:
    total = sum(item.quantity * item.unit_price for item in items)
    if total > MAX_INTEGER:
        raise InvalidError(
            f"$.items: they come to {total}, an order to {MAX_INTEGER} at most: split the order"
        )
    return total


def following(order: Order) -> tuple[OrderStatus, ...]:
    """What may follow; nothing, in a status that only a newer Core knows."""
    return _of(NEXT, order)


def _of(table: dict[OrderStatus, tuple[OrderStatus, ...]], order: Order) -> tuple[OrderStatus, ...]:
    return next((found for status, found in table.items() if status == order.status), ())


def _listed(statuses: tuple[OrderStatus, ...]) -> str:
    return ", ".join(statuses) if statuses else "nothing"


_decoder: Final = msgspec.json.Decoder(Order)


def decode_stored_order(text: str) -> Order:
    """Read an order that Core itself stored."""
    return decode(_decoder, text)
