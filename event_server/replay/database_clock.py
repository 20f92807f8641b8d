"""An estimate of the database's clock that never trusts a clock of this machine. Pure.

Each time that is known to have passed (a watermark, the issue of a ticket that verifies) is a lower
bound: the database's clock shows at least that, now. The best recent bound, carried on by a
monotonic clock, is the estimate; it can only be too low, by the shortest delay from Core.

If an operator sets the database's clock back, the old bounds are wrong. Two rules correct that: a
bound that no observation comes near for a while is forgotten, and a partition whose watermarks
continue below their maximum shows it at once. Lag never looks like that: a partition has its
watermarks in the order in which they were read from the database's clock.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

BELIEVED_FOR_S: Final = 60.0
"""How long a bound counts at least, in seconds; at most twice as long, if no other reaches it."""
SET_BACK_S: Final = 3.0
"""How long, in watermark time, watermarks must stay below the highest one before the clock counts
as set back; a relay that lost its lease may write a late one."""


class DatabaseClock:
    """An estimate of the database's clock.

    All `now` are seconds of one monotonic clock; all results are seconds since the Unix epoch.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._before: float | None = None
        self._known: float | None = None
        """The best offset of this period and the one before."""
        self._since = 0.0
        self._until = -math.inf
        """When observations begin to count in a new period."""

    def observe(self, passed: float, now: float) -> bool:
        """Note that the database's clock has shown `passed`. Returns whether that raises the
        estimate."""
        if now >= self._until:
            self._age(now)
        offset, known = passed - now, self._known
        if self._offset is None or offset > self._offset:
            self._offset = offset
            self._until = self._since + BELIEVED_FOR_S
        if known is None or offset > known:
            self._known = offset
            return True
        return False

    def estimate(self, now: float) -> float | None:
        """The least that the database's clock shows now; None before the first observation."""
        if now >= self._until:
            self._age(now)
        known = self._known
        return None if known is None else now + known

    def forget(self) -> None:
        """Forget all observations: the clock may be another machine's now, or was set back."""
        self._offset = self._before = self._known = None
        self._until = -math.inf

    def _age(self, now: float) -> None:
        # A period without observations is not ended: the known bound stays.
        if self._offset is None:
            if self._before is None:
                self._since = now
        elif now - self._since >= BELIEVED_FOR_S:
            self._before, self._offset, self._since = self._offset, None, now
            self._known, self._until = self._before, -math.inf


class Watermark:
    """The progress of one partition's watermarks."""

    __slots__ = ("_lowest", "highest")

    def __init__(self) -> None:
        self.highest = 0.0
        self._lowest: float | None = None

    def take(self, watermark: float) -> bool:
        """Take the partition's next watermark. Returns whether the clock was set back, so that it
        counts from here."""
        if watermark >= self.highest:
            self.highest, self._lowest = watermark, None
        elif self._lowest is None or watermark < self._lowest:
            self._lowest = watermark
        elif watermark - self._lowest >= SET_BACK_S:
            self.highest, self._lowest = watermark, None
            return True
        return False


@lru_cache(64)
def rfc3339(seconds: float) -> str:
    """Seconds since the Unix epoch as RFC 3339 in UTC, with microseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return f"{text.removesuffix('+00:00')}Z"
