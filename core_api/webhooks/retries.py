"""When a webhook is tried again or parked, and when an event is set aside. Pure.

`outcome_of` says what an answer means; redirects, for example, are not followed.

Requests to a failing receiver are retried with growing back-off for three days; then its store is
parked, and nothing is sent until a person resumes it. No event is skipped: the place in the log
stays where it was.

A receiver may refuse a single event. It is set aside once the receiver has refused it for an hour
and then accepts the next event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from server_common.backoff import next_wait

OutcomeKind = Literal["delivered", "gone", "refused", "busy", "unreachable"]

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 900.0
"""The longest back-off in seconds: a receiver that works again is served within this time."""
LONGEST_RETRY_AFTER_S: Final = 3600.0
PARKED_AFTER_S: Final = 3 * 86_400.0
SET_ASIDE_AFTER_S: Final = 3600.0
_MAX_DOUBLINGS: Final = 12
_GONE: Final = 410
_BUSY: Final = frozenset({429, 502, 503, 504})
"""Statuses that mean that the receiver is unavailable; they are not about the event."""


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The outcome of an attempt."""

    kind: OutcomeKind
    detail: str = ""
    """The text of a failure, for people."""
    retry_after_s: float = 0.0
    """How long the receiver has asked to wait, in seconds."""
    status: int | None = None
    """The status of its answer; None: there was none."""


def outcome_of(status: int, retry_after: str | None, now: datetime) -> DeliveryOutcome:
    """What the receiver's answer means.

    Args:
        status: of the answer.
        retry_after: its header.
        now: for a header that names a time.
    """
    if 200 <= status < 300:
        return DeliveryOutcome("delivered", status=status)
    detail = f"it answered {status}"
    if status == _GONE:
        return DeliveryOutcome("gone", detail, status=status)
    if status in _BUSY:
        return DeliveryOutcome("busy", detail, _seconds(retry_after, now), status)
    if 300 <= status < 400:
        return DeliveryOutcome("refused", f"{detail}: redirects are not followed", status=status)
    return DeliveryOutcome("refused", detail, status=status)


def _seconds(text: str | None, now: datetime) -> float:
    if text is None:
        return 0.0
    if text.isascii() and text.isdecimal():
        wanted = float(text[:9])
    else:
        try:
            wanted = (parsedate_to_datetime(text) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(max(wanted, 0.0), LONGEST_RETRY_AFTER_S)


@dataclass(frozen=True, slots=True)
class After:
    """What follows from a failure."""

    wait_s: float
    """Until the next attempt."""
    is_parked: bool


def after_failure(
    tries: int, failing_s: float, outcome: DeliveryOutcome, uniform: Callable[[float, float], float]
) -> After:
    """What follows from a failure.

    Args:
        tries: attempts that failed before this one, since the last that succeeded.
        failing_s: for how long it has failed; 0: this is the first.
        outcome: of this one.
        uniform: a random number evenly between two.
    """
    wait = 0.0
    for _ in range(min(tries, _MAX_DOUBLINGS) + 1):
        wait = next_wait(wait, FIRST_WAIT_S, LONGEST_WAIT_S)
    wait = max(uniform(wait / 2, wait), outcome.retry_after_s)
    return After(wait, failing_s >= PARKED_AFTER_S)


def asks_for_the_next(failing_s: float, outcome: DeliveryOutcome) -> bool:
    """Whether to try the next event now, to see if only this one is refused."""
    return outcome.kind == "refused" and failing_s >= SET_ASIDE_AFTER_S
