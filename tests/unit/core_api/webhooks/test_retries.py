"""What follows from a receiver's answer: when it is asked again, when it is parked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_api.webhooks.retries import (
    FIRST_WAIT_S,
    LONGEST_RETRY_AFTER_S,
    LONGEST_WAIT_S,
    PARKED_AFTER_S,
    SET_ASIDE_AFTER_S,
    DeliveryOutcome,
    after_failure,
    asks_for_the_next,
    outcome_of,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REFUSED = DeliveryOutcome("refused", "it answered 500")
TRIES = st.integers(0, 10**9)
SECONDS = st.floats(0, 10**9)


def longest(_low: float, high: float) -> float:
    return high


def shortest(low: float, _high: float) -> float:
    return low


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, "delivered"), (204, "delivered"), (299, "delivered"),
        (301, "refused"), (302, "refused"), (308, "refused"),
        (400, "refused"), (401, "refused"), (404, "refused"), (422, "refused"),
        (500, "refused"), (501, "refused"),
        (410, "gone"),
        (429, "busy"), (502, "busy"), (503, "busy"), (504, "busy"),
    ],
)  # fmt: skip
def test_what_an_answer_means(status: int, kind: str) -> None:
    assert outcome_of(status, None, NOW).kind == kind


def test_an_answer_that_fails_says_its_status_to_the_person_who_looks() -> None:
    assert "503" in outcome_of(503, None, NOW).detail
    assert "redirects are not followed" in outcome_of(302, None, NOW).detail


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("86400", LONGEST_RETRY_AFTER_S),
        ("9" * 5000, LONGEST_RETRY_AFTER_S),
        ("-5", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("٣", 0.0),
        ("Sun, 22 Nov 2026 12:00:00", 0.0),
    ],
)
def test_retry_after_is_obeyed_within_bounds(text: str, seconds: float) -> None:
    assert outcome_of(429, text, NOW).retry_after_s == seconds


@given(st.text())
def test_no_retry_after_does_any_harm(text: str) -> None:
    assert 0 <= outcome_of(503, text, NOW).retry_after_s <= LONGEST_RETRY_AFTER_S


def test_each_wait_is_twice_the_one_before_up_to_a_quarter_of_an_hour() -> None:
    waits = [after_failure(tries, 1.0, REFUSED, longest).wait_s for tries in range(14)]
    assert waits[:4] == [FIRST_WAIT_S, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_WAIT_S
    assert waits == sorted(waits)


@given(TRIES, SECONDS)
def test_waits_are_spread_over_their_second_half(tries: int, failing_s: float) -> None:
    low = after_failure(tries, failing_s, REFUSED, shortest).wait_s
    high = after_failure(tries, failing_s, REFUSED, longest).wait_s
    assert FIRST_WAIT_S / 2 <= low == high / 2 <= LONGEST_WAIT_S / 2


@given(TRIES, SECONDS, st.floats(0, LONGEST_RETRY_AFTER_S))
def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    tries: int, failing_s: float, asked: float
) -> None:
    busy = DeliveryOutcome("busy", retry_after_s=asked)
    assert after_failure(tries, failing_s, busy, shortest).wait_s >= asked


@given(TRIES, SECONDS)
def test_a_lane_is_parked_after_three_days_whatever_was_tried(tries: int, failing_s: float) -> None:
    after = after_failure(tries, failing_s, REFUSED, longest)
    assert after.is_parked == (failing_s >= PARKED_AFTER_S)


def test_three_days_hold_many_attempts() -> None:
    at, tries = 0.0, 0
    while not after_failure(tries, at, REFUSED, longest).is_parked:
        at += after_failure(tries, at, REFUSED, longest).wait_s
        tries += 1
    assert tries > 290


@pytest.mark.parametrize(
    ("outcome", "failing_s", "asks"),
    [
        (REFUSED, SET_ASIDE_AFTER_S, True),
        (REFUSED, SET_ASIDE_AFTER_S - 1, False),
        (DeliveryOutcome("unreachable"), 10 * SET_ASIDE_AFTER_S, False),
        (DeliveryOutcome("busy"), 10 * SET_ASIDE_AFTER_S, False),
        (DeliveryOutcome("gone"), 10 * SET_ASIDE_AFTER_S, False),
    ],
)
def test_only_an_answer_that_refuses_for_an_hour_is_put_down_to_the_event(
    outcome: DeliveryOutcome, failing_s: float, asks: bool
) -> None:
    assert asks_for_the_next(failing_s, outcome) == asks
