"""Who may do what with pushes, and what follows from an attempt that failed."""

from __future__ import annotations

import pytest

from core_api.access.callers import Caller, Role
from core_api.errors import ForbiddenError
from core_api.push.rules import check_sees, check_subscribes, next_of
from core_api.webhooks.rules import PARKED_AFTER_S, DeliveryOutcome


def caller(role: Role, store: str = "1") -> Caller:
    return Caller("ann", role, frozenset({store}))


def failed(
    status: int | None, failing_s: float = 0.0, retry_after_s: float = 0.0
) -> DeliveryOutcome:
    return DeliveryOutcome("refused", "it failed", retry_after_s, status)


@pytest.mark.parametrize("role", ["producer", "ops", "brand", "table"])
def test_only_an_owner_of_the_store_is_told_of_its_orders(role: Role) -> None:
    check_subscribes(caller("owner"), "1")
    for who in (caller("owner", "2"), caller(role)):
        with pytest.raises(ForbiddenError):
            check_subscribes(who, "1")


def test_ops_see_who_is_told() -> None:
    check_sees(caller("ops"), "1")
    with pytest.raises(ForbiddenError):
        check_sees(caller("owner", "2"), "1")


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_its_push_service_no_longer_knows_is_forgotten(status: int) -> None:
    assert next_of(0, 0.0, failed(status), max).ending == "gone"


def test_a_push_service_that_fails_is_asked_ever_less_often() -> None:
    waits = [next_of(tries, 1.0, failed(500), max).wait_s for tries in range(4)]
    assert waits == sorted(set(waits))


def test_a_push_service_is_left_alone_for_as_long_as_it_asks() -> None:
    assert next_of(0, 0.0, failed(429, retry_after_s=600.0), max).wait_s == 600.0


def test_a_browser_whose_push_service_fails_for_days_is_given_up() -> None:
    assert next_of(9, PARKED_AFTER_S - 1, failed(None), max).ending is None
    assert next_of(9, PARKED_AFTER_S, failed(None), max).ending == "given-up"
