"""Permissions for pushes, and the result of a failed attempt. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from core_api.access.callers import Caller
from core_api.errors import ForbiddenError
from core_api.webhooks.rules import DeliveryOutcome, after_failure

PAUSE_S: Final = 30.0
"""The seconds between two messages to a browser of one store, so that a rush gives only one."""
_GONE: Final = frozenset({404, 410})
PushEnding = Literal["gone", "given-up"]


def check_subscribes(caller: Caller, store_id: str) -> None:
    """Whether the caller may subscribe to new orders of a store, and end what is subscribed.

    Raises:
        ForbiddenError: it may not.
    """
    if caller.role != "owner" or not caller.has_store(store_id):
        raise ForbiddenError("only an owner of the store can subscribe to its orders")


def check_sees(caller: Caller, store_id: str) -> None:
    """Whether the caller may see which browsers of a store are subscribed.

    Raises:
        ForbiddenError: it may not.
    """
    if caller.role != "ops":
        check_subscribes(caller, store_id)


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
