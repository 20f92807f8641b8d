"""One cycle of the relay: what a read leads to, and what follows from the results of sending. Pure.

The format is `server_common/event_records.py`; the partition of a message is its shard. An event
that cannot be published is announced by an omitted record in its place, so that no watermark
passes an event of which nothing was told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
"""What a record may have in all, so that it fits into the events topic's `max.message.bytes` alone.
The rest is for what Kafka puts around it."""
_SHORTEST_REST_S: Final = 0.05
_LONGEST_REST_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event that is still to be published."""

    id: int
    store_id: str | None
    """None: a copy of it goes to every partition."""
    type: str
    occurred_at: str
    """RFC 3339, UTC."""
    ids: tuple[str, ...]
    """The event's id in each of its channels."""
    lines: tuple[bytes, ...]
    """One per id; fewer if retention has trimmed the log before the relay came."""
    fault: str | None = None
    """Why Postgres cannot give the event; None: it can."""

    @property
    def is_trimmed(self) -> bool:
        """Whether the log has it no more in each of its channels."""
        return self.fault is None and len(self.lines) < len(self.ids)


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
    cut_short: frozenset[int] = frozenset()
    """Shards that have not been read to their end, for another reason than the bound."""


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
    refused: dict[int, str] = field(default_factory=dict)
    """The rows that Kafka has refused to take, and why."""
    at_most: int | None = None
    """How many messages to send at once, while one that Kafka refuses is searched for."""
    stored: dict[int, str | None] = field(default_factory=dict)
    """The rows that are stored in Kafka and still there, because somebody holds them; with the
    reason of those that are to be set aside."""
    stored_in: str = ""
    """The epoch that they were stored in."""
    is_proven: bool = False
    """Whether the database is known to have all that was published in the shard."""
    trouble: str | None = None
    """Why the last attempt to publish has failed; None: it has not."""
    rest_until: float = 0.0
    """Not before this time (by the relay's clock) is it tried again."""
    rest_s: float = 0.0

    def fail(self, now: float, why: str) -> None:
        """An attempt has failed: rest, twice as long as after the last one."""
        self.trouble = why
        self.rest_s = min(max(2 * self.rest_s, _SHORTEST_REST_S), _LONGEST_REST_S)
        self.rest_until = now + self.rest_s

    def recover(self) -> None:
        """An attempt has succeeded."""
        self.trouble, self.rest_s = None, 0.0

    def keep(self, left: Mapping[int, str | None], epoch: str) -> None:
        """These rows are stored in Kafka and may still be there."""
        self.stored, self.stored_in = dict(left), epoch

    def forget_refused(self, rows: Collection[int]) -> None:
        """These rows have been announced and need not be told apart any more."""
        self.refused = {row: why for row, why in self.refused.items() if row not in rows}

    def begin(self, session: str) -> None:
        """Begin a session of this name: its records are numbered from 0."""
        self.session, self.sent = session, 0

    def count(self, stored: int | None) -> None:
        """Count so many more of the session's records as stored; None: that is not known."""
        if stored is None:
            self.session = ""
        else:
            self.sent += stored


@dataclass(frozen=True, slots=True)
class Cycle:
    """The messages of one read per shard, and the rows that they stand for."""

    reading: OutboxReading
    rows: Mapping[int, Sequence[OutboxRow]]
    messages: Mapping[int, Sequence[Message]]
    watermarked: frozenset[int]
    """The shards whose last message is a watermark."""
    left_out: Mapping[int, str]
    """The rows of which only is told that there is an event, and why; by their ids."""
    again: Mapping[int, Mapping[int, str | None]]
    """`Held.stored` of each shard, as far as these rows are still there."""

    def only(self, shards: Collection[int]) -> Cycle:
        """The part of some shards."""
        return replace(
            self,
            rows={shard: rows for shard, rows in self.rows.items() if shard in shards},
            messages={s: messages for s, messages in self.messages.items() if s in shards},
            again={shard: rows for shard, rows in self.again.items() if shard in shards},
        )


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
    again: dict[int, Mapping[int, str | None]] = {}
    for shard, found in reading.shards.items():
        lease = held[shard]
        if now >= lease.good_until:
            continue
        rows = found
        if lease.stored and lease.stored_in == reading.epoch:
            rows = [row for row in found if row.id not in lease.stored]
            again[shard] = {r.id: lease.stored[r.id] for r in found if r.id in lease.stored}
        messages = []
        for row in rows[: lease.at_most]:
            message, reason = _message(row, reading.epoch, stamp, lease.refused.get(row.id))
            messages.append(message)
            if reason is not None:
                left_out[row.id] = reason
        # While one that Kafka refuses is searched for, the messages of a turn are counted.
        is_all = len(found) < rows_per_shard and (lease.at_most is None or not rows)
        is_all = is_all and shard not in reading.cut_short
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
    return Cycle(reading, rows_of, messages_of, frozenset(watermarked), left_out, again)


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
    """What is done, given how many of each shard's first messages Kafka has stored for certain."""
    outcome = CycleOutcome()
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
        for row_id, why in turn.again.get(shard, {}).items():
            if why is None:
                outcome.done.append(row_id)
            else:
                outcome.set_aside[row_id] = why
    return outcome


def _message(
    row: OutboxRow, epoch: str, stamp: int, refused: str | None
) -> tuple[Message, str | None]:
    """The message of a row, and why it only says that there is an event; None: it has the event."""
    key = None if row.store_id is None else row.store_id.encode()
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
    if row.fault is not None:
        return row.fault
    if row.is_trimmed:
        return "retention has trimmed it"
    if any(b"\n" in line or b"\r" in line for line in row.lines):
        return "an event of it is not one line"
    return None


def _watermark(reading: OutboxReading, stamp: int) -> Message:
    headers = encode_watermark_record(WatermarkRecord(reading.epoch, reading.unix_s))
    return Message(None, None, headers, stamp)
