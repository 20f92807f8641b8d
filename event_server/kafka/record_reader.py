"""Turns one reading session's records into calls of the hub. Pure.

A record with an event of ours is never skipped silently: all followers of its channels are told to
sync. If its channels cannot be read, all followers of any channel of its partition are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from client_sdk.contract.channel import MAX_SEQ, parse_event_id
from client_sdk.contract.errors import CursorError, DamagedRecordError, FrameError, RecordError
from client_sdk.contract.sse import encode_frame
from client_sdk.contract.text import number_of
from event_server.kafka.warm_up import ReadRange, Skipped, WarmUp
from event_server.replay.hub import Hub
from event_server.replay.ring import MARGIN_S
from server_common.kafka.raw_records import LeftOut
from server_common.kafka_records.events import (
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

MAX_TYPES: Final = 100
EVENT_PREFIXES: Final = ("order.", "document.")
"""Every event type starts with one of these, those that a newer Core adds included."""


class RecordReader:
    """Takes the records of one session.

    Args:
        hub: takes them; cleared by each session.
        ranges: the partitions read.
        skipped: called for each record that is not ours.
        handed: called with the time of each record that went to at least one stream.
        partition_of: the partition of a channel; None: it is in each.
    """

    def __init__(
        self,
        hub: Hub,
        ranges: Mapping[int, ReadRange],
        skipped: Skipped,
        handed: Callable[[float], None] | None = None,
        partition_of: Callable[[str], int | None] = lambda _channel: 0,
    ) -> None:
        self._hub = hub
        self._ranges = ranges
        self._skipped = skipped
        self._handed = handed
        self._warm_up = WarmUp(hub, ranges, skipped, partition_of)
        self._types: set[str] = set()
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
            follows the ones before. Then it was not taken.

        Raises:
            LogReplacedError: it does not: this is another log.
        """
        if time > self._warm_up.believable:
            time = self._warm_up.believe(partition, time, now)
        part = self._ranges[partition]
        continuity = part.continuity
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
                self._warm_up.break_off_at(partition, time)
        try:
            record = decode_record(value, headers)
            if part.since is None:
                part.since = time
            part.last = time
            if isinstance(record, OrderRecord):
                self._order(record, time)
            elif isinstance(record, WatermarkRecord):
                if self._admit(record.epoch):
                    self._warm_up.watermark(partition, offset, record.watermark, now)
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
        """Skip unreadable records: the followers of all channels of the partition must sync.

        Args:
            partition: one of those read.
            what: the unreadable records.
            now: monotonic seconds.
        """
        part = self._ranges[partition]
        if not part.continuity.leave_out(what.offset - what.first + 1):
            return
        self._skipped(
            "unreadable",
            f"partition {partition}, offsets {what.first} to {what.offset}: {what.reason}",
        )
        time = max(part.last, self._hub.clock.estimate(now) or 0.0) + MARGIN_S
        if what.timestamp_ms is not None and what.timestamp_ms / 1000 <= time:
            time = what.timestamp_ms / 1000
        else:
            part.unsure = True
        self._warm_up.break_off(partition, time)

    def _order(self, record: OrderRecord, time: float) -> None:
        # All of it is parsed before any of it is published: a record counts whole or not at all.
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
            # As the newest epoch it would end all streams, and no epoch of ours could follow it.
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
        """Handle an unreadable event of ours: tell the clients that may need it to sync."""
        if error.epoch and error.epoch != self._hub.epoch and not self._admit(error.epoch):
            return
        self._skipped(kind, str(error))
        try:
            for channel, seq in split_ids(error.ids or ("",)):
                self._hub.omit(channel, seq, time)
        except Exception:
            self._warm_up.break_off_at(partition, time)

    def _place(self, event_id: str) -> tuple[str, int]:
        """The channel and seq of an event id; a known channel is not checked again."""
        channel, _, seq = event_id.rpartition("@")
        if self._hub.rings.get(channel) is not None:
            number = number_of(seq, MAX_SEQ)
            if number is not None:
                return channel, number
        try:
            return parse_event_id(event_id)
        except CursorError as error:
            raise RecordError(str(error)) from error

    def _learn(self, record: OrderRecord) -> None:
        """Check a new event type against the rules of a frame."""
        if not record.type.startswith(EVENT_PREFIXES):
            # The types hello, heartbeat, sync-required and bye are reserved for this server.
            reason = f"the type {record.type!a} is not a type of an order's or a document's event"
            raise DamagedRecordError(reason, record.epoch, record.ids)
        try:
            encode_frame(record.type, b"")
        except FrameError as error:
            raise DamagedRecordError(str(error), record.epoch, record.ids) from error
        if len(self._types) < MAX_TYPES:
            self._types.add(record.type)


def _epoch_and_ids(headers: Headers) -> tuple[str, tuple[str, ...]]:
    """The epoch and the event ids of a damaged record, as far as they can be read."""
    try:
        record = decode_record(b"", [*headers, ("omitted", b"1")])
    except RecordError:
        return "", ()
    return record.epoch, () if isinstance(record, WatermarkRecord) else record.ids
