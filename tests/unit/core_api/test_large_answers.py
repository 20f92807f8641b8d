"""Large answers: a fair share for each subject, and a turn at a time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_api.errors import RateLimitedError
from core_api.sync.large_answers import LONGEST_PAUSE_S, FairShare, LargeAnswers
from server_common.limits import (
    LARGE_ANSWER_BURST_BYTES,
    LARGE_ANSWER_BYTES_PER_S,
    LARGE_ANSWERS_AT_ONCE,
    LARGE_ANSWERS_WAITING,
)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=50))
def test_who_waits_as_told_never_has_more_than_burst_and_rate_allow(sizes: list[int]) -> None:
    share, now, given_bytes = FairShare(100.0, 1000.0), 0.0, 0
    for size in sizes:
        now += share.pause_s("a", now)
        share.spend("a", size, now)
        given_bytes += size
        assert given_bytes <= 1000 + 100 * now + size + 1e-6
    assert share.pause_s("b", now) == 0.0, "another subject is not held up"


class Clock:
    """Time that only `sleep` moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def test_a_subject_beyond_its_share_waits_and_then_is_told_when_to_come_back() -> None:
    clock = Clock()
    large = LargeAnswers(clock, clock.sleep)
    async with large.turn("a"):
        large.spent("a", LARGE_ANSWER_BURST_BYTES + 2 * LARGE_ANSWER_BYTES_PER_S)
    async with large.turn("b"):
        pass
    assert clock.slept == []
    async with large.turn("a"):
        large.spent("a", 9 * LARGE_ANSWER_BYTES_PER_S)
    assert clock.slept == [2.0]
    with pytest.raises(RateLimitedError) as refused:
        async with large.turn("a"):
            raise AssertionError
    assert refused.value.retry_after == 9.0 > LONGEST_PAUSE_S


async def test_one_subject_has_one_turn_at_a_time_and_all_have_few() -> None:
    large = LargeAnswers(lambda: 0.0)
    go, inside = asyncio.Event(), []

    async def take(subject: str) -> None:
        async with large.turn(subject):
            inside.append(subject)
            await go.wait()

    subjects = ["a", "a", *"bcdefgh"]
    takers = [asyncio.create_task(take(subject)) for subject in subjects]
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(inside) == LARGE_ANSWERS_AT_ONCE
    assert inside.count("a") == 1
    go.set()
    await asyncio.gather(*takers)
    assert sorted(inside) == sorted(subjects)


async def test_a_subject_that_asks_for_too_many_at_once_is_refused_and_leaves_no_trace() -> None:
    large = LargeAnswers(lambda: 0.0)
    go = asyncio.Event()

    async def take() -> None:
        async with large.turn("a"):
            await go.wait()

    takers = [asyncio.create_task(take()) for _ in range(LARGE_ANSWERS_WAITING + 1)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimitedError, match="one after the other"):
        await take()
    takers[3].cancel()
    go.set()
    await asyncio.gather(*takers, return_exceptions=True)
    await take()
