"""When a push that failed is sent again, and when its subscription ends. Pure.

The waits are those of webhooks (`webhooks/retries.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from core_api.webhooks.retries import DeliveryOutcome, after_failure

_GONE: Final = frozenset({404, 410})
PushEnding = Literal["gone", "given-up"]


@dataclass(frozen=True, slots=True)
class Next:
    """What follows from an attempt that failed."""

    wait_s: float
    ending: PushEnding | None
    """Why the subscription ends; None: it is tried again."""


def next_of(
    tries: int, failing_s: float, outcome: DeliveryOutcome, uniform: Callable[[float, float], float]
) -> Next:
    """What follows from an attempt that failed.

    Args:
        tries: attempts that failed before this one, since the last that succeeded.
        failing_s: for how long it has failed; 0: this is the first.
        outcome: of this one.
        uniform: a random number evenly between two.
    """
    if outcome.status in _GONE:
        return Next(0.0, "gone")
    after = after_failure(tries, failing_s, outcome, uniform)
    return Next(after.wait_s, "given-up" if after.is_parked else None)
