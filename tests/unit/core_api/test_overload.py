"""Load: bounds refuse early, polling slows down, and each subject has its share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_api import overload as load
from core_api.errors import OverloadedError, RateLimitedError
from core_api.overload import Bound, PollingPace, RateLimit, poll_after_ms


def middle(low: float, high: float) -> float:
    return (low + high) / 2


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_as_many_as_the_bound_are_let_in_and_the_next_is_refused() -> None:
    bound = Bound(2, "syncs", middle)
    with bound.admit(), bound.admit():
        assert (bound.under_way, bound.share) == (2, 1.0)
        with pytest.raises(OverloadedError, match="syncs") as refused, bound.admit():
            pass
        assert refused.value.retry_after == 2.5
        assert (bound.under_way, bound.refused) == (2, 1)
    assert (bound.under_way, bound.share) == (0, 0.0)


def test_a_request_that_fails_gives_its_place_back() -> None:
    bound = Bound(1, "commands", middle)
    for _ in range(3):
        with pytest.raises(KeyError), bound.admit():
            raise KeyError
    assert bound.under_way == 0
    assert bound.refused == 0


def test_the_refused_are_told_to_come_back_spread_over_some_seconds() -> None:
    told = []
    for draw in (min, max):
        bound = Bound(0, "syncs", lambda low, high, draw=draw: draw(low, high))  # type: ignore[misc]
        with pytest.raises(OverloadedError) as refused, bound.admit():
            pass
        told.append(refused.value.retry_after)
    assert told == [1.0, 4.0]


def told_to_wait(bound: Bound) -> float:
    with pytest.raises(OverloadedError) as refused:
        bound.enter()
    return refused.value.retry_after


def rushed(clock: Clock, limit: int, finished: int, took: float) -> Bound:
    """A full bound, in whose rush so many were finished in this time."""
    bound = Bound(limit, "syncs", middle, clock)
    for _ in range(limit):
        bound.enter()
    for _ in range(finished):
        bound.leave()
        bound.enter()
    clock.now += took
    return bound


def test_the_refused_come_again_one_after_the_other_at_the_measured_rate() -> None:
    clock = Clock()
    bound = rushed(clock, 2000, finished=1000, took=0.2)
    waits = [told_to_wait(bound) for _ in range(3000)]
    assert waits[0] == pytest.approx(2001 / 5000), "what is under way is finished first"
    assert waits[-1] == pytest.approx((2000 + 3000) / 5000)
    assert waits == sorted(waits)


def test_time_that_passes_frees_the_turns_that_were_given() -> None:
    clock = Clock()
    bound = rushed(clock, 100, finished=100, took=0.1)
    assert told_to_wait(bound) == pytest.approx(0.101)
    clock.now += 0.1
    for _ in range(100):
        bound.leave()
        bound.enter()
    assert told_to_wait(bound) == pytest.approx(0.101)


def test_however_many_are_refused_none_is_kept_away_for_long() -> None:
    bound = rushed(Clock(), 100, finished=100, took=1.0)
    waits = [told_to_wait(bound) for _ in range(5000)]
    assert max(waits) == 10.0
    assert sorted(waits)[2500] == pytest.approx(5.5, abs=0.5), "those beyond are spread, too"


def test_where_too_little_was_finished_the_refused_are_spread_blindly() -> None:
    assert told_to_wait(rushed(Clock(), 100, finished=10, took=0.2)) == 2.5


def test_calm_before_a_rush_does_not_make_it_seem_slow() -> None:
    clock = Clock()
    bound = Bound(100, "syncs", middle, clock)
    for _ in range(1000):
        bound.enter()
        bound.leave()
        clock.now += 1.0
    for _ in range(100):
        bound.enter()
    for _ in range(60):
        bound.leave()
        bound.enter()
    clock.now += 0.06
    assert told_to_wait(bound) == pytest.approx(0.101)


def test_a_long_rush_is_judged_by_what_was_finished_of_late() -> None:
    clock = Clock()
    bound = rushed(clock, 100, finished=10_000, took=1.0)
    for _ in range(20):
        clock.now += 1.0
        for _ in range(100):
            bound.leave()
            bound.enter()
        wait = told_to_wait(bound)
    assert wait == pytest.approx(1.0, rel=0.2)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 3000), (0.25, 3000), (0.625, 16_500), (1.0, 30_000)]
)
def test_polling_slows_down_under_load(share: float, expected: int) -> None:
    assert poll_after_ms(3000, share) == expected


@given(st.integers(100, 600_000), st.floats(0, 1), st.floats(0, 1))
def test_more_load_never_means_faster_polling(usual: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert usual <= poll_after_ms(usual, low) <= poll_after_ms(usual, high) <= 10 * usual


def told(pace: PollingPace, clock: Clock, share: float, seconds: float) -> int:
    """What the last client is told, of ten a second while the load is so high."""
    answer = 0
    for _ in range(round(10 * seconds)):
        clock.now += 0.1
        answer = pace.after_ms(share)
    return answer


def test_a_storm_of_a_moment_leaves_the_pace_as_it_is() -> None:
    clock = Clock()
    pace = PollingPace(3000, clock)
    clock.now += 60
    assert told(pace, clock, 1.0, 1) == 3000


def test_load_that_lasts_slows_polling_down_and_its_end_brings_the_pace_back() -> None:
    clock = Clock()
    pace = PollingPace(3000, clock)
    assert told(pace, clock, 1.0, 30) > 29_000
    assert 3000 < told(pace, clock, 0.0, 2) < 29_000
    assert told(pace, clock, 0.0, 30) == 3000


def test_the_time_in_which_nobody_asked_counts_as_the_last_one_left_it() -> None:
    clock = Clock()
    pace = PollingPace(3000, clock)
    told(pace, clock, 1.0, 30)
    pace.after_ms(0.0)
    clock.now += 60
    assert pace.after_ms(1.0) == 3000


def test_a_subject_may_send_a_burst_and_then_as_many_as_come_in() -> None:
    clock = Clock()
    limit = RateLimit(2.0, 3, clock)
    for _ in range(3):
        limit.take("a")
    with pytest.raises(RateLimitedError) as refused:
        limit.take("a")
    assert refused.value.retry_after == pytest.approx(0.5)
    clock.now += 0.5
    limit.take("a")
    with pytest.raises(RateLimitedError):
        limit.take("a")


def test_who_comes_back_when_told_is_served() -> None:
    clock = Clock()
    limit = RateLimit(3.0, 1, clock)
    limit.take("a")
    for _ in range(50):
        clock.now += 0.1
        with pytest.raises(RateLimitedError) as refused:
            limit.take("a")
        clock.now += refused.value.retry_after + 1e-9
        limit.take("a")


def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    limit = RateLimit(1.0, 1, clock)
    limit.take("a")
    for _ in range(100):
        with pytest.raises(RateLimitedError):
            limit.take("a")
    clock.now += 1.0
    limit.take("a")


def test_one_subject_does_not_use_up_anothers() -> None:
    limit = RateLimit(1.0, 1, Clock())
    limit.take("a")
    limit.take("b")
    for spent in ("a", "b"):
        with pytest.raises(RateLimitedError):
            limit.take(spent)


def test_rest_is_saved_up_to_the_burst_and_no_further() -> None:
    clock = Clock()
    limit = RateLimit(1.0, 3, clock)
    limit.take("a")
    clock.now += 1e6
    for _ in range(3):
        limit.take("a")
    with pytest.raises(RateLimitedError):
        limit.take("a")


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.1, 50), st.integers(1, 20))
def test_nobody_ever_gets_more_than_the_burst_and_the_rate(
    pauses: list[float], per_s: float, burst: int
) -> None:
    clock = Clock()
    limit = RateLimit(per_s, burst, clock)
    served = 0
    for pause in pauses:
        clock.now += pause
        try:
            limit.take("a")
        except RateLimitedError as error:
            refused = error
            clock.now += refused.retry_after / 2
        else:
            served += 1
    assert served <= burst + (clock.now - 1000.0) * per_s + 1e-6


def test_the_message_names_the_subject_shortly() -> None:
    limit = RateLimit(1.0, 1, Clock())
    limit.take("s" * 5000)
    with pytest.raises(RateLimitedError) as refused:
        limit.take("s" * 5000)
    assert len(str(refused.value)) < 200


def test_subjects_that_were_quiet_for_longest_are_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "_MAX_SUBJECTS", 2)
    limit = RateLimit(1.0, 1, Clock())
    for subject in ("a", "b"):
        limit.take(subject)
    with pytest.raises(RateLimitedError):
        limit.take("a")  # heard of again, so b is now the quietest
    limit.take("c")
    limit.take("b")
    with pytest.raises(RateLimitedError):
        limit.take("c")


def test_a_request_that_holds_many_is_taken_and_those_after_it_wait() -> None:
    clock = Clock()
    rate = RateLimit(10.0, 5, clock)
    rate.take("a")
    rate.charge("a", 24)
    with pytest.raises(RateLimitedError) as refused:
        rate.take("a")
    assert refused.value.retry_after == pytest.approx(2.1)
    clock.now += 2.1
    rate.take("a")
