"""When a watermark is due, and how soon the outbox is read again. Pure.

Watermarks are the proof of promise 5 (silence is proven): all that was committed before one has
been published. `cycle.py` says when one may be written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from core_api.relay.held_shard import HeldShard
from server_common.backoff import next_wait

WATERMARK_ACTIVE_S: Final = 0.2
"""How soon after a watermark the next is due, in seconds, if events were published meanwhile."""
WATERMARK_IDLE_S: Final = 0.5
"""How soon the next is due while nothing happens; the contract is at least one a second."""

SHORTEST_PAUSE_S: Final = 0.002
LONGEST_PAUSE_S: Final = 0.05
"""The longest pause between reads while hints are not relied on, in seconds."""
DOUBT_S: Final = 60.0
"""How long hints are not relied on after a missing one, in seconds."""
LATE_S: Final = 1.0
"""A hint that comes within so many seconds after its event was found was only late."""


def watermark_due(now: float, sent_at: float | None, published_since: bool) -> bool:
    """Whether a watermark record is due for a shard that has been read to its end.

    A watermark may only follow a read below its limit, after all records of that read in the same
    partition: then everything committed before the read's time comes before it.

    Args:
        now: seconds, of any clock that only goes forward.
        sent_at: when the shard's last watermark was sent by the same clock, if ever.
        published_since: whether events have been published after it.
    """
    if sent_at is None:
        return True
    return now - sent_at >= _watermark_every(published_since)


def _watermark_every(published_since: bool) -> float:
    return WATERMARK_ACTIVE_S if published_since else WATERMARK_IDLE_S


def next_pause(previous_s: float, found: bool, more: bool) -> float:
    """How long to wait before the next read; a hint cuts it short.

    0 while more rows are known to be there; `SHORTEST_PAUSE_S` after a read that found all; then
    doubling up to `LONGEST_PAUSE_S`.

    Args:
        previous_s: the pause before the last read, in seconds.
        found: whether that read found any rows.
        more: whether it has left some.
    """
    if more:
        return 0.0
    return next_wait(0.0 if found else previous_s, SHORTEST_PAUSE_S, LONGEST_PAUSE_S)


class Pacer:
    """How long the relay pauses between two reads; a hint or an answer wakes it earlier.

    Each commit is followed by a hint. While hints arrive, nothing needs to be read before the next
    watermark is due, not even after events: an event that a read below its limit has not found was
    committed later, so its hint is still to come, or came meanwhile and wakes the relay. A hint may
    be lost (the committing process died, or a connection broke unnoticed): then the watermark's
    read finds the event, and hints are not relied on for `DOUBT_S`, unless one comes within
    `LATE_S`.
    """

    def __init__(self) -> None:
        self._pause = 0.0
        self._relies = False
        self._doubts_since = -math.inf

    def note(self, now: float, *, found: bool, more: bool, hinted: bool) -> None:
        """Record the result of a read.

        Args:
            now: seconds, of any clock that only goes forward.
            found: whether it brought events.
            more: whether it may have left some, because it reached its limit.
            hinted: whether a hint came in the pause before it.
        """
        if hinted and now < self._doubts_since + LATE_S:
            self._doubts_since = -math.inf
        if found and self._relies and not hinted:
            self._doubts_since = now
        self._pause = next_pause(self._pause, found, more)

    def rest(self, now: float, hinted: bool, held: Iterable[HeldShard]) -> float:
        """How long to pause now, in seconds; infinity: until something wakes the relay.

        Args:
            now: by the clock of `note`.
            hinted: whether hints are known to arrive.
            held: the shards that are owned and await no answer of Kafka.
        """
        shards = list(held)
        self._relies = False
        if not self._pause or (shards and (not hinted or now < self._doubts_since + DOUBT_S)):
            return self._pause
        due = math.inf
        for one in shards:
            if one.watermark_at is None or not one.is_calm:
                return self._pause
            due = min(due, one.watermark_at + _watermark_every(one.published_since))
        self._relies = bool(shards)
        # A timer that ends a little early must not cause a useless read. And shards that become due
        # within a pause are read together, as without hints, not one by one.
        return max(self._pause, due - now + SHORTEST_PAUSE_S)
