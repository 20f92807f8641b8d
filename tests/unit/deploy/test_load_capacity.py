"""Capacity: what is computed from seconds of load is what they were made of."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.load.capacity import (
    COSTS,
    CapacityError,
    as_markdown,
    costs_of,
    fit,
    need,
    put_between,
)

TRUE_US = {"opened": 60.0, "committed": 150.0, "live": 2.0, "synced": 90.0, "idle": 9_000.0}


def report(seconds: int, seed: int = 1) -> dict[str, object]:
    """A run whose seconds cost exactly what `TRUE_US` says."""
    chance = random.Random(seed)
    made = []
    for _ in range(seconds):
        amounts = {
            "opened": chance.randint(0, 300),
            "synced": chance.randint(0, 300),
            "committed": chance.randint(0, 600),
            "live": chance.randint(0, 5_000),
            "idle": 1,
        }
        cpu = {
            part: sum(TRUE_US[thing] * amounts[thing] for thing in things) / 1e4
            for part, things in COSTS.items()
        }
        live = amounts.pop("live")
        memory = {"events": 60 + live * 4 / 1024}
        made.append({"counts": amounts, "modes": {"live": live}, "cpu": cpu, "memory": memory})
    return {"machine": "a machine", "seconds": made}


def test_costs_are_found_again() -> None:
    costs = costs_of([report(100), report(50, seed=2)])
    for part, things in COSTS.items():
        for thing in things:
            assert costs.cpu_us[part][thing] == pytest.approx(TRUE_US[thing], rel=0.01)
    assert costs.events_base_mib == pytest.approx(60, rel=0.01)
    assert costs.connection_kib == pytest.approx(4, rel=0.01)
    assert costs.seconds == 150


def test_a_load_needs_the_sum_of_its_parts_and_never_less_than_two_processes() -> None:
    costs = costs_of([report(100)])
    found = need(costs, 10_000, 50.0, 10.0)
    # 200 streams a second, 60 steps a second, 10,000 clients.
    assert found.cores["events"] == pytest.approx(
        (200 * 60 + 60 * 150 + 10_000 * 2) / 1e6, rel=0.01
    )
    assert found.cores["core"] == pytest.approx((200 * 90 + 60 * 150 + 9_000) / 1e6, rel=0.01)
    assert set(found.processes.values()) == {2}
    assert need(costs, 1_000_000, 50.0, 10.0).processes["events"] > 2


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=2), st.data())
def test_no_cost_is_below_nothing(rows: list[tuple[float, float]], data: st.DataObject) -> None:
    wanted = [data.draw(st.floats(-10, 10)) for _ in rows]
    assert all(factor >= 0 for factor in fit(rows, wanted))


def test_too_few_seconds_are_refused_with_what_is_missing() -> None:
    with pytest.raises(CapacityError, match="10 seconds of events, and 60 are needed"):
        costs_of([report(10)])


def test_the_tables_stand_between_their_marks_and_may_be_written_again() -> None:
    tables = as_markdown(costs_of([report(100)]))
    document = "# A\n<!-- capacity: begin -->\nold\n<!-- capacity: end -->\nafter\n"
    once = put_between(document, tables)
    assert "old" not in once
    assert put_between(once, tables) == once
    with pytest.raises(CapacityError, match="lacks the markers"):
        put_between("# A", tables)
