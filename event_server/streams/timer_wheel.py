"""One timer for all streams: which are due to end, and which get a heartbeat now. Pure.

Time is counted in ticks. Both parts cost a dictionary entry per stream and no timer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """At most one deadline per item; setting it again moves it."""

    def __init__(self) -> None:
        self._due: dict[int, dict[T, None]] = {}
        self._tick_of: dict[T, int] = {}
        self._turned_to = -1
        # The dictionary's own method, because every connect asks.
        self.count: Callable[[], int] = self._tick_of.__len__
        """How many items there are."""

    def __len__(self) -> int:
        return len(self._tick_of)

    def __contains__(self, item: T) -> bool:
        return item in self._tick_of

    def items(self) -> list[T]:
        """All items, in the order in which they came."""
        return list(self._tick_of)

    def tick_of(self, item: T) -> int:
        """The item's deadline."""
        return self._tick_of[item]

    def set(self, item: T, tick: int) -> None:
        """Set the item's deadline; one in the past is due at the next turn."""
        if item in self._tick_of:
            self._remove_from_bucket(item)
        tick = max(tick, self._turned_to + 1)
        self._tick_of[item] = tick
        self._due.setdefault(tick, {})[item] = None

    def discard(self, item: T) -> None:
        """Forget the item; harmless if it is not known."""
        if item in self._tick_of:
            self._remove_from_bucket(item)
            del self._tick_of[item]

    def turn(self, tick: int) -> list[T]:
        """Remove and return all items that are due up to `tick`, the earliest first."""
        due: list[T] = []
        for past in range(self._turned_to + 1, tick + 1):
            for item in self._due.pop(past, ()):
                del self._tick_of[item]
                due.append(item)
        self._turned_to = max(self._turned_to, tick)
        return due

    def _remove_from_bucket(self, item: T) -> None:
        tick = self._tick_of[item]
        bucket = self._due[tick]
        del bucket[item]
        if not bucket:
            del self._due[tick]


class Rota(Generic[T]):
    """Each item's turn comes once in `period` ticks; items are spread over the period."""

    def __init__(self, period: int) -> None:
        self._slots: list[dict[T, None]] = [{} for _ in range(period)]
        self._slot_of: dict[T, int] = {}
        self._turned_to: int | None = None

    def add(self, item: T, slot: int) -> None:
        """Give the item its turn at `slot` of the period."""
        self._slot_of[item] = slot
        self._slots[slot][item] = None

    def discard(self, item: T) -> None:
        """Forget the item; harmless if it is not known."""
        slot = self._slot_of.pop(item, None)
        if slot is not None:
            del self._slots[slot][item]

    def turn(self, tick: int) -> Iterable[T]:
        """All items whose turn came since the last call, up to and with `tick`."""
        period = len(self._slots)
        last = tick - 1 if self._turned_to is None else self._turned_to
        self._turned_to = max(last, tick)
        for past in range(max(last + 1, tick - period + 1), tick + 1):
            yield from list(self._slots[past % period])
