"""Which printer prints which part of an order's change, by the store's document `printing`. Pure.

A printer prints an order when it reaches or passes one of the printer's statuses. From then on it
also prints changes of its items, a notice if the order was cancelled or rejected, and a notice that
its ticket is void if the order was taken back. An item that no station lists is printed at every
station: a dish that is printed twice is noticed, one that is not printed at all is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from client_sdk.contract.order import ENDED_EARLY, STATUSES, Item, Order
from core_api.store_rules.sold_out_or_closed import same_name

TicketKind = Literal["order", "change", "cancel", "back"]
Language = Literal["ko", "en"]
Media = Literal["picture", "text"]

PRINTING: Final = "printing"
"""The key of the store's document in `team:{store}`."""
MAX_PRINTERS: Final = 20
MAX_COPIES: Final = 5
_RANK: Final[dict[str, int]] = {
    status: rank for rank, status in enumerate(one for one in STATUSES if one not in ENDED_EARLY)
}
PRINTED_STATUSES: Final = tuple(_RANK)
"""The statuses that a printer may print at; it always prints cancelled and rejected orders."""


class Printer(Struct, frozen=True):
    """One printer's settings: what it prints, and how."""

    statuses: list[str]
    stations: list[str] | None = None
    """The stations whose items it prints; None: all items."""
    copies: int = 1
    language: Language = "ko"
    columns: int = 42
    """How many letters fit on a line."""
    max_age_s: int = 900
    """How old a job may be to be printed without a person's request, in seconds."""
    media: Media = "picture"
    """`text` if the printer has a Korean font of its own."""


class Printing(Struct, frozen=True):
    """The value of the document."""

    printers: dict[str, Printer] = {}
    """By the device's id."""
    stations: dict[str, list[str]] = {}
    """The names of the items that each station makes."""
    time_zone: str = "Asia/Seoul"
    """An IANA name, for the times on paper."""


class ChangeTicket(Struct, frozen=True):
    """The ticket of one change."""

    kind: TicketKind
    items: list[Item]
    """The items that this printer prints, as they are now."""
    before: list[Item]
    """The same, as they were."""


def printing_of(value: Mapping[str, Any] | None) -> Printing:
    """Read the document, which fits its schema; None: there is none."""
    return msgspec.convert(value or {}, Printing)


def ticket_of(
    printing: Printing, printer: Printer, before: Order | None, after: Order
) -> ChangeTicket | None:
    """The ticket that the printer prints for a change; None: it prints nothing.

    Args:
        printing: of the store.
        printer: one of its printers.
        before: the order before; None: it is new, or that version is not kept any more.
        after: the order after.
    """
    items = _printed(printing, printer, after.items)
    had = [] if before is None else _printed(printing, printer, before.items)
    if after.status not in _RANK:
        is_known = before is not None and _has_reached(printer, before.status)
        return ChangeTicket("cancel", had, had) if is_known and had and not after.is_open else None
    if not _has_reached(printer, after.status):
        # Taken back to before the printer's first status: the printed ticket is void.
        is_known = before is not None and _has_reached(printer, before.status)
        return ChangeTicket("cancel", had, had) if is_known and had else None
    if before is None:
        is_new = after.version == 1 or after.status in printer.statuses
        return ChangeTicket("order", items, []) if is_new and items else None
    if not _has_reached(printer, before.status) or _passes(printer, before.status, after.status):
        return ChangeTicket("order", items, []) if items else None
    if _passes(printer, after.status, before.status):
        # The order is still open, but its ticket comes again when it reaches the status again.
        return ChangeTicket("back", had, had) if had else None
    if (items, before.note) == (had, after.note) or not (items or had):
        return None
    return ChangeTicket("change", items, had)


def _has_reached(printer: Printer, status: str) -> bool:
    rank = _RANK.get(status)
    firsts = [_RANK[one] for one in printer.statuses if one in _RANK]
    return rank is not None and bool(firsts) and rank >= min(firsts)


def _passes(printer: Printer, before: str, after: str) -> bool:
    return any(
        _RANK.get(before, -1) < _RANK[status] <= _RANK[after]
        for status in printer.statuses
        if status in _RANK
    )


def _printed(printing: Printing, printer: Printer, items: Sequence[Item]) -> list[Item]:
    if printer.stations is None:
        return list(items)
    stations = {name: {same_name(i) for i in names} for name, names in printing.stations.items()}
    own = set[str]().union(*(stations.get(name, set()) for name in printer.stations))
    anybodys = set[str]().union(*stations.values())
    return [item for item in items if (name := same_name(item.name)) in own or name not in anybodys]
