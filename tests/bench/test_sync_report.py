"""A benchmark of Fetch Sync: its file, its medians, and how they get into the document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.sync.cases import Load, Point, Run, Sample, encode_rows, median, row_of
from tests.bench.sync.publish import BEGIN, END, replaced, tables
from tests.bench.sync.storm import Storms, Wave, lines_of
from tests.bench.sync.wrk import BenchError

PAGE = Path(__file__).parents[2] / "docs/performance.md"


def sample(rate: float) -> Sample:
    return Sample(Load(rate, 1.5, 9.25, 0), 0.5, 0.25, 0.1)


RATES = {"yabam": 9000.0, "sqlalchemy": 1500.0, "asyncpg": 6000.0}
RESULTS = [
    (Point(system, 64, "nothing-new", 600_000), sample(rate))  # type: ignore[arg-type]
    for system, rate in RATES.items()
]
RUN = Run("python -m tests.bench.sync", "2 cores", 3, 300.0, RESULTS, {"one store": sample(1300)})
ROWS = [row_of(point, found) for point, found in RESULTS]


def test_the_file_is_a_list_of_these_keys_and_no_others() -> None:
    (row, *_) = json.loads(encode_rows(ROWS))
    assert row == {
        "system": "yabam",
        "clients": 64,
        "case": "nothing-new",
        "log_events": 600_000,
        "req_s": 9000.0,
        "p50_ms": 1.5,
        "p99_ms": 9.25,
        "cpu_us": 55.6,
        "postgres_cpu_us": 27.8,
    }


def test_the_run_in_the_middle_counts_and_of_two_the_slower() -> None:
    assert median([sample(3), sample(1), sample(2)]).load.req_s == 2
    assert median([sample(3), sample(1)]).load.req_s == 1


def test_the_page_says_what_was_measured_and_which_targets_were_missed() -> None:
    text = "\n".join(tables(ROWS, RUN))
    assert "| yabam | 64 | nothing-new | 600,000 | 9,000 | 1.5 | 9.2 | 56 | 28 |" in text
    assert "6.00 × sqlalchemy (target 6: met), 6.00 × per CPU (target 10: MISSED)" in text
    assert "1.50 × asyncpg (target 1.7: MISSED)" in text
    assert "orders to one store: 1,300/s (target 1,200: met)" in text
    assert "medians of 3 rounds" in text


def test_rows_of_another_run_than_their_details_are_not_published() -> None:
    with pytest.raises(BenchError, match="not of the same run"):
        list(tables(ROWS[:2], RUN))


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    begin, end = BEGIN.format(part="storm"), END.format(part="storm")
    page = f"before\n{begin}\nold\n{end}\nafter\n"
    once = replaced(page, "storm", ["new"])
    assert once == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    assert replaced(once, "storm", ["new"]) == once
    with pytest.raises(BenchError, match="no marks"):
        replaced("before", "storm", ["new"])


def test_the_page_has_the_marks_of_both_parts() -> None:
    page = PAGE.read_text()
    for part in ("bench-sync", "storm"):
        assert replaced(page, part, []) != ""


def test_a_storm_that_leaves_too_much_behind_says_so() -> None:
    wave = Wave(5000, 10, 1.0, 2.0, 2.5, 160.0)
    assert "MISSED" in list(lines_of(Storms(90.0, 100.0, [wave], 116.0)))[-1]
    assert "met" in list(lines_of(Storms(90.0, 100.0, [wave], 109.0)))[-1]
