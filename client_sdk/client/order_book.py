"""The order book: the open orders of each channel as they stand now, and their digest. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec import UNSET

from client_sdk.contract.digest import EMPTY, order_hash
from client_sdk.contract.order import Order, OrderEvent

ChangeKind = Literal["added", "updated", "removed"]


@dataclass(frozen=True, slots=True)
class BookChange:
    """One order of the book has changed; `order` is None if a reset removed it."""

    kind: ChangeKind
    channel: str
    order_id: str
    order: Order | None


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The result of a merge, in numbers of orders."""

    added: int
    updated: int
    duplicates: int


Observer = Callable[[BookChange], None]


MAX_CLOSED: Final = 1000
"""How many closed orders a channel remembers. The digest check would find an older one's return."""


@dataclass(slots=True)
class _Digests:
    """Both digests of one channel's open orders."""

    versions: int = EMPTY
    _contents: int = EMPTY
    _unknown: int = 0
    """The ids of orders whose content hash is unknown, as they did not come from the network."""
    _uncounted: dict[str, Order] = field(default_factory=dict)
    """Orders, by id, that are not in the content digest yet. Most are replaced before it is needed,
    and hashing an order takes several times as long as decoding it."""

    def put(self, order: Order) -> None:
        """Add the order to the digests."""
        self.versions ^= order_hash(order.id, order.version)
        self._uncounted[order.id] = order

    def remove(self, order: Order) -> None:
        """Remove the order from the digests by a second XOR."""
        self.versions ^= order_hash(order.id, order.version)
        if self._uncounted.pop(order.id, None) is None:
            self._count(order, -1)

    def contents(self) -> int | None:
        """The content digest; None: the content of an order is not known."""
        while self._uncounted:
            self._count(self._uncounted.popitem()[1], 1)
        return None if self._unknown else self._contents

    def _count(self, order: Order, sign: Literal[1, -1]) -> None:
        content = order.content
        if content is None:
            self._unknown += sign
        else:
            self._contents ^= content


class OrderBook:
    """The open orders of every channel that the client follows.

    An older version never overwrites a newer one, and a late event does not reopen a closed order.
    Observers get one call per change, after the book has changed. If one raises, the book is
    changed all the same and the other observers are called; then the call that changed the book
    raises the error.
    """

    def __init__(self) -> None:
        self._channels: dict[str, dict[str, Order]] = {}
        self._digests: dict[str, _Digests] = {}
        self._closed: dict[str, OrderedDict[str, int]] = {}
        self._observers: list[Observer] = []
        self._changes: list[BookChange] = []

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` for each change from now on. Returns the unsubscriber."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def apply(self, event: OrderEvent) -> bool:
        """Apply an event. Returns whether the book changed."""
        changed = self._put(event.channel, event.data)
        self._tell()
        return changed

    def replace(self, channel: str, orders: Iterable[Order]) -> None:
        """Replace the channel's open orders by these."""
        fresh = {order.id: order for order in orders}
        self._closed.pop(channel, None)
        for gone in [key for key in self._channels.get(channel, {}) if key not in fresh]:
            self._remove(channel, gone, None)
        for order in fresh.values():
            self._put(channel, order, force=True)
        self._tell()

    def merge(self, channel: str, orders: Iterable[Order]) -> MergeResult:
        """Add orders of any version; the book's own ones stay if they are newer."""
        added = updated = duplicates = 0
        for order in orders:
            known = order.id in self._channels.get(channel, {})
            if not self._put(channel, order):
                duplicates += 1
            elif known:
                updated += 1
            else:
                added += 1
        self._tell()
        return MergeResult(added, updated, duplicates)

    def digest(self, channel: str) -> int:
        """The older digest of the channel's open orders, to be compared with Core's at the head."""
        return self._digests.get(channel, _Digests()).versions

    def content_digest(self, channel: str) -> int | None:
        """The content digest of the channel's open orders, to be compared with Core's at the head.

        None: an order of the channel did not come from the network, so the digest is not known.
        """
        return self._digests.get(channel, _Digests()).contents()

    def get(self, order_id: str) -> Order | None:
        """An open order by its id."""
        found: Order | None = None
        for channel in sorted(self._channels):
            found = _better(found, self._channels[channel].get(order_id))
        return found

    def has_taken(self, order_id: str, version: int) -> bool:
        """Whether the book has had this version of the order or a later one, open or closed."""
        found = self.get(order_id)
        if found is not None and found.version >= version:
            return True
        return any(closed.get(order_id, 0) >= version for closed in self._closed.values())

    def by_table(self, store_id: str, table_id: str | None) -> list[Order]:
        """The open orders of one table, oldest first."""
        return [o for o in self if (o.store_id, o.table_id) == (store_id, table_id)]

    def by_status(self, *statuses: str) -> list[Order]:
        """The open orders in these statuses, oldest first."""
        return [order for order in self if order.status in statuses]

    def in_channel(self, channel: str) -> list[Order]:
        """The channel's open orders, oldest first."""
        return sorted(self._channels.get(channel, {}).values(), key=_age)

    def __iter__(self) -> Iterator[Order]:
        # An order in two channels is one order.
        seen: dict[str, Order] = {}
        for channel in sorted(self._channels):
            for key, order in self._channels[channel].items():
                seen[key] = _better(seen.get(key), order) or order
        return iter(sorted(seen.values(), key=_age))

    def __len__(self) -> int:
        return len({key for orders in self._channels.values() for key in orders})

    def _put(self, channel: str, order: Order, *, force: bool = False) -> bool:
        orders = self._channels.setdefault(channel, {})
        known = orders.get(order.id)
        closed = self._closed.get(channel)
        if closed is not None and closed.get(order.id, 0) >= order.version:
            return False
        if known is not None and known.version >= order.version and not force:
            return False
        if known is not None and known == order and known.content == order.content:
            return False
        if not order.is_open:
            self._bury(channel, order)
            return self._remove(channel, order.id, order)
        self._keep(channel, known, order)
        kind: ChangeKind = "added" if known is None else "updated"
        self._changes.append(BookChange(kind, channel, order.id, order))
        return True

    def _keep(self, channel: str, known: Order | None, order: Order) -> None:
        digests = self._digests.setdefault(channel, _Digests())
        if known is not None:
            digests.remove(known)
        self._channels[channel][order.id] = order
        digests.put(order)

    def _remove(self, channel: str, order_id: str, final: Order | None) -> bool:
        known = self._channels.get(channel, {}).pop(order_id, None)
        if known is None:
            return False
        self._digests[channel].remove(known)
        self._changes.append(BookChange("removed", channel, order_id, final))
        return True

    def _bury(self, channel: str, order: Order) -> None:
        closed = self._closed.setdefault(channel, OrderedDict())
        closed[order.id] = order.version
        if len(closed) > MAX_CLOSED:
            closed.popitem(last=False)

    def _tell(self) -> None:
        changes, self._changes = self._changes, []
        failed: Exception | None = None
        for change in changes:
            for observer in tuple(self._observers):
                try:
                    observer(change)
                except Exception as error:
                    failed = failed or error
        if failed is not None:
            raise failed


def _better(one: Order | None, other: Order | None) -> Order | None:
    """The newer of two channels' views of an order; at the same version the owner's."""
    if one is None or other is None:
        return one or other
    if one.version != other.version:
        return max(one, other, key=lambda order: order.version)
    return one if one.placed_by is not UNSET else other


def _age(order: Order) -> tuple[str, str]:
    return order.created_at.isoformat(), order.id
