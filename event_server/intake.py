"""One reading session's records, turned into what the hub takes. Pure.

A session begins some way back in each partition and is warm once everything that stood in the
partitions at its start has been read, and after it a watermark that was written since (an old
watermark at the end of a log whose writer is dead proves nothing) and that lies within what the
rings cover, so that a sync from now on finds its place in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from client_sdk.contract.channel import parse_event_id
from client_sdk.contract.errors import CursorError, FrameError, RecordError
from client_sdk.contract.frame import encode_frame
from client_sdk.contract.record import (
    Headers,
    LeftOutRecord,
    OrderRecord,
    WatermarkRecord,
    decode_record,
)
from event_server.hub import Hub
from event_server.ring import MARGIN_S

MAX_DIGITS: Final = 19
"""A seq with fewer digits is one for certain."""
MOST_TYPES: Final = 100
Skipped = Callable[[str, str], None]
"""Told of a record that is left out: the kind, and the reason in words."""


@dataclass(slots=True)
class Reach:
    """How far a session reaches in one partition."""

    end: int
    """The offset behind the last record that was there at the start."""
    since: float | None
    """All records of this time (database) and later are read; None: from the log's first on,
    however old that is, because what came before it may have been removed."""
    fresh: bool = False
    last: float = 0.0
    """The time of the record that was read last."""


class Intake:
    """Takes the records of one session.

    Args:
        hub: where they go; a session starts it afresh.
        reaches: the partitions read.
        skipped: told of each record that is not ours.
        handed: told of the time of each record that went to at least one stream.
    """

    def __init__(
        self,
        hub: Hub,
        reaches: Mapping[int, Reach],
        skipped: Skipped,
        handed: Callable[[float], None] | None = None,
    ) -> None:
        self._hub = hub
        self._reaches = reaches
        self._skipped = skipped
        self._handed = handed
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
    ) -> None:
        """Take the next record of a partition.

        Args:
            partition: one of those read.
            offset: its place there.
            time: the record's timestamp, seconds (the relay's reading of the database's clock).
            value: the record's value.
            headers: the record's headers.
            now: monotonic seconds.
        """
        reach = self._reaches[partition]
        if reach.since is None:
            reach.since = time
        reach.last = time
        try:
            record = decode_record(value, headers)
            if isinstance(record, WatermarkRecord):
                self._watermark(partition, offset, reach, record, now)
            elif isinstance(record, LeftOutRecord):
                self._leave_out(record, time)
            else:
                self._order(record, time)
        except (RecordError, FrameError) as error:
            self._skipped("foreign" if isinstance(error, RecordError) else "malformed", str(error))

    def _order(self, record: OrderRecord, time: float) -> None:
        # All of it is read before any of it is published: a record counts whole or not at all.
        if record.type not in self._types:
            self._learn(record.type)
        places = [self._place(event_id) for event_id in record.ids]
        for line in record.lines:
            if b"\r" in line:
                raise FrameError("an event's data must be one line")
        if not self._hub.admit(record.epoch):
            self._skipped("old_epoch", f"epoch {record.epoch} is over")
            return
        before = self._hub.deliveries
        publish, kind = self._hub.publish, record.type
        for (channel, seq), event_id, line in zip(places, record.ids, record.lines, strict=True):
            publish(channel, seq, (event_id, kind, line), time)
        if self._handed is not None and self._hub.deliveries != before:
            self._handed(time)

    def _leave_out(self, record: LeftOutRecord, time: float) -> None:
        places = [self._place(event_id) for event_id in record.ids]
        if not self._hub.admit(record.epoch):
            self._skipped("old_epoch", f"epoch {record.epoch} is over")
            return
        for channel, seq in places:
            self._hub.publish(channel, seq, None, time)

    def _place(self, event_id: str) -> tuple[str, int]:
        """The channel and seq of an event id; a channel that is known needs no second look."""
        channel, _, seq = event_id.rpartition("@")
        if self._hub.rings.get(channel) is not None and seq.isdecimal() and len(seq) < MAX_DIGITS:
            return channel, int(seq)
        try:
            return parse_event_id(event_id)
        except CursorError as error:
            raise RecordError(str(error)) from error

    def _learn(self, kind: str) -> None:
        """Hold a type that has not come before against the rules of a frame."""
        encode_frame(kind, b"")
        if len(self._types) < MOST_TYPES:
            self._types.add(kind)

    def _watermark(
        self, partition: int, offset: int, reach: Reach, record: WatermarkRecord, now: float
    ) -> None:
        if not self._hub.admit(record.epoch):
            self._skipped("old_epoch", f"epoch {record.epoch} is over")
            return
        if self._hub.mark(partition, record.watermark, now):
            self._begin_again()
        if offset >= reach.end and not self._hub.warm:
            reach.fresh = True
            self._warm_if_complete()

    def _begin_again(self) -> None:
        """The rings are empty: they hold what was committed after the last record that went into
        them, of each partition. One whose clock is not set back yet holds all up until it is."""
        for reach in self._reaches.values():
            reach.since, reach.fresh = reach.last, False

    def _warm_if_complete(self) -> None:
        if not all(reach.fresh for reach in self._reaches.values()):
            return
        since = max(reach.since or 0.0 for reach in self._reaches.values()) + MARGIN_S
        covered = max(since, self._hub.rings.evicted_before)
        if (self._hub.watermark or 0.0) >= covered:
            self._hub.rings.covered_since = covered
            self._hub.warm = True
