"""The judge of the chaos runs finds planted faults, so it can fail a run."""

from __future__ import annotations

from hashlib import sha256

import pytest

from tests.chaos.proof import Fact, Standing, digest, judge, judge_orders, judge_writes

LOG = [Fact(4, "a", 1), Fact(5, "b", 1), Fact(6, "a", 2)]


def test_a_client_that_got_the_log_as_it_is_has_lost_nothing() -> None:
    assert judge("c", LOG, LOG).clean


@pytest.mark.parametrize(
    ("got", "lost", "doubled", "out_of_order"),
    [
        (LOG[:2], 1, 0, 0),
        ([*LOG, LOG[1]], 0, 1, 0),
        ([LOG[0], LOG[2], LOG[1]], 0, 0, 1),
        ([LOG[0], Fact(5, "other", 1), LOG[2]], 2, 0, 0),
        ([*LOG, Fact(7, "never written", 1)], 1, 0, 0),
        ([], 3, 0, 0),
    ],
)
def test_each_deviation_is_counted(
    got: list[Fact], lost: int, doubled: int, out_of_order: int
) -> None:
    verdict = judge("c", LOG, got)
    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == (lost, doubled, out_of_order)
    assert verdict.notes


@pytest.mark.parametrize(
    ("got", "to_come", "lost", "late"),
    [
        (LOG[:1], LOG[1:], 0, 2),
        (LOG[:1], LOG[2:], 1, 1),
        ([], LOG, 0, 3),
        ([LOG[0], LOG[2]], LOG, 1, 0),
        (LOG[:2], [], 1, 0),
        (LOG[:2], [Fact(6, "other", 1)], 1, 0),
    ],
    ids=["all-late", "one-gone", "nothing-yet", "a-hole", "not-given", "given-as-another"],
)
def test_late_is_what_a_last_sync_gives_behind_all_that_the_client_got(
    got: list[Fact], to_come: list[Fact], lost: int, late: int
) -> None:
    verdict = judge("c", LOG, got, to_come)
    assert (verdict.lost, verdict.late, verdict.clean) == (lost, late, False)


def test_orders_are_compared_by_the_digest_of_the_open_ones() -> None:
    held = {"a": Standing(2, "accepted"), "b": Standing(6, "paid")}
    assert digest(held) == int.from_bytes(sha256(b"a:2").digest()[:8], "big")
    assert judge_orders("c", held, {"a": Standing(2, "accepted")}).clean
    assert judge_orders("c", held, {"a": Standing(1, "placed")}).lost == 1


def test_a_write_that_was_acknowledged_must_be_stored_once_and_as_new() -> None:
    stored = {"kept": [3], "old": [1], "twice": [1, 1]}
    verdict = judge_writes({"kept": 3, "old": 2, "gone": 1, "twice": 1}, stored, "over HTTP")
    assert (verdict.lost, verdict.doubled) == (2, 1)
