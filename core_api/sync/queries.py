"""The queries of Fetch Sync and their results. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from server_common.limits import GATHERED_ANSWER_BYTES


class PageQuery(NamedTuple):
    """One request's query of one channel: at most `limit` events after `after`."""

    channel: str
    after: int
    limit: int
    room: int = GATHERED_ANSWER_BYTES
    """About how many bytes of them; the first is given in any case."""


class Page(Struct, frozen=True):
    """One channel at one moment, and its events after the cursor, as (seq, body)."""

    head: int
    digest: int
    floor: int
    events: Sequence[tuple[int, str]]
    content: int | None = None
    """The content digest; None: it is not known now."""

    @property
    def size(self) -> int:
        """About how many bytes its events have."""
        return sum([len(body) for _, body in self.events]) if self.events else 0


class SnapshotQuery(NamedTuple):
    """One request's query of a channel's open orders, or of its documents."""

    channel: str
    store_id: str
    table_id: str | None
    most: int
    """At most so many."""
    after: UUID | None
    """Those after this order, by id; None: from the first."""
    since: int | None
    """Also return which orders or documents have an event after this seq."""
    room: int = GATHERED_ANSWER_BYTES
    """About how many bytes of them; the first is given in any case."""


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """Open orders of one channel as JSON, sorted by id, and the head that they are valid at; for a
    channel of documents, these instead."""

    head: int
    digest: int
    orders: Sequence[str]
    floor: int = 0
    ids: Sequence[UUID | str] = ()
    """Of each order its id, of each document its key."""
    changed: frozenset[UUID | str] = frozenset()
    cut: bool = False
    """There are more after these."""
    content: int | None = None
    """The content digest; None: it is not known now."""
    true_at: int | None = None
    """The head that the orders are true at, where it is not `head`."""

    @property
    def size(self) -> int:
        """About how many bytes its orders have."""
        return sum(len(order) for order in self.orders)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a statement read, by the database's clock, and in which epoch."""

    epoch: str
    unix_s: float
