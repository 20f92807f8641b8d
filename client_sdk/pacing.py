"""Back-off with full jitter, forgotten only after a healthy time. Pure."""

from __future__ import annotations

from collections.abc import Callable

from client_sdk.signals import Settings


class Backoff:
    """How long to wait after failures.

    Args:
        settings: its first and most, and the healthy time (seconds).
        uniform: a random number evenly between two.
    """

    def __init__(self, settings: Settings, uniform: Callable[[float, float], float]) -> None:
        self._settings = settings
        self._uniform = uniform
        self._failed_at = float("-inf")
        self.failures = 0

    def failed(self, now: float) -> float:
        """Count a failure; how long to wait now, in seconds."""
        if now - self._failed_at >= self._settings.healthy_after:
            self.failures = 0
        self.failures += 1
        self._failed_at = now
        most = self._settings.backoff_first * 2 ** min(self.failures - 1, 30)
        return self._uniform(0.0, min(most, self._settings.backoff_most))

    def forget(self) -> None:
        """It has worked: the next failure is the first."""
        self.failures = 0
