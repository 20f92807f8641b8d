"""What `make attack` says of a stall is what was measured."""

from __future__ import annotations

import pytest

from tests.attack.__main__ import stalls_told
from tests.attack.others import compared, percentile_ms


def test_p99_is_the_time_that_one_in_a_hundred_exceeds() -> None:
    assert percentile_ms([0.001 * n for n in range(1, 101)], 99) == pytest.approx(100)
    assert percentile_ms([0.001] * 990 + [1.0] * 10, 99) == pytest.approx(1000)
    assert percentile_ms([0.001] * 991 + [1.0] * 9, 99) == pytest.approx(1)
    assert percentile_ms([0.005], 99) == pytest.approx(5)


def test_p50_is_the_middle() -> None:
    assert percentile_ms([0.001, 0.002, 0.003], 50) == pytest.approx(2)


def test_a_stall_is_told_with_what_it_was_without_it_and_by_how_much_it_grew() -> None:
    assert compared("syncs", [([0.010], [0.030])]) == {
        "syncs_p50_ms_without": 10.0,
        "syncs_p50_ms_with": 30.0,
        "syncs_p50_ratio": 3.0,
        "syncs_p99_ms_without": 10.0,
        "syncs_p99_ms_with": 30.0,
        "syncs_p99_ratio": 3.0,
    }


def test_one_round_in_which_something_else_happened_does_not_count() -> None:
    rounds = [([0.010], [0.012]), ([0.010], [0.900]), ([0.020], [0.022])]
    assert compared("syncs", rounds)["syncs_p99_ratio"] == 1.2


def test_the_table_has_a_line_for_each_thing_that_others_did_beside_a_stall() -> None:
    figures = {"attack": "huge-syncs", "passed": True} | compared("syncs", [([0.01], [0.03])])
    told = stalls_told([figures, {"attack": "one-order", "passed": True}])
    assert told.splitlines()[-1].split() == [
        *("huge-syncs", "syncs", "10.0", "30.0", "3.0", "10.0", "30.0", "3.0"),
    ]
    assert "one-order" not in told
