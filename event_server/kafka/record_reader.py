"""One reading session's records, turned into what the hub takes. Pure.

A session begins some way back in each partition and is warm once everything that stood in the
partitions at its start has been read, and after it a watermark that was written since (an old
watermark at the end of a log whose writer is dead proves nothing) and that lies within what the
rings cover, so that a sync from now on finds its place in them.

No record is left out in silence if it carried an event of ours: who follows one of its channels is
told to sync, or, if these cannot be read, who follows one of its partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from client_sdk.contract.channel import parse_event_id
from client_sdk.contract.errors import CursorError, DamagedRecordError, FrameError, RecordError
from client_sdk.contract.sse import encode_frame
from event_server.kafka.continuity import Continuity
from event_server.replay.hub import Hub
from event_server.replay.ring import MARGIN_S
from server_common.event_records import (
    LAST_EPOCH_TIME,
    SENT,
    Headers,
    OmittedRecord,
    OrderRecord,
    WatermarkRecord,
    decode_record,
    sent_of,
    split_ids,
)
from server_common.kafka.raw_records import LeftOut

AHEAD_S: Final = 5.0
"""How far, in seconds, a record's time may lie ahead of our estimate of the database's clock. A
later one is not believed: whoever may write to the topic could keep all new streams out."""
MAX_DIGITS: Final = 19
"""Fewer digits always fit a 64-bit seq and need no further check."""
MOST_TYPES: Final = 100
EVENT_PREFIXES: Final = ("order.", "document.")
"""Every event type starts with one of these, those that a newer Core adds included."""
Skipped = Callable[[str, str], None]
"""Called for a record that is left out, with its kind and the reason in words."""


@dataclass(slots=True)
class ReadRange:
    """How far a session reaches in one partition."""

    end: int
    """The offset behind the last record that was there at the start."""
    since: float | None
    """All records of this time (database) and later are read; None: from the log's first on,
    however old that is, because what came before it may have been removed."""
    fresh: bool = False
    last: float = 0.0
    """The time of the record that was read last."""
    unsure: bool = False
    """Whether something was left out whose time nobody knows; it is before the next watermark."""
    unproven: float = field(init=False)
    """The latest time that was taken while nothing was known of the database's clock."""
    continuity: Continuity = field(init=False)
    """That it is one log which is read."""

    def __post_init__(self) -> None:
        self.continuity = Continuity(self.end)
        self.unproven = self.since or 0.0


class RecordReader:
    """Takes the records of one session.

    Args:
        hub: where they go; a session starts it afresh.
        reaches: the partitions read.
        skipped: told of each record that is not ours.
        handed: told of the time of each record that went to at least one stream.
        partition_of: the partition of a channel; None: it is in each.
    """

    def __init__(
        self,
        hub: Hub,
        reaches: Mapping[int, ReadRange],
        skipped: Skipped,
        handed: Callable[[float], None] | None = None,
        partition_of: Callable[[str], int | None] = lambda _channel: 0,
    ) -> None:
        self._hub = hub
        self._reaches = reaches
        self._skipped = skipped
        self._handed = handed
        self._partition_of = partition_of
        self._types: set[str] = set()
        self._believable = 0.0
        hub.warm = False
        hub.rings.uncover()

    def take(
        self,
        partition: int,
        offset: int,
        time: float,
        value: bytes | None,
        headers: Headers,
        now: float,
    ) -> int | None:
        """Take the next record of a partition.

        Args:
            partition: one of those read.
            offset: its place there.
            time: the record's timestamp, seconds (the relay's reading of the database's clock).
            value: the record's value.
            headers: the record's headers.
            now: monotonic seconds.

        Returns:
            None; or the offset to read again from, because it is not proven that this record
            follows what was read before. It has not been taken.

        Raises:
            LogReplacedError: it does not: this is another log.
        """
        if time > self._believable:
            time = self._believe(partition, time, now)
        reach = self._reaches[partition]
        continuity = reach.continuity
        last = headers[-1] if headers else None
        sent = last[1] if last is not None and last[0] == SENT else sent_of(headers)
        if sent == continuity.expected and sent:
            continuity.follow(offset, sent)
        elif sent or continuity.expected is None:
            verdict = continuity.judge(offset, sent_of(headers))
            if verdict == "look_back":
                return continuity.look_back_to
            if verdict == "pass_over":
                return None
            if verdict == "take_after_gap":
                self._skipped("missing", f"records before offset {offset} are missing")
                self._break_off_at(partition, time)
        try:
            record = decode_record(value, headers)
            if reach.since is None:
                reach.since = time
            reach.last = time
            if isinstance(record, OrderRecord):
                self._order(record, time)
            elif isinstance(record, WatermarkRecord):
                self._watermark(partition, offset, reach, record, now)
            else:
                self._omitted(record, time)
        except DamagedRecordError as error:
            self._damaged("malformed", error, partition, time)
        except RecordError as error:
            self._skipped("foreign", str(error))
        except Exception as error:
            damaged = DamagedRecordError(repr(error), *_epoch_and_ids(headers))
            self._damaged("failed", damaged, partition, time)
        return None

    def leave_out(self, partition: int, what: LeftOut, now: float) -> None:
        """Skip what cannot be read: those who follow a channel of the partition must sync.

        Args:
            partition: one of those read.
            what: what stands there.
            now: monotonic seconds.
        """
        reach = self._reaches[partition]
        if not reach.continuity.leave_out(what.offset - what.first + 1):
            return
        self._skipped(
            "unreadable",
            f"partition {partition}, offsets {what.first} to {what.offset}: {what.reason}",
        )
        time = max(reach.last, self._hub.clock.estimate(now) or 0.0) + MARGIN_S
        if what.timestamp_ms is not None and what.timestamp_ms / 1000 <= time:
            time = what.timestamp_ms / 1000
        else:
            reach.unsure = True
        self._break_off(partition, time)

    def _order(self, record: OrderRecord, time: float) -> None:
        # All of it is read before any of it is published: a record counts whole or not at all.
        if record.type not in self._types:
            self._learn(record)
        try:
            places = [self._place(event_id) for event_id in record.ids]
        except RecordError as error:
            raise DamagedRecordError(str(error), record.epoch) from error
        for line in record.lines:
            if b"\r" in line:
                raise DamagedRecordError("data must be one line", record.epoch, record.ids)
        if not self._admit(record.epoch):
            return
        before = self._hub.deliveries
        publish, kind = self._hub.publish, record.type
        for (channel, seq), event_id, line in zip(places, record.ids, record.lines, strict=True):
            publish(channel, seq, (event_id, kind, line), time)
        if self._handed is not None and self._hub.deliveries != before:
            self._handed(time)

    def _admit(self, epoch: str) -> bool:
        if epoch >= LAST_EPOCH_TIME:
            # Taken for the newest, it would end all streams, and no epoch of ours could follow it.
            self._skipped("foreign", f"no epoch could follow {epoch!a}")
            return False
        if self._hub.admit(epoch):
            return True
        self._skipped("old_epoch", f"epoch {epoch} is over")
        return False

    def _omitted(self, record: OmittedRecord, time: float) -> None:
        try:
            places = split_ids(record.ids)
        except RecordError as error:
            raise DamagedRecordError(str(error), record.epoch) from error
        if self._admit(record.epoch):
            self._skipped("omitted", f"the content of {record.ids[0]} was left out by the relay")
            for channel, seq in places:
                self._hub.omit(channel, seq, time)

    def _damaged(self, kind: str, error: DamagedRecordError, partition: int, time: float) -> None:
        """Handle an event of ours that cannot be read: tell those who may need it to sync."""
        if error.epoch and error.epoch != self._hub.epoch and not self._admit(error.epoch):
            return
        self._skipped(kind, str(error))
        try:
            for channel, seq in split_ids(error.ids or ("",)):
                self._hub.omit(channel, seq, time)
        except Exception:
            self._break_off_at(partition, time)

    def _believe(self, partition: int, time: float, now: float) -> float:
        """A record's time, or the latest that can be true."""
        estimate = self._hub.clock.estimate(now)
        if estimate is None:
            reach = self._reaches[partition]
            reach.unproven = max(reach.unproven, time)
            return time
        self._believable = estimate + AHEAD_S
        return min(time, self._believable)

    def _break_off_at(self, partition: int, time: float) -> None:
        """Break off at a record of that time."""
        if time > self._believable:
            # Nothing is known of the database's clock yet.
            self._reaches[partition].unsure = True
            time = 0.0
        self._break_off(partition, time)

    def _break_off(self, partition: int, time: float) -> None:
        def concerns(channel: str) -> bool:
            return self._partition_of(channel) in (partition, None)

        self._hub.break_off(concerns, time, self._believable)

    def _place(self, event_id: str) -> tuple[str, int]:
        """The channel and seq of an event id; a channel that is known needs no second look."""
        channel, _, seq = event_id.rpartition("@")
        if self._hub.rings.get(channel) is not None and seq.isdecimal() and len(seq) < MAX_DIGITS:
            return channel, int(seq)
        try:
            return parse_event_id(event_id)
        except CursorError as error:
            raise RecordError(str(error)) from error

    def _learn(self, record: OrderRecord) -> None:
        """Check a type that is new against the rules of a frame."""
        if not record.type.startswith(EVENT_PREFIXES):
            # Beside these stand hello, heartbeat, sync-required and bye, which only we may say.
            reason = f"the type {record.type!a} is none of an order's or a document's events"
            raise DamagedRecordError(reason, record.epoch, record.ids)
        try:
            encode_frame(record.type, b"")
        except FrameError as error:
            raise DamagedRecordError(str(error), record.epoch, record.ids) from error
        if len(self._types) < MOST_TYPES:
            self._types.add(record.type)

    def _watermark(
        self, partition: int, offset: int, reach: ReadRange, record: WatermarkRecord, now: float
    ) -> None:
        if not self._admit(record.epoch):
            return
        if reach.unsure:
            # All that was committed before it stands before it in the partition.
            reach.unsure = False
            self._hub.rings.cover_from(record.watermark)
        if self._hub.mark(partition, record.watermark, now):
            self._begin_again()
        if offset >= reach.end and not self._hub.warm:
            reach.fresh = True
            self._warm_if_complete(now)

    def _begin_again(self) -> None:
        """The database's clock was set back, and the rings are empty: each partition's coverage
        restarts at its last record. A partition whose clock has not gone back yet stays covered
        until it does."""
        for reach in self._reaches.values():
            reach.since, reach.fresh, reach.unproven = reach.last, False, 0.0

    def _warm_if_complete(self, now: float) -> None:
        if not all(reach.fresh for reach in self._reaches.values()):
            return
        self._take_back_what_cannot_be(self._hub.clock.estimate(now) or 0.0)
        since = max(reach.since or 0.0 for reach in self._reaches.values()) + MARGIN_S
        covered = max(since, self._hub.rings.evicted_before)
        if (self._hub.watermark or 0.0) >= covered:
            self._hub.rings.covered_since = covered
            self._hub.warm = True

    def _take_back_what_cannot_be(self, present: float) -> None:
        """Correct record times that were taken before the database's clock was known and lie too
        far ahead of it: no watermark would ever reach them. Coverage then starts at the present,
        because everything that is committed from now on is read anyway.

        Args:
            present: what the database's clock shows at least.
        """
        self._believable = max(self._believable, present + AHEAD_S)
        for partition, reach in self._reaches.items():
            unproven, reach.unproven = reach.unproven, 0.0
            if unproven > present + AHEAD_S:
                reach.since, reach.last = present, min(reach.last, present)
                self._skipped("ahead", f"a record of partition {partition} is ahead of its time")
                self._break_off(partition, present)


def _epoch_and_ids(headers: Headers) -> tuple[str, tuple[str, ...]]:
    """The epoch and the event ids of a damaged record, as far as they can be read."""
    try:
        record = decode_record(b"", [*headers, ("omitted", b"1")])
    except RecordError:
        return "", ()
    return record.epoch, () if isinstance(record, WatermarkRecord) else record.ids
