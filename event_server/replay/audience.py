"""The subscribers of one channel, and whether a stream may begin at its client's position. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

from event_server.replay.ring import MARGIN_S, Ring


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
        """Cut the connection, without sending the last frame."""


Failed = Callable[[Subscriber, Exception], None]
"""Called for a subscriber that could not be written to and has been cut off."""
Ended = Callable[[Subscriber], None]
"""Called for a subscriber that was sent `sync-required` as its last frame."""


class Claim(NamedTuple):
    """A client's position in a channel, and the proof of it."""

    position: int
    """The last seq that it has."""
    synced: int
    """The seq that its ticket names."""
    issued_at: float
    """When the ticket's sync read the log."""


class Ahead:
    """Subscribers ahead of a channel's head, until the watermark has passed their sync."""

    def __init__(self) -> None:
        self._claims: dict[tuple[Subscriber, str], Claim] = {}
        self._next_due = math.inf

    def add(self, subscriber: Subscriber, channel: str, claim: Claim) -> None:
        """Watch it."""
        self._claims[subscriber, channel] = claim
        self._next_due = min(self._next_due, claim.issued_at + MARGIN_S)

    def due(self, watermark: float | None) -> list[tuple[Subscriber, str, Claim]]:
        """Take out those whose channel's head must have reached them by now."""
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
        """Where the live ones stand; meaningless without any."""
        self.live: set[Subscriber] = set()
        self.pending: dict[Subscriber, Claim] = {}

    def __len__(self) -> int:
        return len(self.live) + len(self.pending)

    def advance(
        self, seq: int
    ) -> tuple[list[Subscriber], list[tuple[Subscriber, Claim]], list[Subscriber]]:
        """The channel has reached `seq`: pending subscribers at that position are live now.

        Returns:
            Of those that were pending: who needs this very event, who is still ahead, and who has
            missed events before this one.
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


def head_of(ring: Ring | None, audience: Audience | None) -> int | None:
    """The newest seq that came, as far as it is still known."""
    if ring is not None:
        return ring.head
    return audience.head if audience is not None and audience.live else None


def covers(
    claim: Claim, ring: Ring | None, audience: Audience | None, watermark: float | None
) -> bool:
    """Whether all events after the claimed position are in the ring or yet to come.

    The ticket must be as young as the rings reach back.
    """
    position, synced, _ = claim
    if ring is not None:
        if position > ring.head:
            return position >= synced and not is_disproved(claim, ring.head, watermark)
        # Below its own sync the client asks for what may be older than the rings: only what is
        # here counts.
        return position >= ring.floor - 1 and (position >= synced or synced <= ring.head)
    head = audience.head if audience is not None and audience.live else synced
    if position > head and is_disproved(claim, head, watermark):
        return False
    return position >= max(synced, head)


def is_disproved(claim: Claim, head: int, watermark: float | None) -> bool:
    """Whether the channel, whose head is `head`, cannot have reached the claimed position.

    A ticket vouches for its own cursor and for no more. It vouches for what has not arrived here
    only until all that was committed before its sync must have arrived.
    """
    position, synced, issued_at = claim
    if position <= head:
        return False
    return position > synced or (watermark is not None and watermark >= issued_at + MARGIN_S)
