"""Core's clock as far as it is known here, and up to when Core's log is known. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

DRIFT: Final = 1e-4
"""The drift assumed between two clocks, as a share of time: more than any two really drift."""


class Freshness:
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
        if self._offset is None or time - now > self._offset - DRIFT * (now - self._seen_at):
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
