"""Watermarks are due when they can be true, and the outbox is read often while there is work."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from core_api.relay.held_shard import HeldShard
from core_api.relay.pacing import (
    DOUBT_S,
    LATE_S,
    LONGEST_PAUSE_S,
    SHORTEST_PAUSE_S,
    WATERMARK_ACTIVE_S,
    WATERMARK_IDLE_S,
    Pacer,
    next_pause,
    watermark_due,
)


def test_a_watermark_is_owed_at_once_then_soon_after_events_and_still_when_idle() -> None:
    assert watermark_due(10.0, None, published_since=False)
    assert not watermark_due(WATERMARK_ACTIVE_S / 2, 0.0, published_since=True)
    assert watermark_due(WATERMARK_ACTIVE_S, 0.0, published_since=True)
    assert not watermark_due(WATERMARK_ACTIVE_S, 0.0, published_since=False)
    assert watermark_due(WATERMARK_IDLE_S, 0.0, published_since=False)


def test_idle_watermarks_keep_the_contract_of_one_a_second() -> None:
    assert WATERMARK_IDLE_S + LONGEST_PAUSE_S < 1.0


def test_the_pause_grows_while_nothing_comes_and_ends_with_the_first_event() -> None:
    pauses = [0.0]
    for _ in range(8):
        pauses.append(next_pause(pauses[-1], found=False, more=False))
    assert pauses[1] == SHORTEST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
    assert next_pause(pauses[-1], found=True, more=False) == SHORTEST_PAUSE_S
    assert next_pause(pauses[-1], found=True, more=True) == 0.0


def shard(watermark_at: float | None = 100.0) -> HeldShard:
    """One that is owned, well, and read to its end."""
    return HeldShard(1, 200.0, watermark_at=watermark_at, is_proven=True)


def after_nothing() -> Pacer:
    """A pacer whose last read found nothing."""
    pacer = Pacer()
    pacer.note(100.0, found=False, more=False, hinted=False)
    return pacer


def test_while_hints_arrive_nothing_is_read_before_the_next_watermark_is_due() -> None:
    rest = after_nothing().rest(100.1, True, [shard(100.0), shard(99.9)])
    assert 100.1 + rest == pytest.approx(99.9 + WATERMARK_IDLE_S + SHORTEST_PAUSE_S)


def test_after_events_the_next_watermark_is_due_sooner() -> None:
    active = shard(100.0)
    active.published_since = True
    rest = after_nothing().rest(100.1, True, [active, shard(100.0)])
    assert 100.1 + rest == pytest.approx(100.0 + WATERMARK_ACTIVE_S + SHORTEST_PAUSE_S)


def test_a_watermark_that_is_overdue_is_not_waited_for() -> None:
    assert after_nothing().rest(105.0, True, [shard(100.0)]) == SHORTEST_PAUSE_S


def test_many_shards_are_read_no_more_often_than_without_hints() -> None:
    count, began = 48, 100.0
    shards = [shard(began - WATERMARK_IDLE_S * n / count) for n in range(count)]
    pacer, now, reads = Pacer(), began, 0
    for _ in range(10):
        pacer.note(now, found=False, more=False, hinted=False)
    while now < began + 10:
        now += pacer.rest(now, True, shards)
        for one in shards:
            if watermark_due(now, one.watermark_at, one.published_since):
                one.watermark_at = now
        pacer.note(now, found=False, more=False, hinted=False)
        reads += 1
    assert reads <= 10 / LONGEST_PAUSE_S + 1


def test_without_hints_the_outbox_is_read_often() -> None:
    pacer = after_nothing()
    for _ in range(8):
        assert pacer.rest(100.1, False, [shard()]) <= LONGEST_PAUSE_S
        pacer.note(100.1, found=False, more=False, hinted=False)


def test_after_a_read_that_was_full_there_is_no_rest() -> None:
    pacer = after_nothing()
    pacer.note(100.0, found=True, more=True, hinted=True)
    assert pacer.rest(100.1, True, [shard()]) == 0.0


def test_after_events_nothing_is_read_before_the_next_hint_if_all_were_found() -> None:
    pacer = after_nothing()
    pacer.rest(100.0, True, [shard()])
    pacer.note(100.1, found=True, more=False, hinted=True)
    active = shard(100.0)
    active.published_since = True
    rest = pacer.rest(100.1, True, [active])
    assert 100.1 + rest == pytest.approx(100.0 + WATERMARK_ACTIVE_S + SHORTEST_PAUSE_S)


def test_where_no_hints_arrive_it_is_read_again_soon_after_events() -> None:
    pacer = after_nothing()
    pacer.note(100.1, found=True, more=False, hinted=False)
    assert pacer.rest(100.1, False, [shard()]) == SHORTEST_PAUSE_S


def test_who_owns_nothing_rests_until_something_happens() -> None:
    assert after_nothing().rest(100.1, False, []) == math.inf


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: one.fail(100.0, "Kafka refuses"),
        lambda one: one.keep({7: None}, "E1"),
        lambda one: one.refused.update({7: "too large"}),
        lambda one: setattr(one, "at_most", 4),
        lambda one: setattr(one, "is_behind", True),
        lambda one: setattr(one, "is_proven", False),
        lambda one: setattr(one, "watermark_at", None),
    ],
    ids=[
        "failed",
        "held by somebody",
        "refused",
        "searched",
        "behind",
        "not proven",
        "no watermark yet",
    ],
)
def test_a_shard_with_something_to_try_again_is_read_often(
    spoil: Callable[[HeldShard], None],
) -> None:
    troubled = shard()
    spoil(troubled)
    assert after_nothing().rest(100.1, True, [shard(), troubled]) <= LONGEST_PAUSE_S


def test_an_event_that_no_hint_told_of_makes_the_relay_read_often_for_a_while() -> None:
    pacer = after_nothing()
    assert pacer.rest(100.1, True, [shard()]) > LONGEST_PAUSE_S
    pacer.note(100.5, found=True, more=False, hinted=False)
    pacer.note(100.5, found=False, more=False, hinted=False)
    assert pacer.rest(100.6, True, [shard(100.5)]) <= LONGEST_PAUSE_S
    later = 100.5 + DOUBT_S
    assert pacer.rest(later, True, [shard(later)]) > LONGEST_PAUSE_S


def test_an_event_that_a_hint_told_of_makes_nobody_doubt() -> None:
    pacer = after_nothing()
    pacer.rest(100.1, True, [shard()])
    pacer.note(100.2, found=True, more=False, hinted=True)
    pacer.note(100.2, found=False, more=False, hinted=False)
    assert pacer.rest(100.2, True, [shard(100.2)]) > LONGEST_PAUSE_S


def test_what_is_found_while_the_outbox_is_read_often_anyway_makes_nobody_doubt() -> None:
    pacer = after_nothing()
    pacer.rest(100.1, False, [shard()])
    pacer.note(100.2, found=True, more=False, hinted=False)
    pacer.note(100.2, found=False, more=False, hinted=False)
    assert pacer.rest(100.2, True, [shard(100.2)]) > LONGEST_PAUSE_S


@pytest.mark.parametrize(("late_s", "doubts"), [(LATE_S / 2, False), (2 * LATE_S, True)])
def test_a_hint_that_was_only_late_makes_nobody_doubt(late_s: float, doubts: bool) -> None:
    pacer = after_nothing()
    pacer.rest(100.1, True, [shard()])
    pacer.note(100.5, found=True, more=False, hinted=False)
    now = 100.5 + late_s
    pacer.note(now, found=False, more=False, hinted=True)
    assert (pacer.rest(now, True, [shard(now)]) <= LONGEST_PAUSE_S) is doubts
