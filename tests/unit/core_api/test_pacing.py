"""Watermarks are due when they can be true, and the outbox is read often while there is work."""

from __future__ import annotations

from core_api.relay.pacing import (
    LONGEST_PAUSE_S,
    SHORTEST_PAUSE_S,
    WATERMARK_ACTIVE_S,
    WATERMARK_IDLE_S,
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
        pauses.append(next_pause(pauses[-1], found=False))
    assert pauses[1] == SHORTEST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
    assert next_pause(pauses[-1], found=True) == 0.0
