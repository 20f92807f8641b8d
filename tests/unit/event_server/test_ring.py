"""What the rings keep, and what they claim to cover."""

from __future__ import annotations

import math

from event_server.replay.ring import EVENT_OVERHEAD, MARGIN_S, Rings

A, B = "store:1", "store:2"
EVENT = ("store:1@1", "order.placed", b"x" * 100)
COST = 100 + EVENT_OVERHEAD


def make(max_events: int = 256, max_bytes: int = 1 << 20) -> Rings:
    rings = Rings(max_events, max_bytes)
    rings.covered_since = 0.0
    return rings


def fill(rings: Rings, channel: str, *times: float, first: int = 1) -> None:
    for seq, time in enumerate(times, first):
        rings.append(channel, seq, EVENT, time)


def kept(rings: Rings, channel: str) -> range | None:
    ring = rings.get(channel)
    return None if ring is None else range(ring.floor, ring.head + 1)


def test_nothing_is_covered_before_somebody_says_so() -> None:
    assert Rings(1, 1000).covered_since == math.inf


def test_what_is_older_goes_and_coverage_follows_it() -> None:
    rings = make()
    fill(rings, A, 100.0, 100.9, 105.0)
    rings.expire(103.0)
    assert kept(rings, A) == range(3, 4)
    assert rings.covered_since == 101.0 + MARGIN_S


def test_a_second_goes_as_a_whole_and_only_when_it_is_over() -> None:
    rings = make()
    fill(rings, A, 100.0, 100.5)
    rings.expire(100.9)
    assert kept(rings, A) == range(1, 3)
    rings.expire(101.0)
    assert kept(rings, A) is None


def test_a_channel_that_has_gone_quiet_leaves_nothing_behind() -> None:
    rings = make()
    for n in range(1000):
        rings.append(f"store:{n}", 1, EVENT, 100.0)
    rings.expire(200.0)
    assert (len(rings), rings.bytes, rings.events) == (0, 0, 0)


def test_over_the_byte_limit_the_oldest_second_of_all_channels_goes() -> None:
    rings = make(max_bytes=4 * COST)
    fill(rings, A, 100.0, 100.5, 102.0)
    fill(rings, B, 100.7)
    fill(rings, B, 103.0, first=2)
    assert kept(rings, A) == range(3, 4)
    assert kept(rings, B) == range(2, 3)
    assert rings.covered_since == 101.0 + MARGIN_S
    assert rings.evicted_for_space == 1
    assert rings.bytes == 2 * COST


def test_a_single_second_that_is_too_large_is_not_kept_at_all() -> None:
    rings = make(max_bytes=2 * COST)
    fill(rings, A, 100.0, 100.1, 100.2)
    assert kept(rings, A) is None
    assert rings.covered_since == 101.0 + MARGIN_S


def test_the_count_limit_of_one_ring_takes_nothing_from_coverage() -> None:
    rings = make(max_events=2)
    fill(rings, A, 100.0, 101.0, 102.0)
    assert kept(rings, A) == range(2, 4)
    assert rings.covered_since == 0.0


def test_a_seq_that_does_not_follow_starts_the_ring_anew() -> None:
    rings = make()
    fill(rings, A, 100.0, 101.0)
    rings.append(A, 9, EVENT, 102.0)
    assert kept(rings, A) == range(9, 10)
    assert rings.bytes == COST


def test_a_record_time_that_falls_back_does_not_keep_a_frame_for_ever() -> None:
    rings = make(max_events=2)
    fill(rings, A, 105.2, 100.0, 105.4)  # the first falls out by count, the second is the odd one
    rings.expire(102.0)
    assert kept(rings, A) == range(2, 4)
    rings.expire(106.0)
    assert kept(rings, A) is None
    assert rings.bytes == 0


def test_uncover_keeps_nothing_and_claims_nothing() -> None:
    rings = make()
    fill(rings, A, 100.0)
    rings.expire(200.0)
    rings.uncover()
    assert (len(rings), rings.covered_since, rings.evicted_before) == (0, math.inf, 0.0)


def test_what_is_dropped_at_a_break_is_not_covered_however_young_it_is() -> None:
    rings = make()
    fill(rings, A, 100.0, 110.0)
    fill(rings, B, 120.0)
    rings.break_off(lambda channel: channel == A, 105.0)
    assert kept(rings, A) is None
    assert rings.covered_since == 110.0 + MARGIN_S


def test_an_omitted_event_that_is_dropped_at_a_break_is_not_covered() -> None:
    rings = make()
    rings.omit(A, 1, 110.5)
    rings.break_off(lambda _: True, 100.0)
    assert rings.covered_since == 111.0 + MARGIN_S


def test_a_time_that_cannot_be_true_does_not_count_at_a_break() -> None:
    rings = make()
    fill(rings, A, 9e9)
    rings.break_off(lambda _: True, 100.0, believable=105.0)
    assert rings.covered_since == 100.0 + MARGIN_S
