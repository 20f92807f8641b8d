"""What the machine remembers of its sync and stream, of pressure and of time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from client_sdk.machine.transport_choice import Via

NEVER: Final = float("inf")
MAX_RESTARTS: Final = 5
_DRIFT: Final = 1e-4
"""The drift assumed between two clocks, as a share of time: more than any two really drift."""


@dataclass(slots=True)
class SyncTrack:
    """The sync under way, if there is one, and when the next is due."""

    generation: int = 0
    active: bool = False
    fills: bool = False
    new_token: bool = False
    wait_s: float = 0.0
    began_at: float = 0.0
    deadline: float = NEVER
    due_at: float = NEVER

    def begin(self, now: float, timeout: float) -> None:
        """Begin a new sync; answers to older ones are stale from now on."""
        self.generation += 1
        self.active = True
        self.began_at = now
        self.deadline = now + timeout
        self.due_at = NEVER

    def end(self) -> None:
        """End the sync: it was answered, has failed, or is not wanted any more."""
        self.active = False
        self.deadline = NEVER

    def is_current(self, generation: int) -> bool:
        """Whether an answer of this generation counts."""
        return self.active and generation == self.generation


@dataclass(slots=True)
class StreamTrack:
    """The stream that is open, if there is one."""

    generation: int = 0
    open: bool = False
    via: Via = "sse"
    hello_at: float | None = None
    began_at: float = 0.0
    events: int = 0
    """Those that were new; what comes twice proves nothing."""
    deadline: float = NEVER

    def begin(self, now: float, timeout: float, via: Via) -> None:
        """Begin a new stream; it must say hello in time."""
        self.generation += 1
        self.open = True
        self.via = via
        self.hello_at = None
        self.began_at = now
        self.events = 0
        self.deadline = now + timeout

    def end(self) -> None:
        """End the stream."""
        self.open = False
        self.hello_at = None
        self.deadline = NEVER

    def is_current(self, generation: int) -> bool:
        """Whether what comes from this generation counts."""
        return self.open and generation == self.generation

    def was_too_short(self, now: float, least: float) -> bool:
        """Whether it brought nothing for so short a time that it counts as failed."""
        return self.hello_at is None or (now - self.began_at < least and self.events == 0)


@dataclass(slots=True)
class Restarts:
    """Answers that began a channel anew although it had a cursor.

    A restore and retention do that now and then. A server that does it again and again would be
    asked again at once each time: more than `MAX_RESTARTS`, each within `forgotten_after` seconds
    of the one before, are a fault.
    """

    forgotten_after: float
    count: int = 0
    last_at: float = -NEVER

    def too_many(self, now: float) -> bool:
        """Count one more. Returns whether there are too many."""
        if now - self.last_at >= self.forgotten_after:
            self.count = 0
        self.count += 1
        self.last_at = now
        return self.count > MAX_RESTARTS


@dataclass(slots=True)
class Pressure:
    """What was delivered and is not acknowledged; paused from `most` until half is done."""

    most: int
    pending: int = 0
    paused: bool = False

    @property
    def full(self) -> bool:
        """Whether nothing more may be taken in."""
        return self.pending >= self.most

    def acknowledged(self, count: int) -> bool:
        """Take off so many acknowledged changes. Returns whether that ends a pause."""
        self.pending -= count
        ends = self.paused and self.pending <= self.most // 2
        self.paused = self.paused and not ends
        return ends


class Knowledge:
    """Up to when Core's log is known here, by Core's clock. All `now` are monotonic seconds."""

    def __init__(self) -> None:
        self.certain_at: float | None = None
        """When (monotonic) it was last certain to know everything."""
        self._known_until: float | None = None
        self._offset: float | None = None
        self._seen_at = 0.0

    def forget(self) -> None:
        """Forget everything: the log began anew, perhaps by another clock."""
        self._known_until = self._offset = None

    def proven(self, until: datetime, now: float) -> None:
        """Note that all that Core committed before `until` is known here."""
        self.certain_at = now
        time = until.timestamp()
        self._known_until = max(time, self._known_until or time)
        if self._offset is None or time - now > self._offset - _DRIFT * (now - self._seen_at):
            self._offset, self._seen_at = time - now, now

    def core_time(self, now: float) -> datetime | None:
        """Core's clock at `now`, as far as it is known; never ahead of it. None: not known."""
        if self._offset is None:
            return None
        return datetime.fromtimestamp(now + self._offset, UTC)

    def lag(self, now: float) -> float | None:
        """How far it is behind Core's clock, in seconds; None: nothing is known yet."""
        if self._known_until is None or self._offset is None:
            return None
        return max(0.0, now + self._offset - self._known_until)
