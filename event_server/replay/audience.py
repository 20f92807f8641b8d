"""The subscribers of one channel, and those ahead of the received events. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from event_server.replay.coverage import Claim
from event_server.replay.ring import MARGIN_S, EventRing


class Subscriber(Protocol):
    """One open stream, as the hub and the timers need it. Compared by identity.

    No method may call back into the hub: a subscriber that must end (its client left, its buffer is
    full) reports it later, from the event loop.
    """

    @property
    def backlog(self) -> int:
        """Bytes that were sent to it and have not left the process."""

    def send(self, frame: bytes, /) -> None:
        """Write a frame; ignored after `end`."""

    def end(self, frame: bytes) -> None:
        """Write a last frame and finish the response; what was not written yet may be dropped."""

    def abort(self) -> None:
        """Cut the connection, without sending the last frame."""


Failed = Callable[[Subscriber, Exception], None]
"""Called for a subscriber that could not be written to and has been cut off."""
Ended = Callable[[Subscriber], None]
"""Called for a subscriber that was sent `sync-required` as its last frame."""


class Ahead:
    """Subscribers ahead of a channel's head, until the watermark has passed their sync."""

    def __init__(self) -> None:
        self._claims: dict[tuple[Subscriber, str], Claim] = {}
        self._next_due = math.inf

    def add(self, subscriber: Subscriber, channel: str, claim: Claim) -> None:
        """Watch a subscriber until the watermark has passed the sync of its ticket.

        Args:
            subscriber: the stream.
            channel: the name of the channel whose head it is ahead of.
            claim: its position there, and the proof of it.
        """
        self._claims[subscriber, channel] = claim
        self._next_due = min(self._next_due, claim.issued_at + MARGIN_S)

    def due(self, watermark: float | None) -> list[tuple[Subscriber, str, Claim]]:
        """Remove and return those whose position their channel's head must have reached by now."""
        if watermark is None or watermark < self._next_due:
            return []
        due = [
            (subscriber, channel, claim)
            for (subscriber, channel), claim in self._claims.items()
            if claim.issued_at + MARGIN_S <= watermark
        ]
        for subscriber, channel, _ in due:
            del self._claims[subscriber, channel]
        left = (claim.issued_at for claim in self._claims.values())
        self._next_due = min(left, default=math.inf) + MARGIN_S
        return due


class Audience:
    """Who follows one channel."""

    __slots__ = ("head", "live", "pending")

    def __init__(self) -> None:
        self.head = 0
        """The seq of the live ones; meaningless without any."""
        self.live: set[Subscriber] = set()
        self.pending: dict[Subscriber, Claim] = {}

    def __len__(self) -> int:
        return len(self.live) + len(self.pending)

    def advance(
        self, seq: int
    ) -> tuple[list[Subscriber], list[tuple[Subscriber, Claim]], list[Subscriber]]:
        """The channel has reached `seq`: pending subscribers at that position are live now.

        Returns:
            Of those that were pending: those that need this event, those still ahead, and those
            that have missed earlier events.
        """
        self.head = seq
        reached, ahead, missed = [], [], []
        for subscriber, claim in list(self.pending.items()):
            if seq < claim.position:
                ahead.append((subscriber, claim))
            elif seq > claim.position + 1:
                missed.append(subscriber)
            else:
                del self.pending[subscriber]
                self.live.add(subscriber)
                if seq == claim.position + 1:
                    reached.append(subscriber)
        return reached, ahead, missed


def head_of(ring: EventRing | None, audience: Audience | None) -> int | None:
    """The channel's newest seq that has arrived; None: it is no longer known."""
    return live_head(audience) if ring is None else ring.head


def live_head(audience: Audience | None) -> int | None:
    """The seq at which the channel's live subscribers stand; None: it has none."""
    return audience.head if audience is not None and audience.live else None
