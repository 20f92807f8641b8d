"""How often a client may do something: a token bucket. Pure."""

from __future__ import annotations


class Rate:
    """A token bucket.

    Args:
        per_s: how many tokens come back each second.
        limit: how many tokens the bucket holds, and holds at the start.
        now: monotonic seconds.
    """

    __slots__ = ("_at", "_left", "_limit", "_per_s")

    def __init__(self, per_s: float, limit: int, now: float) -> None:
        self._per_s = per_s
        self._limit = limit
        self._left = float(limit)
        self._at = now

    def take(self, now: float) -> bool:
        """Take a token. Returns whether there was one."""
        self._left = min(self._limit, self._left + max(0.0, now - self._at) * self._per_s)
        self._at = max(now, self._at)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
