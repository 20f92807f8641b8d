"""When an offset may be committed: once the broker has acknowledged all before it. Pure.

The messages of a record may be acknowledged in any order, and much later than those of later ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)


@dataclass(slots=True, eq=False)
class HeldRecord:
    """A record with messages that are not acknowledged yet."""

    next_offset: int
    size: int
    missing: int = 1
    """Acknowledgements that are missing, plus one while the record is still being read."""


@dataclass(slots=True)
class _Partition:
    held: deque[HeldRecord] = field(default_factory=deque)
    done: int | None = None


class Progress(Generic[P]):
    """Which records of which partitions are processed.

    Args:
        limit: how many records may be held; beyond it no more should be read.
        max_bytes: and so many bytes of them.
    """

    def __init__(self, limit: int, max_bytes: int) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._partitions: dict[P, _Partition] = {}
        self._count = 0
        self._bytes = 0

    @property
    def count(self) -> int:
        """How many records are held."""
        return self._count

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        return self._count < self._limit and self._bytes < self._max_bytes

    @contextmanager
    def reading(self, partition: P, next_offset: int, size: int) -> Iterator[HeldRecord]:
        """Hold a record while the block publishes its messages.

        After an error in the block the record stays unprocessed, as do all later ones.

        Args:
            partition: the one that it was read from.
            next_offset: the offset after it, which is committed once it is processed.
            size: its bytes, as counted against `max_bytes`.

        Returns:
            A context with the held record, to which awaited acknowledgements are added.
        """
        held = self.begin(partition, next_offset, size)
        yield held
        self.finish(partition, held)

    def begin(self, partition: P, next_offset: int, size: int) -> HeldRecord:
        """Hold a record that was read; `finish` it once all its messages are being published.

        Args:
            partition: the one that it was read from.
            next_offset: the offset after it, which is committed once it is processed.
            size: its bytes, as counted against `max_bytes`.
        """
        held = HeldRecord(next_offset, size)
        self._partitions.setdefault(partition, _Partition()).held.append(held)
        self._count += 1
        self._bytes += size
        return held

    @staticmethod
    def add(held: HeldRecord) -> None:
        """One more acknowledgement is awaited for the record."""
        held.missing += 1

    def finish(self, partition: P, held: HeldRecord) -> None:
        """Take one of the acknowledgements that the record waits for."""
        held.missing -= 1
        known = self._partitions.get(partition)
        if known is None:
            return
        while known.held and known.held[0].missing <= 0:
            gone = known.held.popleft()
            known.done = gone.next_offset
            self._count -= 1
            self._bytes -= gone.size

    def start_at(self, partition: P, offset: int) -> None:
        """Start the partition at this offset; all records before it are processed."""
        self.forget([partition])
        self._partitions[partition] = _Partition(done=offset)

    def forget(self, partitions: Iterable[P]) -> None:
        """Forget partitions that are no longer ours: late acknowledgements are ignored."""
        for partition in partitions:
            gone = self._partitions.pop(partition, None)
            if gone is not None:
                self._count -= len(gone.held)
                self._bytes -= sum(held.size for held in gone.held)

    def committable(self) -> dict[P, int]:
        """The offset of each partition that may be committed."""
        return {tp: one.done for tp, one in self._partitions.items() if one.done is not None}
