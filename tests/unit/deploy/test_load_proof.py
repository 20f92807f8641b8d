"""The load test's proof: every way in which an event can go wrong is seen."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.load.measured.proof import Fact, Log, ProofVerdict, Track, judge

CHANNEL = "store:1"
LOG = [Fact(seq, f"order-{seq % 3}", 1 + seq // 3) for seq in range(1, 11)]


def track_of(start: int, facts: Sequence[Fact]) -> Track:
    track = Track(CHANNEL)
    track.begin(start, "first_sync")
    for fact in facts:
        track.apply(fact)
    return track


def verdict_of(*tracks: Track, acknowledged: Sequence[tuple[str, int]] = ()) -> ProofVerdict:
    return judge(tracks, {CHANNEL: len(LOG)}, {CHANNEL: Log(LOG)}, {CHANNEL: acknowledged})


def test_a_client_that_applied_all_since_its_start_is_proven() -> None:
    verdict = verdict_of(track_of(0, LOG), track_of(4, LOG[4:]), track_of(10, []))
    assert (verdict.clean, verdict.checked, verdict.notes) == (True, 16, [])


@given(st.integers(0, 9), st.data())
def test_an_event_that_is_missing_anywhere_is_lost(start: int, data: st.DataObject) -> None:
    facts = LOG[start:]
    gone = data.draw(st.integers(0, len(facts) - 1))
    verdict = verdict_of(track_of(start, facts[:gone] + facts[gone + 1 :]))
    assert (verdict.lost, verdict.clean) == (1, False)
    assert verdict.notes


def test_an_event_that_came_twice_is_doubled() -> None:
    verdict = verdict_of(track_of(0, [*LOG[:5], LOG[4], *LOG[5:]]))
    assert (verdict.doubled, verdict.lost, verdict.clean) == (1, 0, False)


def test_two_events_that_changed_places_are_out_of_order() -> None:
    verdict = verdict_of(track_of(0, [*LOG[:4], LOG[5], LOG[4], *LOG[6:]]))
    assert (verdict.out_of_order, verdict.lost, verdict.doubled) == (1, 0, 0)
    assert not verdict.clean


def test_an_event_of_other_content_than_the_log_s_is_seen() -> None:
    forged = LOG[3]._replace(version=99)
    verdict = verdict_of(track_of(0, [*LOG[:3], forged, *LOG[4:]]))
    assert (verdict.lost, verdict.checked, verdict.clean) == (1, 0, False)
    assert "events that differ from the log" in verdict.notes[0]


def test_what_a_reset_skipped_counts_as_lost() -> None:
    track = track_of(0, LOG[:3])
    track.begin(7, "retention")
    for fact in LOG[7:]:
        track.apply(fact)
    verdict = verdict_of(track)
    assert (verdict.lost, verdict.resets, verdict.clean) == (4, 1, False)


def test_a_reset_that_skipped_nothing_fails_the_test_too() -> None:
    track = track_of(0, LOG[:5])
    track.begin(5, "epoch")
    for fact in LOG[5:]:
        track.apply(fact)
    verdict = verdict_of(track)
    assert (verdict.lost, verdict.resets, verdict.clean) == (0, 1, False)


def test_a_client_that_never_synced_fails_the_test() -> None:
    verdict = verdict_of(Track(CHANNEL))
    assert (verdict.never_synced, verdict.clean) == (1, False)


def test_an_order_that_was_acknowledged_and_is_not_in_the_log_fails_the_test() -> None:
    known = (LOG[0].order_id, LOG[0].version)
    verdict = verdict_of(track_of(0, LOG), acknowledged=[known, ("order-0", 77)])
    assert (verdict.unlogged, verdict.clean) == (1, False)
    assert "order-0 version 77" in verdict.notes[0]


def test_a_log_with_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="from 3 to 5"):
        Log([*LOG[:3], *LOG[4:]])
