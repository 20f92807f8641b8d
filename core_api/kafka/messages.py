"""The messages for Kafka, and the result of sending them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Message(NamedTuple):
    """One Kafka record, ready to be sent."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_ms: int

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


@dataclass(frozen=True, slots=True)
class RefusedMessages:
    """Messages that Kafka refuses because of what they contain, however often they are sent."""

    count: int
    """How many of the partition's first messages were sent in one batch."""
    reason: str


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The result for each partition; one that failed for another reason is missing."""

    stored: dict[int, int] = field(default_factory=dict)
    """How many are known to be stored: always the first ones."""
    refused: dict[int, RefusedMessages] = field(default_factory=dict)
