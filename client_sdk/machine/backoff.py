"""Back-off with full jitter, forgotten only after a healthy time; too many restarts. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from client_sdk.settings import Settings

MAX_RESTARTS: Final = 5


def longest_wait(failures: int, first: float, limit: float = float("inf")) -> float:
    """How long to wait at most after so many failures in a row: twice as long after each.

    Args:
        failures: one or more.
        first: the wait after the first.
        limit: the bound of all.
    """
    return min(first * 2.0 ** min(failures - 1, 30), limit)


class Backoff:
    """How long to wait after failures.

    Args:
        settings: its first and most, and the healthy time (seconds).
        uniform: a random number evenly between two.
    """

    def __init__(self, settings: Settings, uniform: Callable[[float, float], float]) -> None:
        self._settings = settings
        self._uniform = uniform
        self._well_since: float | None = None
        self.failures = 0

    def well_for(self, now: float) -> float:
        """For how many seconds it has worked; 0: it does not."""
        return 0.0 if self._well_since is None else now - self._well_since

    def failed(self, now: float, limit: float = float("inf")) -> float:
        """Count a failure. Returns how long to wait now, in seconds: never more than `limit`."""
        well = self._well_since
        if well is not None and now - well >= self._settings.healthy_after:
            self.failures = 0
        self._well_since = None
        self.failures += 1
        first, bound = self._settings.backoff_first, min(self._settings.backoff_most, limit)
        return self._uniform(0.0, longest_wait(self.failures, first, bound))

    def well(self, now: float) -> None:
        """Note that it works since `now`, or before; a mere connect resets nothing."""
        if self._well_since is None:
            self._well_since = now

    def forget(self) -> None:
        """Reset after a full answer: the next failure counts as the first."""
        self.failures = 0


@dataclass(slots=True)
class Restarts:
    """Answers that began a channel anew although it had a cursor.

    A restore and retention do that now and then. A server that does it again and again would be
    asked again at once each time: more than `MAX_RESTARTS`, each within `forgotten_after` seconds
    of the one before, are a fault.
    """

    forgotten_after: float
    count: int = 0
    last_at: float = -float("inf")

    def too_many(self, now: float) -> bool:
        """Count one more. Returns whether there are too many."""
        if now - self.last_at >= self.forgotten_after:
            self.count = 0
        self.count += 1
        self.last_at = now
        return self.count > MAX_RESTARTS
