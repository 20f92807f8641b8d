"""How often a client may do something. Pure."""

from __future__ import annotations


class Rate:
    """So many a second, and so many at once after a rest.

    Args:
        per_s: how many come back each second.
        most: how many may be taken at once.
        now: monotonic seconds.
    """

    __slots__ = ("_at", "_left", "_most", "_per_s")

    def __init__(self, per_s: float, most: int, now: float) -> None:
        self._per_s = per_s
        self._most = most
        self._left = float(most)
        self._at = now

    def take(self, now: float) -> bool:
        """Take one. Returns whether there was one left."""
        self._left = min(self._most, self._left + max(0.0, now - self._at) * self._per_s)
        self._at = max(now, self._at)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
