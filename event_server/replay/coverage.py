"""Whether a stream may begin at its client's position: promise 4, no blind window. Pure.

A ticket proves that its client was at some seq of the channel at a time of the database. The rings
have all commits since `covered_since` (`kafka/warm_up.py`), and `Hub` refuses an older ticket. This
module proves that nothing is missing between the client's position and the ring.
"""

from __future__ import annotations

from typing import NamedTuple

from event_server.replay.ring import MARGIN_S, EventRing


class Claim(NamedTuple):
    """A client's position in a channel, and the proof of it."""

    position: int
    """The last seq that it has."""
    synced: int
    """The seq that its ticket names."""
    issued_at: float
    """When the ticket's sync read the log."""


def covers(
    claim: Claim, ring: EventRing | None, live_head: int | None, watermark: float | None
) -> bool:
    """Whether all events after the claimed position are in the ring or yet to come.

    Args:
        claim: of a ticket that was issued within the time that the rings cover.
        ring: the channel's; None: nothing was committed to it in that time.
        live_head: the seq at which the channel's live subscribers stand; None: it has none.
        watermark: the time up to which every commit has arrived here; None: not known yet.
    """
    position, synced, _ = claim
    if ring is not None:
        if position > ring.head:
            return position >= synced and not is_disproved(claim, ring.head, watermark)
        # A position before the ticket's sync may be older than the rings, so only the ring's events
        # count.
        return position >= ring.floor - 1 and (position >= synced or synced <= ring.head)
    head = synced if live_head is None else live_head
    if position > head and is_disproved(claim, head, watermark):
        return False
    return position >= max(synced, head)


def is_disproved(claim: Claim, head: int, watermark: float | None) -> bool:
    """Whether the channel cannot have reached the claimed position.

    A ticket proves its own cursor only. It proves a position beyond the head only until all commits
    before its sync must have arrived.

    Args:
        claim: the position, and what its client's ticket says.
        head: the newest seq of the channel here.
        watermark: the time up to which every commit has arrived here; None: not known yet.
    """
    position, synced, issued_at = claim
    if position <= head:
        return False
    return position > synced or (watermark is not None and watermark >= issued_at + MARGIN_S)
