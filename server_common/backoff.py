"""How long to wait between attempts that fail: twice as long each time, up to a bound. Pure."""

from __future__ import annotations

from collections.abc import Callable


def next_wait(previous_s: float, first_s: float, most_s: float) -> float:
    """The wait after another failure.

    Args:
        previous_s: the wait before it, in seconds; 0 after a success.
        first_s: the first wait.
        most_s: the longest one.
    """
    return min(max(previous_s * 2, first_s), most_s)


class Backoff:
    """The waits of one loop, with jitter: processes that failed together retry spread out.

    Args:
        first_s: the first wait, in seconds.
        most_s: the longest one.
        uniform: a random number evenly between two (`random.uniform`).
    """

    def __init__(
        self, first_s: float, most_s: float, uniform: Callable[[float, float], float]
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._uniform = uniform
        self._wait_s = 0.0

    def failed(self) -> float:
        """Count a failure. Returns how long to wait now, in seconds: half of the wait or more."""
        self._wait_s = next_wait(self._wait_s, self._first_s, self._most_s)
        return self._uniform(self._wait_s / 2, self._wait_s)

    def forget(self) -> None:
        """Let the next failure count as the first."""
        self._wait_s = 0.0
