"""Waits between attempts grow up to a bound, spread out, and start again after a success."""

from __future__ import annotations

from server_common.backoff import Backoff, next_wait


def longest(least: float, most: float) -> float:
    return most


def test_a_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    waits = [0.0]
    for _ in range(5):
        waits.append(next_wait(waits[-1], 0.5, 3.0))
    assert waits[1:] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_each_wait_is_picked_between_its_half_and_all_of_it() -> None:
    asked: list[tuple[float, float]] = []

    def least(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    backoff = Backoff(0.5, 3.0, least)
    assert [backoff.failed() for _ in range(4)] == [0.25, 0.5, 1.0, 1.5]
    assert asked == [(0.25, 0.5), (0.5, 1.0), (1.0, 2.0), (1.5, 3.0)]


def test_after_a_success_the_waits_begin_with_the_first() -> None:
    backoff = Backoff(0.5, 3.0, longest)
    assert [backoff.failed(), backoff.failed()] == [0.5, 1.0]
    backoff.forget()
    assert backoff.failed() == 0.5
