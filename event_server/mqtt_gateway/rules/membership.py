"""Whether this gateway may still publish: as long as no other can have its partitions. Pure.

A process that was suspended does not know for how long. Kafka reassigns a member's partitions after
the group's time-out without a sign of it. So each accepted commit proves that they are ours, from
the moment that it was sent until a little less than that time-out has passed.
"""

from __future__ import annotations

from typing import Final

SESSION_TIMEOUT_S: Final = 10.0
"""After so many seconds of silence Kafka gives a member's partitions to another one."""
PROVEN_FOR_S: Final = 7.0
"""Shorter than `SESSION_TIMEOUT_S` by the time that a publication may need to reach the broker."""


class Membership:
    """The known state of our membership in the group."""

    def __init__(self) -> None:
        self._proven_at = float("-inf")

    def proven(self, asked_at: float) -> None:
        """Record that Kafka accepted a commit that was sent at that time."""
        self._proven_at = max(self._proven_at, asked_at)

    def lose(self) -> None:
        """Record that the partitions were taken away."""
        self._proven_at = float("-inf")

    def holds(self, now: float) -> bool:
        """Whether the partitions are certainly still ours."""
        return now - self._proven_at < PROVEN_FOR_S
