"""When a watermark is due, and how soon the outbox is read again. Pure."""

from __future__ import annotations

from typing import Final

from server_common.backoff import next_wait

WATERMARK_ACTIVE_S: Final = 0.2
"""How soon after a watermark the next is due, in seconds, if events were published meanwhile."""
WATERMARK_IDLE_S: Final = 0.5
"""How soon the next is due while nothing happens; the contract is at least one a second."""

SHORTEST_PAUSE_S: Final = 0.002
LONGEST_PAUSE_S: Final = 0.05


def watermark_due(now: float, sent_at: float | None, published_since: bool) -> bool:
    """Whether a watermark record is due for a shard that has been read to its end.

    A watermark may only follow a read that came back not full, behind all the records of that read
    in the same partition: then everything committed before the read's time stands before it.

    Args:
        now: seconds, of any clock that only goes forward.
        sent_at: when the shard's last watermark was sent by the same clock, if ever.
        published_since: whether events have been published after it.
    """
    if sent_at is None:
        return True
    return now - sent_at >= (WATERMARK_ACTIVE_S if published_since else WATERMARK_IDLE_S)


def next_pause(previous_s: float, found: bool) -> float:
    """How long to wait before the next read; a hint cuts it short.

    Nothing while there is work; then from `SHORTEST_PAUSE_S` doubling up to `LONGEST_PAUSE_S`.
    """
    if found:
        return 0.0
    return next_wait(previous_s, SHORTEST_PAUSE_S, LONGEST_PAUSE_S)
