"""The hub: which subscriber gets which event, and when it must sync instead. Pure.

Nothing here awaits, reads a clock or knows a socket. Events come from `intake`, in the order of
their partition; times are the database's. The rules, each of which a property test holds:

- A live subscriber stands exactly at its channel's head: the hot path is one `send` each.
- A subscriber whose position lies beyond what has arrived is pending: its sync was ahead of the
  pipeline. It goes live when the pipeline reaches its position.
- Whoever cannot be proven to get a contiguous run from its position gets `sync-required`, which is
  the last frame of its stream: `ring` (too old), `gap` (a record is missing), `restart` (epoch).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import Protocol

from client_sdk.contract.stream import SyncRequired, SyncRequiredReason
from event_server.clock import DatabaseClock, Watermark
from event_server.frames import Event, Frames
from event_server.ring import Ring, Rings


class Subscriber(Protocol):
    """One open stream, as the hub and the timers need it. Compared by identity.

    No method may call back into the hub: a subscriber that must go (its client left, its buffer is
    full) says so later, from the event loop.
    """

    @property
    def backlog(self) -> int:
        """Bytes that were sent to it and have not left the process."""

    def send(self, frame: bytes, /) -> None:
        """Write a frame; ignored after `end`."""

    def end(self, frame: bytes) -> None:
        """Write a last frame and finish the response; what was not written yet may be dropped."""

    def abort(self) -> None:
        """Cut the connection: even the last frame does not go out."""


class _Audience:
    """Who follows one channel."""

    __slots__ = ("head", "live", "pending")

    def __init__(self) -> None:
        self.head = 0
        """Where the live ones stand; meaningless without any."""
        self.live: set[Subscriber] = set()
        self.pending: dict[Subscriber, int] = {}

    def __len__(self) -> int:
        return len(self.live) + len(self.pending)


def _head(ring: Ring | None, audience: _Audience | None) -> int | None:
    """The newest seq that came, as far as anybody still knows it."""
    if ring is not None:
        return ring.head
    return audience.head if audience is not None and audience.live else None


class Hub:
    """Rings, subscribers, watermarks and the epoch of the partitions that this server reads.

    Args:
        rings: what is kept for replay.
        frames: encodes events and makes `sync-required`.
        clock: the database's clock, fed by the watermarks.
        partitions: which are read; the watermark is the least of theirs.
    """

    def __init__(
        self, rings: Rings, frames: Frames, clock: DatabaseClock, partitions: Iterable[int]
    ) -> None:
        self.rings = rings
        self.clock = clock
        self.epoch = ""
        self.warm = False
        """Whether the rings hold what `rings.covered_since` says; false while they are filled."""
        self.published = 0
        self.duplicates = 0
        self.deliveries = 0
        self.gaps = 0
        self.sync_required: dict[str, int] = {"gap": 0, "ring": 0, "restart": 0}
        self._frames = frames
        self._partitions = frozenset(partitions)
        self._watermarks: dict[int, Watermark] = {}
        self._watermark: float | None = None
        self._audiences: dict[str, _Audience] = {}
        self._following: dict[Subscriber, tuple[str, ...]] = {}

    @property
    def watermark(self) -> float | None:
        """All that was committed before it has been handed out; None while that is not known."""
        return self._watermark

    @property
    def channels_followed(self) -> int:
        """How many channels have a subscriber."""
        return len(self._audiences)

    def audiences(self) -> list[tuple[str, Sized]]:
        """The channels that are followed, each with what tells how many follow it; a copy."""
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
        """All that was committed before `watermark` came before this in the partition.

        Returns:
            Whether the database's clock was set back: then nothing that was read before counts,
            all streams have been ended, and the server must warm up again.
        """
        marks = self._watermarks.get(partition)
        if marks is None:
            marks = self._watermarks[partition] = Watermark()
        set_back = marks.take(watermark)
        if set_back:
            self.warm = False
            self.clock.forget()
            self.rings.uncover()
            # The others must still be seen to go back from where they were.
            watermarks = dict(self._watermarks)
            self.forget("gap")
            self._watermarks = watermarks
        if len(self._watermarks) == len(self._partitions):
            self._watermark = min(mark.highest for mark in self._watermarks.values())
        self.clock.observe(watermark, now)
        return set_back

    def publish(self, channel: str, seq: int, event: Event | None, time: float) -> None:
        """One event of one channel, in the order of its partition.

        It is encoded only if somebody follows the channel, now or in time for a replay. None: it is
        committed and does not come this way; whoever lacks it must sync.
        """
        ring = self.rings.get(channel)
        audience = self._audiences.get(channel)
        head = _head(ring, audience)
        if head is not None:
            if seq <= head:
                self.duplicates += 1
                return
            if seq > head + 1:
                self.gaps += 1
        self.published += 1
        self.rings.append(channel, seq, event, time)
        if audience is not None:
            frame = None if event is None else self._frames.order(event)
            self._deliver(channel, audience, seq, frame)

    def forget(self, reason: SyncRequiredReason) -> None:
        """Nothing that was read before counts any more: empty the rings and end all streams."""
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
            subscriber: who.
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
                audience = self._audiences[channel] = _Audience()
            ring = self.rings.get(channel)
            head = _head(ring, audience)
            if head is None or position > head:
                audience.pending[subscriber] = position
                continue
            if ring is not None:
                replay += map(self._frames.order, ring.after(position))
            audience.live.add(subscriber)
            audience.head = head
        self._following[subscriber] = tuple(positions)
        return replay

    def detach(self, subscriber: Subscriber) -> None:
        """The subscriber follows nothing any more; harmless if it did not."""
        for channel in self._following.pop(subscriber, ()):
            audience = self._audiences[channel]
            audience.live.discard(subscriber)
            audience.pending.pop(subscriber, None)
            if not audience.live and not audience.pending:
                del self._audiences[channel]

    # Rules ----------------------------------------------------------------------------------

    def _refusal(
        self,
        positions: Mapping[str, int],
        synced: Mapping[str, int],
        issued_at: float,
        epoch: str,
    ) -> SyncRequired | None:
        first = next(iter(positions))
        if epoch != self.epoch:
            return SyncRequired(first, "restart")
        if issued_at < self.rings.covered_since:
            return SyncRequired(first, "ring")
        for channel, position in positions.items():
            if not self._covers(channel, position, synced[channel]):
                return SyncRequired(channel, "ring")
        return None

    def _covers(self, channel: str, position: int, synced: int) -> bool:
        """Whether all that the channel has beyond `position` is at hand or yet to come."""
        ring = self.rings.get(channel)
        if ring is not None:
            # Below its own sync the client asks for what may be older than the rings: only what
            # is here counts. From its sync on, what is not here is yet to come.
            at_hand = position < synced <= ring.head or position >= synced
            return at_hand and position >= ring.floor - 1
        return position >= max(synced, _head(None, self._audiences.get(channel)) or 0)

    def _deliver(self, channel: str, audience: _Audience, seq: int, frame: bytes | None) -> None:
        live = audience.live
        if live:
            if seq == audience.head + 1 and frame is not None:
                for subscriber in live:
                    subscriber.send(frame)
                self.deliveries += len(live)
            else:
                for subscriber in list(live):
                    self._require_sync(subscriber, channel, "gap")
        audience.head = seq
        if not audience.pending:
            return
        for subscriber, position in list(audience.pending.items()):
            if seq < position:
                continue
            if seq > position and (seq > position + 1 or frame is None):
                self._require_sync(subscriber, channel, "gap")
                continue
            del audience.pending[subscriber]
            live.add(subscriber)
            if seq == position + 1 and frame is not None:
                subscriber.send(frame)
                self.deliveries += 1

    def _require_sync(
        self, subscriber: Subscriber, channel: str, reason: SyncRequiredReason
    ) -> None:
        self.sync_required[reason] += 1
        self.detach(subscriber)
        subscriber.end(self._frames.sync_required(SyncRequired(channel, reason)))
