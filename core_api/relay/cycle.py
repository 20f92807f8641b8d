"""One cycle of the relay: what a read leads to, and what follows from the results of sending. Pure.

The format is `server_common/event_records.py`; the partition of a message is its shard. An event
that cannot be published is announced by an omitted record in its place, so that no watermark
passes an event of which nothing was told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from core_api.kafka.messages import Message
from core_api.relay.leases import watermark_due
from server_common.event_records import (
    OmittedRecord,
    OrderRecord,
    WatermarkRecord,
    encode_omitted_record,
    encode_order_record,
    encode_sent,
    encode_watermark_record,
)

MAX_RECORD_BYTES: Final = 1024 * 1024 - 4096
"""The most bytes of a record in all, so that it alone fits into the events topic's
`max.message.bytes`. The rest is for what Kafka puts around it."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event that is still to be published."""

    id: int
    store_id: str
    type: str
    occurred_at: str
    """RFC 3339, UTC."""
    ids: tuple[str, ...]
    """The event's id in each of its channels."""
    lines: tuple[bytes, ...]
    """One per id; fewer if retention has trimmed the log before the relay came."""

    @property
    def is_trimmed(self) -> bool:
        """Whether the log of one of its channels no longer has it."""
        return len(self.lines) < len(self.ids)


@dataclass(frozen=True, slots=True)
class OutboxReading:
    """What one read found, at one moment."""

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
    """The present session: a run of batches that are all known to be stored. Empty: the next batch
    begins one."""
    sent: int = 0
    """How many records the session has; each carries its number, so that none is missed."""

    def begin(self, session: str) -> None:
        """Begin a session of this name: its records are numbered from 0."""
        self.session, self.sent = session, 0

    def count(self, stored: int | None) -> None:
        """Count so many more of the session's records as stored; None: that is not known."""
        if stored is None:
            self.session = ""
        else:
            self.sent += stored

    refused: dict[int, str] = field(default_factory=dict)
    """The rows that Kafka has refused to take, and why."""
    is_proven: bool = False
    """Whether the database is known to have all that was published in the shard."""
    at_most: int | None = None
    """How many messages to send at once, while one that Kafka refuses is searched for."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """The messages of one read per shard, and the rows that they stand for."""

    reading: OutboxReading
    rows: Mapping[int, Sequence[OutboxRow]]
    messages: Mapping[int, Sequence[Message]]
    watermarked: frozenset[int]
    """The shards whose last message is a watermark."""
    left_out: Mapping[int, str]
    """The rows that are only announced, by their ids, each with the reason."""


@dataclass(slots=True)
class CycleOutcome:
    """The result of a cycle."""

    done: list[int] = field(default_factory=list)
    """Ids of rows that need not be published any more."""
    set_aside: dict[int, str] = field(default_factory=dict)
    """Ids of rows that were announced and not published, and why; to be kept for a person."""
    trimmed: int = 0
    """How many rows of `done` retention had trimmed."""
    events: dict[int, int] = field(default_factory=dict)
    """Events stored, of each shard that has not failed."""
    marked: set[int] = field(default_factory=set)
    """Shards whose watermark is stored."""
    complete: bool = True
    """Whether no shard has failed."""


def plan_cycle(
    reading: OutboxReading, held: Mapping[int, Held], rows_per_shard: int, now: float
) -> Cycle:
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
    left_out: dict[int, str] = {}
    for shard, rows in reading.shards.items():
        lease = held[shard]
        if now >= lease.good_until:
            continue
        messages = []
        for row in rows[: lease.at_most]:
            message, reason = _message(row, reading.epoch, stamp, lease.refused.get(row.id))
            messages.append(message)
            if reason is not None:
                left_out[row.id] = reason
        # While one that Kafka refuses is searched for, the messages of a turn are counted.
        is_all = len(rows) < rows_per_shard and (lease.at_most is None or not rows)
        published_since = lease.published_since or bool(messages)
        if is_all and watermark_due(now, lease.watermark_at, published_since):
            messages.append(_watermark(reading, stamp))
            watermarked.add(shard)
        rows_of[shard] = rows
        if messages:
            messages_of[shard] = [
                message._replace(headers=[*message.headers, encode_sent(lease.session, number)])
                for number, message in enumerate(messages, lease.sent)
            ]
    return Cycle(reading, rows_of, messages_of, frozenset(watermarked), left_out)


def narrow(turn: Cycle, held: Held, shard: int, count: int, reason: str) -> bool:
    """Note that Kafka refuses the first `count` messages of a shard, because of one of them.

    The next turn sends the first half of them, and so on, until one is left: that is the one.

    Returns:
        Whether the search goes on. If not, Kafka refuses even a record that says nothing but that
        there is an event, or a watermark: then it is not the records.
    """
    rows = turn.rows[shard]
    if count > 1:
        held.at_most = count // 2
        return True
    held.at_most = None
    if not rows:
        return False
    if held.refused.pop(rows[0].id, None) is not None or rows[0].id in turn.left_out:
        return False
    held.refused[rows[0].id] = reason
    return True


def settle(turn: Cycle, stored: Mapping[int, int]) -> CycleOutcome:
    """The result, given how many of each shard's first messages are known to be stored."""
    outcome = CycleOutcome(complete=turn.messages.keys() <= stored.keys())
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
        for row in rows[:events]:
            reason = turn.left_out.get(row.id)
            if reason is None or row.is_trimmed:
                outcome.done.append(row.id)
                outcome.trimmed += row.is_trimmed
            else:
                outcome.set_aside[row.id] = reason
    return outcome


def _message(
    row: OutboxRow, epoch: str, stamp: int, refused: str | None
) -> tuple[Message, str | None]:
    """The message of a row, and why it only announces the event; None: it carries the event."""
    key = row.store_id.encode()
    if (reason := refused or _unfit(row)) is None:
        record = OrderRecord(epoch, row.type, row.occurred_at, row.ids, row.lines)
        value, headers = encode_order_record(record)
        message = Message(key, value, headers, stamp)
        if message.size <= MAX_RECORD_BYTES:
            return message, None
        reason = f"too large: {message.size} bytes, a record has at most {MAX_RECORD_BYTES}"
    announced = encode_omitted_record(OmittedRecord(epoch, row.ids))
    return Message(key, None, announced, stamp), reason


def _unfit(row: OutboxRow) -> str | None:
    """Why no record can be made of a row; None: one can."""
    if row.is_trimmed:
        return "retention has trimmed it"
    if any(b"\n" in line or b"\r" in line for line in row.lines):
        return "an event of it is not one line"
    return None


def _watermark(reading: OutboxReading, stamp: int) -> Message:
    headers = encode_watermark_record(WatermarkRecord(reading.epoch, reading.unix_s))
    return Message(None, None, headers, stamp)
