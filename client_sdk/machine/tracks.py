"""The sync under way, the open stream, and what was delivered and is not acknowledged. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from client_sdk.machine.sse_or_websocket import Via

NEVER: Final = float("inf")


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
        """Begin a new stream; it must say hello in time.

        Args:
            now: monotonic seconds.
            timeout: how long it may take to say hello, in seconds.
            via: what carries it.
        """
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
