"""Whether this gateway may still publish: as long as nobody else can have its partitions. Pure.

A process that was frozen does not know how long. Kafka takes a member's partitions away when it has
not heard of it for the group's time-out. So each commit that Kafka has taken proves that they are
ours, from the moment that it was sent until a little less than that time-out has passed.
"""

from __future__ import annotations

from typing import Final

SESSION_TIMEOUT_S: Final = 10.0
"""Kafka gives the partitions of a member that is silent for so long to another one."""
PROVEN_FOR_S: Final = 7.0
"""Less than `SESSION_TIMEOUT_S` by the time that a publication may need to reach the broker."""


class Membership:
    """What is known of our place in the group."""

    def __init__(self) -> None:
        self._proven_at = float("-inf")

    def proven(self, asked_at: float) -> None:
        """Kafka has taken what was asked of it at that time, as of a member."""
        self._proven_at = max(self._proven_at, asked_at)

    def lose(self) -> None:
        """The partitions were taken away."""
        self._proven_at = float("-inf")

    def holds(self, now: float) -> bool:
        """Whether the partitions are certainly still ours."""
        return now - self._proven_at < PROVEN_FOR_S
