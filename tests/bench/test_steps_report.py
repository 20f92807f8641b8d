"""The table of a step's cost."""

from __future__ import annotations

from tests.bench.steps import Cost, table


def test_each_process_and_the_whole_are_medians_and_the_whole_is_held_against_its_target() -> None:
    costs = [Cost(10.0, {"core": value, "Kafka": 200.0}) for value in (300.0, 500.0, 900.0)]
    assert "| 10.0 | 500 | 200 | 0.70 | 1 ms: met |" in table({10.0: costs})


def test_a_target_that_is_missed_is_told() -> None:
    assert "| 0.41 | 0.4 ms: **not met** |" in table({500.0: [Cost(500.0, {"core": 410.0})]})


def test_a_rate_without_a_target_has_none() -> None:
    assert "| 60.0 | 410 | 0.41 |  |" in table({60.0: [Cost(60.0, {"core": 410.0})]})
