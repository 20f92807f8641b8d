"""The database's clock, as far as it can be known from what has passed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_server.replay.database_clock import (
    BELIEVED_FOR_S,
    SET_BACK_S,
    DatabaseClock,
    Watermark,
    rfc3339,
)


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
    drift = 5e-5
    for second in range(10_000):
        clock.observe(1000.0 + second * (1 - drift), now=float(second))
    assert clock.estimate(9999.0) == pytest.approx(1000.0 + 9999 * (1 - drift), abs=0.01)


def test_a_new_epoch_may_stand_on_another_clock() -> None:
    clock = DatabaseClock()
    clock.observe(5000.0, now=1.0)
    clock.forget()
    clock.observe(1000.0, now=2.0)
    assert clock.estimate(2.0) == 1000.0


def test_a_lag_that_something_quick_goes_on_to_prove_is_never_forgotten() -> None:
    clock = DatabaseClock()
    for second in range(600):
        clock.observe(1000.0 + second - 30.0, now=float(second))
        if second % 50 == 0:
            clock.observe(1000.0 + second, now=float(second))
        assert clock.estimate(float(second)) == 1000.0 + second


def test_a_clock_that_was_set_back_is_followed_in_the_end() -> None:
    clock = DatabaseClock()
    clock.observe(5000.0, now=0.0)
    for second in range(1, 200):
        clock.observe(1000.0 + second, now=float(second))
        shown = clock.estimate(float(second))
        if second < BELIEVED_FOR_S:
            assert shown == 5000.0 + second
    assert shown == 1000.0 + second


def test_what_is_known_runs_on_when_nothing_more_is_heard() -> None:
    clock = DatabaseClock()
    clock.observe(1000.0, now=0.0)
    for second in range(0, 1000, 10):
        assert clock.estimate(float(second)) == 1000.0 + second


def test_only_a_higher_bound_raises_the_estimate() -> None:
    clock = DatabaseClock()
    told = [clock.observe(passed, now=1.0) for passed in (10.0, 9.0, 10.0, 11.0)]
    assert told == [True, False, False, True]


class TestWatermark:
    def test_rises(self) -> None:
        mark = Watermark()
        assert not any(mark.take(t) for t in (5.0, 6.0, 6.0, 5.5, 7.0))
        assert mark.highest == 7.0

    def test_a_few_late_ones_are_a_relays_that_lost_its_lease(self) -> None:
        mark = Watermark()
        for second in range(100, 200):
            assert not mark.take(float(second))
            assert not mark.take(float(second) - 20.0)
        assert mark.highest == 199.0

    def test_when_it_goes_on_below_the_clock_was_set_back(self) -> None:
        mark = Watermark()
        mark.take(1000.0)
        told = [mark.take(500.0 + second) for second in range(6)]
        assert told == [False] * int(SET_BACK_S) + [True, False, False]
        assert mark.highest == 505.0

    def test_a_step_so_small_that_it_is_caught_up_with_is_none(self) -> None:
        mark = Watermark()
        mark.take(1000.0)
        assert not any(mark.take(998.0 + second) for second in range(10))


def test_times_are_written_in_utc_with_microseconds() -> None:
    assert rfc3339(1700000000.25) == "2023-11-14T22:13:20.250000Z"


class _Model:
    """The rules, said plainly: the best offset of this period and of the one before."""

    def __init__(self) -> None:
        self.offset: float | None = None
        self.before: float | None = None
        self.since = 0.0

    def known(self) -> float | None:
        return max((one for one in (self.offset, self.before) if one is not None), default=None)

    def age(self, now: float) -> None:
        if self.offset is None and self.before is None:
            self.since = now
        elif self.offset is not None and now - self.since >= BELIEVED_FOR_S:
            self.before, self.offset, self.since = self.offset, None, now

    def observe(self, passed: float, now: float) -> bool:
        self.age(now)
        known, offset = self.known(), passed - now
        self.offset = offset if self.offset is None else max(offset, self.offset)
        return known is None or offset > known


@given(st.lists(st.tuples(st.sampled_from("oef"), st.integers(0, 70), st.integers(-9, 9))))
def test_what_is_kept_of_observations_is_what_the_rules_say(
    steps: list[tuple[str, int, int]],
) -> None:
    clock, model, now = DatabaseClock(), _Model(), 0.0
    for kind, later, late in steps:
        now += later
        if kind == "o":
            assert clock.observe(now + late, now) == model.observe(now + late, now)
        elif kind == "f":
            clock.forget()
            model.offset = model.before = None
        model.age(now)
        known = model.known()
        assert clock.estimate(now) == (None if known is None else now + known)
