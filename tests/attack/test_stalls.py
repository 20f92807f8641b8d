"""What `make attack` says of a stall is what was measured."""

from __future__ import annotations

from tests.attack.stalls import compared, p99_ms


def test_p99_is_the_time_that_one_in_a_hundred_exceeds() -> None:
    assert p99_ms([0.001 * n for n in range(1, 101)]) == 100.0
    assert p99_ms([0.001] * 990 + [1.0] * 10) == 1000.0
    assert p99_ms([0.001] * 991 + [1.0] * 9) == 1.0
    assert p99_ms([0.005]) == 5.0


def test_a_stall_is_told_with_what_it_was_before_and_by_how_much_it_grew() -> None:
    assert compared("syncs", [0.010], [0.030]) == {
        "syncs_p99_ms_before": 10.0,
        "syncs_p99_ms_during": 30.0,
        "syncs_p99_ratio": 3.0,
    }
