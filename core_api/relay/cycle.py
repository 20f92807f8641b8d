"""One cycle of the relay: the messages of a read, and the outcome by the results of sending. Pure.

The format is `server_common/kafka_records/events.py`; the partition of a message is its shard. An
event that cannot be published is announced by an omitted record in its place, so that no watermark
passes an event that was not announced.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core_api.kafka.messages import Message
from core_api.relay.held_shard import HeldShard
from core_api.relay.pacing import watermark_due
from server_common.kafka_records.events import (
    OmittedRecord,
    OrderRecord,
    WatermarkRecord,
    encode_omitted_record,
    encode_order_record,
    encode_sent,
    encode_watermark_record,
)
from server_common.limits import EVENT_RECORD_BYTES


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
    """Why Postgres cannot read the event; None: it can."""

    @property
    def is_trimmed(self) -> bool:
        """Whether retention has deleted it from the log of one of its channels, or of all."""
        return self.fault is None and len(self.lines) < len(self.ids)


@dataclass(frozen=True, slots=True)
class OutboxReading:
    """The result of one read, at one moment."""

    epoch: str
    unix_s: float
    """The database's now(), taken before the snapshot, which has all commits before it."""
    oldest_age_s: float
    """How long ago the oldest row that was read was written; 0 without rows."""
    shards: Mapping[int, Sequence[OutboxRow]]
    """The rows of each shard whose lease still held, in order of publication."""
    cut_short: frozenset[int] = frozenset()
    """Shards that were not read to their end for another reason than the limit of rows."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """The messages of one read by shard, and the rows that they publish."""

    reading: OutboxReading
    rows: Mapping[int, Sequence[OutboxRow]]
    messages: Mapping[int, Sequence[Message]]
    watermarked: frozenset[int]
    """The shards whose last message is a watermark."""
    left_out: Mapping[int, str]
    """The ids of the rows that an omitted record announces, with the reason."""
    again: Mapping[int, Mapping[int, str | None]]
    """By shard: rows that are in Kafka and still in the database (`HeldShard.stored`). They must
    only be deleted, or be set aside for the reason given."""

    @property
    def row_ids(self) -> dict[int, set[int]]:
        """The ids of each shard's rows that are still there, whether they are published or not."""
        return {
            shard: {row.id for row in rows} | self.again.get(shard, {}).keys()
            for shard, rows in self.rows.items()
        }

    def only(self, shards: Collection[int]) -> Cycle:
        """The same cycle with these shards only."""
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
    """Ids of rows that were announced and not published, and why; to be set aside."""
    trimmed: int = 0
    """How many rows of `done` retention had trimmed."""
    events: dict[int, int] = field(default_factory=dict)
    """Events stored, of each shard that has not failed."""
    marked: set[int] = field(default_factory=set)
    """Shards whose watermark is stored."""


def plan_cycle(
    reading: OutboxReading, held: Mapping[int, HeldShard], rows_per_shard: int, now: float
) -> Cycle:
    """The messages of a read.

    A shard whose lease has expired by our clock is left out: the process was suspended since the
    read, and another relay may own it by now.

    Args:
        reading: what was read.
        held: the leases it was read under.
        rows_per_shard: the limit of the read; a shard with so many rows was not read to its end,
            and gets no watermark.
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
        # While searching for a refused message, a cycle sends only so many.
        is_all = len(found) < rows_per_shard and (lease.at_most is None or not rows)
        is_all = is_all and shard not in reading.cut_short
        published_since = lease.published_since or bool(messages)
        if is_all and watermark_due(now, lease.watermark_at, published_since):
            messages.append(_watermark(reading, stamp))
            watermarked.add(shard)
        rows_of[shard] = rows
        if messages:
            messages_of[shard] = [
                message._replace(headers=[*message.headers, encode_sent(lease.run, number)])
                for number, message in enumerate(messages, lease.sent)
            ]
    return Cycle(reading, rows_of, messages_of, frozenset(watermarked), left_out, again)


def narrow(cycle: Cycle, held: HeldShard, shard: int, count: int, reason: str) -> bool:
    """Narrow the search for a message that Kafka refuses among the first `count` of a shard.

    The next cycle sends the first half of them, and so on, until only the refused one is left.

    Args:
        cycle: whose messages they are.
        held: the shard's state, which is changed.
        shard: its number.
        count: how many messages Kafka refuses together.
        reason: why, as Kafka says it.

    Returns:
        Whether the search goes on. If Kafka refuses even an omitted record or a watermark, it does
        not: the records are not the cause.
    """
    rows = cycle.rows[shard]
    if count > 1:
        held.at_most = count // 2
        return True
    held.at_most = None
    if not rows:
        return False
    if held.refused.pop(rows[0].id, None) is not None or rows[0].id in cycle.left_out:
        return False
    held.refused[rows[0].id] = reason
    return True


def settle(cycle: Cycle, stored: Mapping[int, int]) -> CycleOutcome:
    """The outcome, given how many of each shard's first messages Kafka has certainly stored."""
    outcome = CycleOutcome()
    for shard, rows in cycle.rows.items():
        sent = len(cycle.messages.get(shard, ()))
        if sent and shard not in stored:
            continue
        count = stored.get(shard, 0)
        events = count
        if count == sent and shard in cycle.watermarked:
            outcome.marked.add(shard)
            events -= 1
        outcome.events[shard] = events
        for row in rows[:events]:
            reason = cycle.left_out.get(row.id)
            if reason is None or row.is_trimmed:
                outcome.done.append(row.id)
                outcome.trimmed += row.is_trimmed
            else:
                outcome.set_aside[row.id] = reason
        for row_id, why in cycle.again.get(shard, {}).items():
            if why is None:
                outcome.done.append(row_id)
            else:
                outcome.set_aside[row_id] = why
    return outcome


def _message(
    row: OutboxRow, epoch: str, stamp: int, refused: str | None
) -> tuple[Message, str | None]:
    """The message of a row, and why it only announces the event; None: it has the event."""
    key = None if row.store_id is None else row.store_id.encode()
    if (reason := refused or _unfit(row)) is None:
        record = OrderRecord(epoch, row.type, row.occurred_at, row.ids, row.lines)
        value, headers = encode_order_record(record)
        message = Message(key, value, headers, stamp)
        if message.size <= EVENT_RECORD_BYTES:
            return message, None
        reason = f"too large: {message.size} bytes, a record has at most {EVENT_RECORD_BYTES}"
    announced = encode_omitted_record(OmittedRecord(epoch, row.ids))
    return Message(key, None, announced, stamp), reason


def _unfit(row: OutboxRow) -> str | None:
    """Why a row cannot become a record; None: it can."""
    if row.fault is not None:
        return row.fault
    if row.is_trimmed:
        return "retention has trimmed it"
    if any(b"\n" in line or b"\r" in line for line in row.lines):
        return "one of its events is not one line"
    return None


def _watermark(reading: OutboxReading, stamp: int) -> Message:
    headers = encode_watermark_record(WatermarkRecord(reading.epoch, reading.unix_s))
    return Message(None, None, headers, stamp)
