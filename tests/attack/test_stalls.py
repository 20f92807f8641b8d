"""What `make attack` says of a stall is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.attack import report
from tests.attack.others import compared, percentile_ms
from tests.attack.report import Outcome, markdown, stalls_of, told


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
        "syncs_p50_ratio_least": 3.0,
        "syncs_p50_ratio_most": 3.0,
        "syncs_p99_ms_without": 10.0,
        "syncs_p99_ms_with": 30.0,
        "syncs_p99_ratio": 3.0,
        "syncs_p99_ratio_least": 3.0,
        "syncs_p99_ratio_most": 3.0,
    }


def test_one_round_in_which_something_else_happened_does_not_count() -> None:
    rounds = [([0.010], [0.012]), ([0.010], [0.900]), ([0.020], [0.022])]
    found = compared("syncs", rounds)
    assert found["syncs_p99_ratio"] == 1.2
    assert (found["syncs_p99_ratio_least"], found["syncs_p99_ratio_most"]) == (1.1, 90.0)


def outcome(attack: str, kind: str, factor: float, *, full: bool = True) -> Outcome:
    """What a run says of a stall by which others' p99 grew so much."""
    figures = compared(kind, [([0.010], [0.010 * factor])])
    return {"attack": attack, "passed": True, "full_size": full} | figures


def run_of(*outcomes: Outcome) -> dict[str, object]:
    """What is in the file of a run."""
    return {
        "command": "make attack", "date": "2026-11-23", "cores": 2, "machine": "quiet",
        "attacks": list(outcomes),
    }  # fmt: skip


def test_the_table_has_a_line_for_each_thing_that_others_did_beside_a_stall() -> None:
    no_stall = {"attack": "one-order", "passed": True, "full_size": True}
    said = told([outcome("huge-syncs", "syncs", 1.5), no_stall])
    assert said.splitlines()[-2].split() == [
        *("huge-syncs", "syncs", "10.0", "15.0", "10.0", "15.0", "1.5", "1.5", "to", "1.5", "met"),
    ]
    assert "one-order" not in said
    assert told([no_stall]) == ""


@pytest.mark.parametrize(
    ("factor", "full", "verdict"),
    [(2.0, True, "met"), (2.02, True, "MISSED"), (0.9, True, "met"), (9.0, False, "not judged")],
)
def test_a_ratio_is_judged_by_the_target_and_only_in_full_size(
    factor: float, full: bool, verdict: str
) -> None:
    (one,) = stalls_of([outcome("locked-row", "commands", factor, full=full)])
    assert one.verdict == verdict


def test_what_was_missed_is_named_in_one_line() -> None:
    said = told([outcome("a", "syncs", 1.0), outcome("b", "pushes", 3.0)])
    assert said.endswith("met in 1 of 2 cases; missed: b (pushes).")
    assert told([outcome("a", "syncs", 1.0, full=False)]).endswith("nothing is judged.")


def test_the_document_gets_each_ratio_with_how_it_was_run() -> None:
    table = markdown(run_of(outcome("a", "syncs", 1.5), outcome("b", "applied", 3.0)))
    assert "`make attack` on 2026-11-23, 2 cores; quiet." in table
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert rows[2].endswith("| 1.5 × | 1.5 to 1.5 | 2 ×: met |")
    assert rows[3].endswith("| **3.0 ×** | 3.0 to 3.0 | 2 ×: **not met** |")


def test_an_attack_that_failed_is_told_beside_the_table() -> None:
    failed = {"attack": "bodies", "passed": False, "full_size": True}
    assert "bodies failed" in markdown(run_of(outcome("a", "syncs", 1.5), failed))


@pytest.mark.parametrize("outcomes", [[], [outcome("a", "syncs", 1.0, full=False)]])
def test_what_was_not_judged_is_not_published(outcomes: list[Outcome]) -> None:
    with pytest.raises(ValueError, match="full size"):
        markdown(run_of(*outcomes))


def test_the_table_is_put_into_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, file = tmp_path / "reliability.md", tmp_path / "attack.json"
    document.write_text((Path(__file__).parents[2] / report.DOCUMENT).read_text())
    arguments = ["report", "--report", str(file), "--document", str(document)]
    monkeypatch.setattr("sys.argv", arguments)
    assert report.main() == 1, "there is no run yet"
    file.write_text(json.dumps(run_of(outcome("made-up", "syncs", 1.5))))
    assert report.main() == 0
    assert "| made-up | a sync |" in document.read_text()
