"""How long pushes take: from an event's record in Kafka until it was handed to its streams. Pure.

A record carries the time of the database's clock at which the relay read the event. That clock's
time at the hand-out is estimated (`replay/database_clock.py`); the estimate is too low by the
shortest delivery time to this server, so this machine's own clock is used if both agree.
No promise depends on these figures: a machine whose clock is wrong falls back to the estimate.

The push path only appends a time to a list. The reader of Kafka counts the list once per fetch,
when all events have been written to the transports.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final

from event_server.replay.database_clock import DatabaseClock

BOUNDS_S: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
"""The upper bounds of the histogram; one more bucket takes the rest."""
AGREES_WITHIN_S: Final = 0.25
"""How far ahead of the estimate this machine's clock may be and still be trusted, in seconds."""


class PushLatency:
    """A histogram of the events that were handed to at least one stream.

    Args:
        clock: the estimate of the database's clock.
        wall: seconds since the Unix epoch, by this machine.
    """

    def __init__(self, clock: DatabaseClock, wall: Callable[[], float]) -> None:
        self.sum_s = 0.0
        self._clock = clock
        self._wall = wall
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._waiting: list[float] = []
        self.handed: Callable[[float], None] = self._waiting.append
        """An event of this record time (seconds, the database's) is being handed out."""

    def settle(self, now: float) -> None:
        """Count the events sent since the last call, as sent at `now` (monotonic)."""
        if not self._waiting:
            return
        time = self._database_time(now)
        if time is not None:
            counts = self._counts
            for at in self._waiting:
                took = time - at if time > at else 0.0
                counts[bisect_left(BOUNDS_S, took)] += 1
                self.sum_s += took
        self._waiting.clear()

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound with the number of events up to it; the last bound is infinity."""
        total = 0
        for bound, count in zip((*BOUNDS_S, float("inf")), self._counts, strict=True):
            total += count
            yield bound, total

    def _database_time(self, now: float) -> float | None:
        least = self._clock.estimate(now)
        if least is None:
            return None
        wall = self._wall()
        return wall if 0.0 <= wall - least <= AGREES_WITHIN_S else least
