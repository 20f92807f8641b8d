"""The data read from a partition: records, and unreadable data between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

Headers = tuple[tuple[str, Any], ...]
"""Names and values. Each value is bytes or None."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record, by the names that aiokafka gives to its parts."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Milliseconds since the Unix epoch."""
    key: bytes | None
    value: bytes | None
    headers: Headers


@final
@dataclass(frozen=True, slots=True)
class LeftOut:
    """Unreadable data in a partition."""

    first: int
    """Its first offset."""
    offset: int
    """Its last offset."""
    reason: str
    raw: bytes
    """The record's bytes after its length, or the whole batch as the broker stores it."""
    timestamp_ms: int | None
    """The newest time that its records can have, in milliseconds since the Unix epoch; None:
    unknown."""


ReadRecord = Record | LeftOut


@dataclass(frozen=True, slots=True)
class Found:
    """The data read from one partition."""

    records: list[ReadRecord]
    """In the order of their offsets."""
    next_offset: int
    """The offset to read from next."""

    def at_most(self, count: int) -> Found:
        """The first `count` of them."""
        if len(self.records) <= count:
            return self
        return Found(self.records[:count], self.records[count - 1].offset + 1)
