"""The hub: which subscriber gets which event, and when it must sync instead. Pure.

Nothing here awaits, reads a clock or knows a socket. Events come from `kafka/record_reader.py`, in
the order of their partition; times are the database's. The rules, each of which a property test
holds:

- A live subscriber is exactly at its channel's head: the hot path is one `send` each.
- A subscriber whose position is beyond the received events is pending: its sync was ahead of the
  pipeline. It goes live when the pipeline reaches its position.
- A repeated event is dropped by its seq: events of a brand and of all stores come with every
  partition.
- A subscriber that may not get contiguous events gets `sync-required`, the last
  frame of its stream: `ring` (too old, or ahead of all possible commits), `gap` (a record is
  missing), `restart` (epoch).
- A subscriber that cannot be written to is cut off, and all others get their events.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sized

from client_sdk.contract.channel import is_in_every_partition
from client_sdk.contract.stream import SyncRequired, SyncRequiredReason
from event_server.replay.audience import (
    Ahead,
    Audience,
    Ended,
    Failed,
    Subscriber,
    head_of,
    live_head,
)
from event_server.replay.coverage import Claim, covers, is_disproved
from event_server.replay.database_clock import DatabaseClock, Watermark
from event_server.replay.frames import Frames, UnencodedEvent
from event_server.replay.ring import Rings


class Hub:
    """Rings, subscribers, watermarks and the epoch of the partitions that this server reads.

    Args:
        rings: what is kept for replay.
        frames: encodes events and makes `sync-required`.
        clock: the database's clock, fed by the watermarks.
        partitions: which are read; the watermark is the least of theirs.
        failed: called for subscribers that cannot be written to.
    """

    def __init__(
        self,
        rings: Rings,
        frames: Frames,
        clock: DatabaseClock,
        partitions: Iterable[int],
        failed: Failed = lambda _subscriber, _error: None,
    ) -> None:
        self.rings = rings
        self.clock = clock
        self.epoch = ""
        self.warm = False
        """Whether `rings.covered_since` is valid; false while the rings are being filled."""
        self.published = 0
        self.duplicates = 0
        self.copies = 0
        """Events of channels of no store that had come before, mostly by another partition."""
        self.deliveries = 0
        self.gaps = 0
        self.sync_required: dict[str, int] = {"gap": 0, "ring": 0, "restart": 0}
        self._frames = frames
        self._partitions = frozenset(partitions)
        self._watermarks: dict[int, Watermark] = {}
        self._watermark: float | None = None
        self._audiences: dict[str, Audience] = {}
        self._following: dict[Subscriber, tuple[str, ...]] = {}
        self._ahead = Ahead()
        self._failed = failed
        self.on_end: Ended = lambda _subscriber: None
        """Called for each subscriber that the hub has ended; set by the registry of streams."""

    @property
    def watermark(self) -> float | None:
        """All commits before it have been sent to subscribers; None while that is not known."""
        return self._watermark

    @property
    def channels_followed(self) -> int:
        """How many channels have a subscriber."""
        return len(self._audiences)

    def audiences(self) -> list[tuple[str, Sized]]:
        """The followed channels, each with its audience; a copy."""
        return list(self._audiences.items())

    def lag(self, now: float) -> float | None:
        """How far the watermark is behind the database's clock, in seconds; None: not known."""
        watermark, time = self.watermark, self.clock.estimate(now)
        return None if watermark is None or time is None else max(0.0, time - watermark)

    # What comes from Kafka ------------------------------------------------------------------

    def admit(self, epoch: str) -> bool:
        """Whether a record of this epoch counts; a newer one than ever ends all streams."""
        if epoch == self.epoch:
            return True
        if epoch < self.epoch:
            return False
        first, self.epoch = not self.epoch, epoch
        if not first:
            self.clock.forget()
            self.forget("restart")
        return True

    def mark(self, partition: int, watermark: float, now: float) -> bool:
        """Take a watermark: the partition has brought all earlier commits.

        Args:
            partition: the number of a partition that is read.
            watermark: seconds since the Unix epoch, by the database's clock.
            now: monotonic seconds.

        Returns:
            Whether the database's clock was set back: then all earlier reads are void, all streams
            have been ended, and the server must warm up again.
        """
        marks = self._watermarks.get(partition)
        if marks is None:
            marks = self._watermarks[partition] = Watermark()
        set_back = marks.take(watermark)
        if set_back:
            self.warm = False
            self.clock.forget()
            self.rings.uncover()
            # The other partitions must still show that they have gone back.
            watermarks = dict(self._watermarks)
            self.forget("gap")
            self._watermarks = watermarks
        if len(self._watermarks) == len(self._partitions):
            self._watermark = min(mark.highest for mark in self._watermarks.values())
        for subscriber, channel, claim in self._ahead.due(self._watermark):
            audience = self._audiences.get(channel)
            if audience is not None and audience.pending.get(subscriber) is claim:
                head = head_of(self.rings.get(channel), audience)
                if head is not None and is_disproved(claim, head, self._watermark):
                    self._require_sync(subscriber, channel, "ring")
        self.clock.observe(watermark, now)
        return set_back

    def publish(self, channel: str, seq: int, event: UnencodedEvent, time: float) -> None:
        """Take one event of one channel, in the order of its partition.

        It is encoded only if somebody follows the channel, now or in time for a replay.

        Args:
            channel: its name.
            seq: the event's number there.
            event: its id, type and data from the record.
            time: when the record was written, by the database's clock.
        """
        ring = self.rings.get(channel)
        audience = self._audiences.get(channel)
        head = head_of(ring, audience)
        if head is not None:
            if seq <= head:
                self._count_again(channel)
                return
            # Each partition carries such a channel whole, from where its own reading began.
            if seq > head + 1 and (self.warm or not is_in_every_partition(channel)):
                self.gaps += 1
        self.published += 1
        self.rings.append(channel, seq, event, time)
        if audience is not None:
            self._deliver(channel, audience, seq, self._frames.event(event))

    def omit(self, channel: str, seq: int, time: float) -> None:
        """Take one event without its content: subscribers that need it must sync.

        Args:
            channel: its name.
            seq: the event's number there.
            time: when the record was written, by the database's clock.
        """
        audience = self._audiences.get(channel)
        head = head_of(self.rings.get(channel), audience)
        if head is not None and seq <= head:
            return
        self.rings.omit(channel, seq, time)
        if audience is None:
            return
        live = list(audience.live)
        for subscriber in [*live, *self._advance(channel, audience, seq)]:
            self._require_sync(subscriber, channel, "gap")

    def break_off(
        self, concerns: Callable[[str], bool], time: float, believable: float = math.inf
    ) -> None:
        """Handle missing events of unknown channels and number.


        Args:
            concerns: whether a channel may be affected.
            time: all of them were committed before it, or a moment later.
            believable: a record's time after this one is wrong.
        """
        self.gaps += 1
        self.rings.break_off(concerns, time, believable)
        for channel, audience in list(self._audiences.items()):
            if concerns(channel):
                for subscriber in [*audience.live, *audience.pending]:
                    self._require_sync(subscriber, channel, "gap")

    def forget(self, reason: SyncRequiredReason) -> None:
        """Empty the rings and end all streams, as all earlier reads are void."""
        self.rings.clear()
        self._watermarks.clear()
        self._watermark = None
        for subscriber, channels in list(self._following.items()):
            self._require_sync(subscriber, channels[0], reason)

    # Subscribers ----------------------------------------------------------------------------

    def attach(
        self,
        subscriber: Subscriber,
        positions: Mapping[str, int],
        synced: Mapping[str, int],
        issued_at: float,
        epoch: str,
    ) -> list[bytes] | SyncRequired:
        """Let a subscriber follow channels, from its positions on.

        Args:
            subscriber: the follower; it may follow others already, but none of these.
            positions: the last seq that it has, per channel.
            synced: the seq its ticket names for each of these channels.
            issued_at: when the ticket's sync read the log.
            epoch: the ticket's.

        Returns:
            What it missed, to be written before anything else; from now on it gets the rest.
            Or why it must sync: then it is not attached.
        """
        refused = self._refusal(positions, synced, issued_at, epoch)
        if refused is not None:
            self.sync_required[refused.reason] += 1
            return refused
        replay: list[bytes] = []
        for channel, position in positions.items():
            audience = self._audiences.get(channel)
            if audience is None:
                audience = self._audiences[channel] = Audience()
            ring = self.rings.get(channel)
            head = head_of(ring, audience)
            if head is None or position > head:
                claim = Claim(position, synced[channel], issued_at)
                audience.pending[subscriber] = claim
                if head is not None:
                    self._ahead.add(subscriber, channel, claim)
                continue
            if ring is not None and position < head:
                replay += map(self._frames.event, ring.after(position))
            audience.live.add(subscriber)
            audience.head = head
        before = self._following.get(subscriber)
        self._following[subscriber] = (*before, *positions) if before else tuple(positions)
        return replay

    def detach(self, subscriber: Subscriber) -> None:
        """Remove the subscriber from all channels; harmless if it followed none."""
        self._remove(subscriber, self._following.pop(subscriber, ()))

    def leave(self, subscriber: Subscriber, channels: Collection[str]) -> None:
        """Let a subscriber follow these channels no more; harmless for those it does not."""
        following = self._following.get(subscriber, ())
        left = tuple(channel for channel in following if channel not in channels)
        self._remove(subscriber, [channel for channel in following if channel in channels])
        if left:
            self._following[subscriber] = left
        else:
            self._following.pop(subscriber, None)

    def channels_of(self, subscriber: Subscriber) -> tuple[str, ...]:
        """What the subscriber follows."""
        return self._following.get(subscriber, ())

    def followers(self, channel: str) -> list[Subscriber]:
        """Who follows the channel; a copy."""
        audience = self._audiences.get(channel)
        return [] if audience is None else [*audience.live, *audience.pending]

    def _remove(self, subscriber: Subscriber, channels: Iterable[str]) -> None:
        for channel in channels:
            audience = self._audiences[channel]
            audience.live.discard(subscriber)
            audience.pending.pop(subscriber, None)
            if not audience.live and not audience.pending:
                del self._audiences[channel]

    # Rules ----------------------------------------------------------------------------------

    def _refusal(
        self, positions: Mapping[str, int], synced: Mapping[str, int], issued_at: float, epoch: str
    ) -> SyncRequired | None:
        if epoch != self.epoch:
            return SyncRequired(next(iter(positions)), "restart")
        if issued_at < self.rings.covered_since:
            return SyncRequired(next(iter(positions)), "ring")
        for channel, position in positions.items():
            ring, audience = self.rings.get(channel), self._audiences.get(channel)
            head = head_of(ring, audience)
            if position == synced[channel] and (head is None or head == position):
                continue  # `covers` says so too: nothing came since its sync
            claim = Claim(position, synced[channel], issued_at)
            if not covers(claim, ring, live_head(audience), self._watermark):
                return SyncRequired(channel, "ring")
        return None

    def _count_again(self, channel: str) -> None:
        """An event has come before."""
        if is_in_every_partition(channel):
            self.copies += 1
        else:
            self.duplicates += 1

    def _deliver(self, channel: str, audience: Audience, seq: int, frame: bytes) -> None:
        live = audience.live
        if live:
            if seq == audience.head + 1:
                self._write(live, frame)
            else:
                for subscriber in list(live):
                    self._require_sync(subscriber, channel, "gap")
        audience.head = seq
        if audience.pending:
            self._write(self._advance(channel, audience, seq), frame)

    def _advance(self, channel: str, audience: Audience, seq: int) -> list[Subscriber]:
        """The pending subscribers that need this event."""
        reached, ahead, missed = audience.advance(seq)
        for subscriber, claim in ahead:
            if is_disproved(claim, seq, self._watermark):
                self._require_sync(subscriber, channel, "ring")
            else:
                self._ahead.add(subscriber, channel, claim)
        for subscriber in missed:
            self._require_sync(subscriber, channel, "gap")
        return reached

    def _write(self, subscribers: Collection[Subscriber], frame: bytes) -> None:
        broken: list[tuple[Subscriber, Exception]] = []
        for subscriber in subscribers:
            try:
                subscriber.send(frame)
            except Exception as error:
                broken.append((subscriber, error))
        self.deliveries += len(subscribers) - len(broken)
        for subscriber, reason in broken:
            self.cut_off(subscriber, reason)

    def _require_sync(
        self, subscriber: Subscriber, channel: str, reason: SyncRequiredReason
    ) -> None:
        self.sync_required[reason] += 1
        self.detach(subscriber)
        try:
            subscriber.end(self._frames.sync_required(SyncRequired(channel, reason)))
        except Exception as error:
            self.cut_off(subscriber, error)
        else:
            self.on_end(subscriber)

    def cut_off(self, subscriber: Subscriber, error: Exception) -> None:
        """Cut off a subscriber that cannot be written to, and no other."""
        self.detach(subscriber)
        with contextlib.suppress(Exception):
            subscriber.abort()
        self._failed(subscriber, error)
