"""The database's clock as this process can know it, without ever trusting a clock of its own.

Each time that is known to have passed (a watermark, the issue of a ticket that verifies) is a lower
bound: the database's clock shows at least that, now. The best recent bound, carried on by a
monotonic clock, is the estimate; it errs to the late side only, by the quickest way from Core.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

DECAY: Final = 1e-4
"""How fast a bound loses weight, in seconds per second: more than any two clocks drift apart."""


class DatabaseClock:
    """An estimate of the database's clock.

    All `now` are seconds of one monotonic clock; all results are seconds since the Unix epoch.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._seen_at = 0.0

    def observe(self, passed: float, now: float) -> None:
        """The database's clock has shown `passed`."""
        offset = passed - now
        if self._offset is None or offset > self._decayed(now):
            self._offset, self._seen_at = offset, now

    def estimate(self, now: float) -> float | None:
        """What the database's clock shows at least; None before the first observation."""
        return None if self._offset is None else now + self._offset

    def forget(self) -> None:
        """Start anew: the log began anew, perhaps on another machine's clock."""
        self._offset = None

    def _decayed(self, now: float) -> float:
        assert self._offset is not None  # noqa: S101
        return self._offset - DECAY * (now - self._seen_at)


def rfc3339(seconds: float) -> str:
    """Seconds since the Unix epoch as RFC 3339 in UTC, with microseconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
