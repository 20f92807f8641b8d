"""When a reading session is warm, and which records' times it trusts. Pure.

A session begins some way back in each partition. It is warm in two steps. First, all records that
were in the partitions at its start have been read. Then a watermark has been read that was written
since: an old one at the end of a log whose writer is dead proves nothing. It must lie within the
time that the rings cover, so that the position of a sync from now on is in them. This time begins
with the latest of the partitions (promise 4, no blind window).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from event_server.kafka.continuity import Continuity
from event_server.replay.hub import Hub
from event_server.replay.ring import MARGIN_S

AHEAD_S: Final = 5.0
"""How far, in seconds, a record's time may lie ahead of our estimate of the database's clock. A
later one is not trusted: any writer to the topic could block all new streams with it."""

Skipped = Callable[[str, str], None]
"""Called for a record that is skipped, with its kind and the reason in words."""


@dataclass(slots=True)
class ReadRange:
    """The range that a session has read in one partition."""

    end: int
    """The offset after the last record that existed at the start."""
    since: float | None
    """All records of this time (of the database) and later are read; None: from the log's first
    record on, as earlier ones may have been removed, however old it is."""
    fresh: bool = False
    last: float = 0.0
    """The time of the record that was read last."""
    unsure: bool = False
    """Whether a record of unknown time was skipped; it is from before the next watermark."""
    unproven: float = field(init=False)
    """The latest time that was accepted while the database's clock was unknown."""
    continuity: Continuity = field(init=False)
    """Proves that one and the same log is read."""

    def __post_init__(self) -> None:
        self.continuity = Continuity(self.end)
        self.unproven = self.since or 0.0


class WarmUp:
    """What has been read of each partition, and from which time on the rings cover it.

    Args:
        hub: whose rings and clock these are.
        ranges: the partitions that are read.
        skipped: called for a record whose time is not trusted.
        partition_of: the partition of a channel; None: it is in each.
    """

    def __init__(
        self,
        hub: Hub,
        ranges: Mapping[int, ReadRange],
        skipped: Skipped,
        partition_of: Callable[[str], int | None],
    ) -> None:
        self._hub = hub
        self._ranges = ranges
        self._skipped = skipped
        self._partition_of = partition_of
        self.believable = 0.0
        """The latest time of a record that needs no check by `believe`."""

    def believe(self, partition: int, time: float, now: float) -> float:
        """The time of a record of the partition, or the latest credible time.

        Args:
            partition: the number of a partition that is read.
            time: the record's timestamp, seconds since the Unix epoch, by the database's clock.
            now: monotonic seconds.

        Returns:
            The earlier of the two; `time` as it is while the database's clock is not known here.
        """
        estimate = self._hub.clock.estimate(now)
        if estimate is None:
            part = self._ranges[partition]
            part.unproven = max(part.unproven, time)
            return time
        self.believable = estimate + AHEAD_S
        return min(time, self.believable)

    def break_off_at(self, partition: int, time: float) -> None:
        """Break off at a record of that time, which may not be verified yet."""
        if time > self.believable:
            # The database's clock is not known yet.
            self._ranges[partition].unsure = True
            time = 0.0
        self.break_off(partition, time)

    def break_off(self, partition: int, time: float) -> None:
        """Drop the rings of the partition's channels: not all up to `time` is in them."""

        def concerns(channel: str) -> bool:
            return self._partition_of(channel) in (partition, None)

        self._hub.break_off(concerns, time, self.believable)

    def watermark(self, partition: int, offset: int, watermark: float, now: float) -> None:
        """Take a watermark of the epoch that is read; it may make the session warm.

        Args:
            partition: one of those read.
            offset: its record's place there.
            watermark: the time before which all commits come before it, by the database's clock.
            now: monotonic seconds.
        """
        part = self._ranges[partition]
        if part.unsure:
            # All earlier commits come before it in the partition.
            part.unsure = False
            self._hub.rings.cover_from(watermark)
        if self._hub.mark(partition, watermark, now):
            self._begin_again()
        if offset >= part.end and not self._hub.warm:
            part.fresh = True
            self._warm_if_complete(now)

    def _begin_again(self) -> None:
        """The database's clock was set back, and the rings are empty: each partition's coverage
        restarts at its last record. A partition whose clock has not gone back yet stays covered
        until it does."""
        for part in self._ranges.values():
            part.since, part.fresh, part.unproven = part.last, False, 0.0

    def _warm_if_complete(self, now: float) -> None:
        if not all(part.fresh for part in self._ranges.values()):
            return
        self._take_back_what_cannot_be(self._hub.clock.estimate(now) or 0.0)
        since = max(part.since or 0.0 for part in self._ranges.values()) + MARGIN_S
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
        self.believable = max(self.believable, present + AHEAD_S)
        for partition, part in self._ranges.items():
            unproven, part.unproven = part.unproven, 0.0
            if unproven > present + AHEAD_S:
                part.since, part.last = present, min(part.last, present)
                self._skipped("ahead", f"a record of partition {partition} is ahead of its time")
                self.break_off(partition, present)
