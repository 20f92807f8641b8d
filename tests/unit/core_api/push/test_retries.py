"""What follows from a push that failed."""

from __future__ import annotations

import pytest

from core_api.push.retries import next_of
from core_api.webhooks.retries import PARKED_AFTER_S, DeliveryOutcome


def failed(
    status: int | None, failing_s: float = 0.0, retry_after_s: float = 0.0
) -> DeliveryOutcome:
    return DeliveryOutcome("refused", "it failed", retry_after_s, status)


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
