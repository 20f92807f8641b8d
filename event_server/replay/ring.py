"""The newest events of each channel. `hub.py:Hub.attach` decides what a stream gets of them. Pure.

They are kept for clients that connect a moment after their sync. A ring is a contiguous run of
events up to the channel's newest seq. It is bounded by count, by age and, all rings together, by
bytes. The bounds of age and bytes remove whole seconds of record time, oldest first, over all
channels; `covered_since` rises with them. An empty ring is deleted, so that memory depends on
recent commits and not on how many channels ever existed. `hub.py` also decides which events are
dropped as copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from event_server.replay.frames import UnencodedEvent

EVENT_OVERHEAD: Final = 280
"""The bytes that one kept event costs beside its line (tuples, float, id, list slots, headers)."""

MARGIN_S: Final = 1.0
"""The relay reads the time just before it reads the outbox, so a record can have a commit that came
a moment after the record's time. Coverage begins this much later."""


class EventRing(Struct, eq=False, gc=False):  # it is in no reference cycle
    """One channel's run of (record time, event), the newest at `head`."""

    entries: list[tuple[float, UnencodedEvent]] = []
    head: int = 0
    marked: int = -1
    """The second under which the ring was last registered for expiry."""

    @property
    def floor(self) -> int:
        """The oldest seq that is kept."""
        return self.head - len(self.entries) + 1

    def after(self, seq: int) -> list[UnencodedEvent]:
        """The events from `seq` + 1 up to the head."""
        return [event for _, event in self.entries[seq + 1 - self.floor :]]


class Rings:
    """All channels' rings under their common bounds.

    Args:
        max_events: how many events one ring keeps.
        max_bytes: how much all rings keep, `EVENT_OVERHEAD` included.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._rings: dict[str, EventRing] = {}
        # The dictionary's own method, because every event of the topic asks.
        self.get: Callable[[str], EventRing | None] = self._rings.get
        """The channel's ring; None: nothing was committed in it since `covered_since`."""
        self._by_second: dict[int, list[str]] = {}
        self.covered_since = math.inf
        """All commits after this time (of the database) are in the rings, or yet to come."""
        self.evicted_before = 0.0
        """The least possible `covered_since`, by the removed events."""
        self.bytes = 0
        self.events = 0
        self.evicted_for_space = 0

    def __len__(self) -> int:
        return len(self._rings)

    def append(self, channel: str, seq: int, event: UnencodedEvent, time: float) -> None:
        """Keep an event; a seq that does not follow the head restarts the channel's ring.

        Args:
            channel: its name.
            seq: the event's number there.
            event: what is replayed.
            time: when its record was written, by the database's clock.
        """
        ring = self._rings.get(channel)
        if ring is None:
            ring = self._rings[channel] = EventRing()
        elif seq != ring.head + 1:
            self._drop(ring, len(ring.entries))
        elif len(ring.entries) >= self._max_events:
            _, gone = ring.entries.pop(0)
            self.bytes -= len(gone[2]) + EVENT_OVERHEAD
            self.events -= 1
        entries = ring.entries
        # Within a ring times never fall, so that each second can cut off a first part of it.
        if entries:
            time = max(time, entries[-1][0])
        elif time < ring.marked:
            time = float(ring.marked)
        entries.append((time, event))
        ring.head = seq
        self.bytes += len(event[2]) + EVENT_OVERHEAD
        self.events += 1
        second = int(time)
        if ring.marked != second:
            ring.marked = second
            self._by_second.setdefault(second, []).append(channel)
        while self.bytes > self._max_bytes:
            self.evicted_for_space += 1
            self._expire_second(min(self._by_second))

    def omit(self, channel: str, seq: int, time: float) -> None:
        """Keep only an event's seq: the ring begins after it.

        Args:
            channel: its name.
            seq: the event's number there.
            time: when its record was written, by the database's clock.
        """
        ring = self._rings.get(channel)
        if ring is None:
            ring = self._rings[channel] = EventRing()
        self._drop(ring, len(ring.entries))
        ring.head = seq
        second = max(int(time), ring.marked)
        if ring.marked != second:
            ring.marked = second
            self._by_second.setdefault(second, []).append(channel)

    def break_off(
        self, concerns: Callable[[str], bool], time: float, believable: float = math.inf
    ) -> None:
        """Drop the rings of some channels: they may lack commits up to `time`.

        A dropped ring may hold events newer than `time`, of another partition or of a relay that
        wrote late. Coverage then starts after the newest of them.

        Args:
            concerns: whether a channel is affected.
            time: as above.
            believable: a time after this one is wrong.
        """
        for channel in [name for name in self._rings if concerns(name)]:
            ring = self._rings.pop(channel)
            newest = ring.entries[-1][0] if ring.entries else ring.marked + 1.0
            if time < newest <= believable:
                time = newest
            self._drop(ring, len(ring.entries))
        self.cover_from(time)

    def cover_from(self, time: float) -> None:
        """Set the coverage: a commit up to `time` is missing in the rings."""
        self.evicted_before = max(self.evicted_before, time + MARGIN_S)
        self.covered_since = max(self.covered_since, self.evicted_before)

    def expire(self, before: float) -> None:
        """Remove what is older than `before`."""
        for second in sorted(second for second in self._by_second if second + 1 <= before):
            self._expire_second(second)

    def uncover(self) -> None:
        """Remove everything; nothing is covered until `covered_since` is set."""
        self.clear()
        self.covered_since = math.inf
        self.evicted_before = 0.0

    def clear(self) -> None:
        """Remove everything, as nobody needs it."""
        self._rings.clear()
        self._by_second.clear()
        self.bytes = self.events = 0

    def _expire_second(self, second: int) -> None:
        end = float(second + 1)
        for channel in self._by_second.pop(second):
            ring = self._rings.get(channel)
            if ring is None:
                continue
            old = next((i for i, (t, _) in enumerate(ring.entries) if t >= end), len(ring.entries))
            self._drop(ring, old)
            if not ring.entries and ring.marked <= second:
                del self._rings[channel]
        self.evicted_before = max(self.evicted_before, end + MARGIN_S)
        self.covered_since = max(self.covered_since, self.evicted_before)

    def _drop(self, ring: EventRing, count: int) -> None:
        gone = sum(len(event[2]) for _, event in ring.entries[:count])
        self.bytes -= gone + EVENT_OVERHEAD * count
        self.events -= count
        del ring.entries[:count]
