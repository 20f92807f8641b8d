"""What the ops page shows of the database. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from core_api.webhooks.subscriptions import Standing


class Acknowledged(Struct, frozen=True):
    """The acknowledgement of an alert."""

    by: str
    """The subject of the token."""
    at_ms: int
    """By the database's clock."""


class Contact(Struct, frozen=True):
    """Whom to phone in a store: its document `contact`."""

    name: str = ""
    phone: str = ""


class Waiting(Struct, frozen=True):
    """How much waits in the outbox."""

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
    contact: Contact | None = None
    """null: the store has not said whom to phone."""
    acknowledged: Acknowledged | None = None

    @property
    def alert(self) -> str:
        """The name by which it is acknowledged."""
        return f"{self.kind}:{self.store_id}"


class Overview(Struct, frozen=True):
    """All that the ops page reads from Postgres, at one moment."""

    at: datetime
    outbox: Waiting
    modes: dict[str, int]
    """Devices seen lately, by mode."""
    late: list[LateStore]
    """The longest waiting first."""
    acknowledged: Mapping[str, Acknowledged] = field(default_factory=dict)
    """By the alerts' names; also of alerts that have ended."""
    webhooks: Standing | None = None
    """null: not known."""

    @property
    def at_ms(self) -> int:
        """The moment, in milliseconds since the Unix epoch, by the database's clock."""
        return round(self.at.timestamp() * 1000)
