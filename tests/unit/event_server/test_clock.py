"""The database's clock, as far as it can be known from what has passed."""

from __future__ import annotations

import pytest

from event_server.clock import DECAY, DatabaseClock, rfc3339


def test_nothing_is_known_before_the_first_observation() -> None:
    assert DatabaseClock().estimate(5.0) is None


def test_it_runs_on_between_observations() -> None:
    clock = DatabaseClock()
    clock.observe(1000.0, now=50.0)
    assert clock.estimate(57.5) == 1007.5


def test_the_quickest_observation_counts_and_late_ones_do_not_set_it_back() -> None:
    clock = DatabaseClock()
    clock.observe(1000.0, now=50.5)  # half a second under way
    clock.observe(1001.0, now=51.1)
    clock.observe(1002.0, now=60.0)  # eight seconds under way
    assert clock.estimate(60.0) == pytest.approx(1009.9)


def test_a_clock_that_runs_slower_than_ours_is_followed() -> None:
    clock = DatabaseClock()
    drift = DECAY / 2
    for second in range(10_000):
        clock.observe(1000.0 + second * (1 - drift), now=float(second))
    assert clock.estimate(9999.0) == pytest.approx(1000.0 + 9999 * (1 - drift), abs=0.01)


def test_a_new_epoch_may_stand_on_another_clock() -> None:
    clock = DatabaseClock()
    clock.observe(5000.0, now=1.0)
    clock.forget()
    clock.observe(1000.0, now=2.0)
    assert clock.estimate(2.0) == 1000.0


def test_times_are_written_in_utc_with_microseconds() -> None:
    assert rfc3339(1700000000.25) == "2023-11-14T22:13:20.250000Z"
