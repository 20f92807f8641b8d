"""One turn of the relay, pure: from what a read saw to what is sent, and from that to what is done.

The format is `contract.record`; the partition of a message is its shard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from client_sdk.contract.record import (
    OrderRecord,
    WatermarkRecord,
    encode_order_record,
    encode_sent,
    encode_watermark_record,
)
from core_api.leases import watermark_due


class Message(NamedTuple):
    """One Kafka record, ready to be sent."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event that is still to be published."""

    id: int
    store_id: str
    type: str
    occurred_at: str
    """RFC 3339, UTC."""
    ids: tuple[str, ...]
    """Empty if retention has trimmed the log before the relay came: nothing is left to publish."""
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read saw, at one moment."""

    epoch: str
    unix_s: float
    """The database's now(), taken before the snapshot: all committed before it was seen."""
    oldest_age_s: float
    """How long ago the oldest row that was read was written; 0 without rows."""
    shards: Mapping[int, Sequence[OutboxRow]]
    """The rows of each shard whose lease still held, in order of publication."""


@dataclass(slots=True)
class Held:
    """A lease that this relay holds, and its watermark."""

    fence: int
    good_until: float
    """By the relay's clock, counted from before the statement that renewed it: never too late."""
    watermark_at: float | None = None
    published_since: bool = False
    session: str = ""
    """This run of batches that were all stored for certain; empty: the next one begins a new."""
    sent: int = 0
    """How many records the session has; each carries its number, so that none is missed."""

    def begin(self, session: str) -> None:
        """Number what is sent from now on anew, under this name."""
        self.session, self.sent = session, 0

    def count(self, stored: int | None) -> None:
        """Kafka has stored so many more of the session's records; None: that is not certain."""
        if stored is None:
            self.session = ""
        else:
            self.sent += stored


@dataclass(frozen=True, slots=True)
class Turn:
    """The messages of one read per shard, and the rows that they stand for."""

    reading: Reading
    rows: Mapping[int, Sequence[OutboxRow]]
    messages: Mapping[int, Sequence[Message]]
    watermarked: frozenset[int]
    """The shards whose last message is a watermark."""


@dataclass(slots=True)
class Outcome:
    """What has become of a turn."""

    done: list[int] = field(default_factory=list)
    """Ids of rows that need not be published any more."""
    events: dict[int, int] = field(default_factory=dict)
    """Events stored, of each shard that has not failed."""
    marked: set[int] = field(default_factory=set)
    """Shards whose watermark is stored."""
    complete: bool = True
    """Whether no shard has failed."""


def compose(reading: Reading, held: Mapping[int, Held], rows_per_shard: int, now: float) -> Turn:
    """The messages of a read.

    A shard whose lease has run out by our clock is left out: the process was paused since the read,
    and somebody else may own it by now.

    Args:
        reading: what was read.
        held: the leases it was read under.
        rows_per_shard: the bound of the read; a shard with so many rows has not been read to its
            end, and gets no watermark.
        now: by the clock of `held`.
    """
    stamp = round(reading.unix_s * 1000)
    rows_of: dict[int, Sequence[OutboxRow]] = {}
    messages_of: dict[int, Sequence[Message]] = {}
    watermarked = set()
    for shard, rows in reading.shards.items():
        lease = held[shard]
        if now >= lease.good_until:
            continue
        messages = [_message(row, reading.epoch, stamp) for row in rows if row.ids]
        published_since = lease.published_since or bool(messages)
        if len(rows) < rows_per_shard and watermark_due(now, lease.watermark_at, published_since):
            messages.append(_watermark(reading, stamp))
            watermarked.add(shard)
        rows_of[shard] = rows
        if messages:
            messages_of[shard] = [
                message._replace(headers=[*message.headers, encode_sent(lease.session, number)])
                for number, message in enumerate(messages, lease.sent)
            ]
    return Turn(reading, rows_of, messages_of, frozenset(watermarked))


def settle(turn: Turn, stored: Mapping[int, int]) -> Outcome:
    """What is done, given how many of each shard's first messages Kafka has stored for certain."""
    outcome = Outcome(complete=turn.messages.keys() <= stored.keys())
    for shard, rows in turn.rows.items():
        sent = len(turn.messages.get(shard, ()))
        if sent and shard not in stored:
            continue
        count = stored.get(shard, 0)
        events = count
        if count == sent and shard in turn.watermarked:
            outcome.marked.add(shard)
            events -= 1
        outcome.events[shard] = events
        outcome.done += _rows_behind(rows, events)
    return outcome


def _message(row: OutboxRow, epoch: str, stamp: int) -> Message:
    value, headers = encode_order_record(
        OrderRecord(epoch, row.type, row.occurred_at, row.ids, row.lines)
    )
    return Message(row.store_id.encode(), value, headers, stamp)


def _watermark(reading: Reading, stamp: int) -> Message:
    headers = encode_watermark_record(WatermarkRecord(reading.epoch, reading.unix_s))
    return Message(None, None, headers, stamp)


def _rows_behind(rows: Sequence[OutboxRow], events: int) -> list[int]:
    """The ids of the rows that the first `events` messages stand for, and of empty ones between."""
    done = []
    for row in rows:
        if row.ids:
            if events == 0:
                break
            events -= 1
        done.append(row.id)
    return done
