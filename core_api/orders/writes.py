"""One command as it is written, and its result. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from core_api.orders.admission import Scope
from core_api.orders.channel_entries import LogWrite


class WriteOutcome(Enum):
    """The result of one command of a batch."""

    WRITTEN = "written"
    STALE = "stale"
    """The order is not at the version that the command was decided on."""
    KEY_TAKEN = "key-taken"
    """The idempotency key already has an answer."""
    TABLE_FULL = "table"
    STORE_FULL = "store"
    SUBJECT_FULL = "subject"
    """There is no room for more open orders."""
    RULES_CHANGED = "rules-changed"
    """The store's rules have changed since the command was decided."""

    @property
    def scope(self) -> Scope | None:
        """The scope that has no room; None: the result is a different one."""
        return _SCOPES.get(self)


_SCOPES: Final[dict[WriteOutcome, Scope]] = {
    WriteOutcome.TABLE_FULL: "table",
    WriteOutcome.STORE_FULL: "store",
    WriteOutcome.SUBJECT_FULL: "subject",
}


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The outcome of one command of a batch, and the epoch that it was written in."""

    outcome: WriteOutcome
    epoch: str
    """The epoch that it was written in; "": the database was not asked."""


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """The idempotency key that a command claims, and the answer to keep under it."""

    subject: str
    key: str
    request_hash: bytes
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class OrderWrite:
    """One command of a batch."""

    rows: LogWrite
    shard: int
    claim: KeyClaim | None
    rules: int | None = None
    """The number of the store's rules that it was decided on; None: no rules apply."""

    @property
    def order_id(self) -> str:
        """The order that it is about."""
        return self.rows.change.after.id

    @property
    def store_id(self) -> str:
        """The order's store."""
        return self.rows.change.after.store_id

    @property
    def locks(self) -> tuple[str, ...]:
        """The names of the locks that it needs: its store, and its order."""
        return self.store_id, self.order_id

    @property
    def identities(self) -> tuple[object, ...]:
        """What no two commands of one batch may share: the order, and the key."""
        order_id = self.order_id
        return (order_id, (self.claim.subject, self.claim.key)) if self.claim else (order_id,)
