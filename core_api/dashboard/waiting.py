"""What the ops page shows of the database. Pure."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Waiting(Struct, frozen=True):
    """The outbox."""

    rows: int
    """100001: more than 100,000."""
    age_s: float
    """Of its oldest row; 0 when it is empty."""


class LateStore(Struct, frozen=True):
    """A store with orders that nobody has received, or nobody has accepted, in time."""

    kind: str
    store_id: str
    orders: int
    waiting_s: float
    """Of the oldest of them."""
    order_id: str
    """The oldest of them."""


class Overview(Struct, frozen=True):
    """All of it, at one moment."""

    at: datetime
    outbox: Waiting
    modes: dict[str, int]
    """Devices seen lately, by mode."""
    late: list[LateStore]
    """The longest waiting first."""
