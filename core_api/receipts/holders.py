"""Which devices and which printed tickets show one order. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from client_sdk.contract.device import DeviceMode

SEEN_WITHIN_S: Final = 24 * 3600.0
"""A device that was not seen for longer is left out: it will not show the order."""

Holding = Literal["seen", "received", "sent", "waiting"]
OnPaper = Literal["printed", "queued", "sent", "doubtful", "failed"]
_TELLING: Final[tuple[OnPaper, ...]] = ("failed", "doubtful", "sent", "queued")
"""The states of jobs by importance to a person: of several jobs of an order the first is shown."""


class Holder(Struct, frozen=True):
    """One device of the order's store."""

    device: str
    subject: str
    """Of the token that it syncs with."""
    state: Holding
    """`seen`: it has shown the order to a person; `received`: it has said that it has applied the
    order; `sent`: it follows the store, so it has been sent it or is about to be; `waiting`: it
    does not follow the store now."""
    mode: DeviceMode
    last_seen: datetime
    seen_at: datetime | None
    """When it first showed the order; null: not reported."""


class OrderPrinter(Struct, frozen=True):
    """One printer that has a ticket of the order, or had one."""

    device: str
    state: OnPaper
    """`printed`: all its tickets are on paper; else that of the ticket that is not: `queued`,
    `sent` (to the printer), `doubtful` (on paper or not), `failed` (it waits for a person)."""
    printed_at: datetime | None
    """When a ticket of the order last came out; null: none has."""


class OrderDevices(Struct, frozen=True):
    """The answer of `GET /v1/orders/{id}/devices`."""

    devices: list[Holder]
    """The last seen first."""
    printers: list[OrderPrinter]
    """By name."""


class PrintSeen(Struct, frozen=True):
    """A job of the order, or the record of a deleted one."""

    device: str
    state: OnPaper | Literal["done"] | None
    """The job's state; None: the job was deleted."""
    waits: bool
    """Whether it waits for a person."""
    printed_at: datetime | None


def holding(mode: DeviceMode, applied: int, seq: int | None, shown_at: datetime | None) -> Holding:
    """Whether a device has an order.

    Args:
        mode: how it received events when it was last heard of.
        applied: the seq up to which it has applied the store's channel.
        seq: of the event that placed the order; None: the log no longer has it.
        shown_at: when it showed the order; None: not yet.
    """
    if shown_at is not None:
        return "seen"
    if applied and (seq is None or applied >= seq):
        return "received"
    return "sent" if mode in ("live", "polling") else "waiting"


def printers_of(jobs: Iterable[PrintSeen]) -> list[OrderPrinter]:
    """The state of an order on each printer. Tickets that a person has dropped are ignored; a
    printer with no others is left out."""
    open_: dict[str, list[OnPaper]] = {}
    printed: dict[str, datetime | None] = {}
    for job in jobs:
        if job.printed_at is not None or job.state == "done":
            printed[job.device] = job.printed_at
        if job.state == "failed" and not job.waits:
            continue
        if job.state in _TELLING:
            open_.setdefault(job.device, []).append(job.state)
    return [
        OrderPrinter(
            device,
            min(open_.get(device, ()), key=_TELLING.index, default="printed"),
            printed.get(device),
        )
        for device in sorted(open_.keys() | printed.keys())
    ]
