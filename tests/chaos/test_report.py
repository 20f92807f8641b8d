"""The reports: the file for programs, and the text for the document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.chaos import report, reruns
from tests.chaos.proof import Verdict
from tests.chaos.report import cells, markdown, put_between, summary, write_json, write_notes
from tests.chaos.runner import Field, Outcome, Scenario


async def nothing(_: Field) -> str:
    return ""


def outcome(name: str, lost: int = 0, *, skipped: bool = False) -> Outcome:
    made = Outcome(Scenario(name, "a fault", nothing), 7, written=100, edits=12, recovery_s=0.25)
    made.verdict = Verdict(lost=lost, notes=["one is missing"] * lost)
    made.skipped, made.trouble = skipped, "no such library" if skipped else ""
    made.live_s, made.polling_s = 10.4, 0.6
    return made


def test_machines_get_one_entry_per_scenario_that_was_run(tmp_path: Path) -> None:
    path = tmp_path / "chaos.json"
    write_json(path, [outcome("kill", 2), outcome("clock", skipped=True)])
    assert json.loads(path.read_text()) == [
        {
            "scenario": "kill",
            "seed": 7,
            "written": 100,
            "edits": 12,
            "lost": 2,
            "doubled": 0,
            "out_of_order": 0,
            "late": 0,
            "recovery_s": 0.2,
            "live_s": 10,
            "polling_s": 1,
        }
    ]


def test_what_was_wrong_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    write_notes(path, [outcome("kill", 1), outcome("freeze")])
    assert json.loads(path.read_text()) == {"kill": {"trouble": "", "notes": ["one is missing"]}}


def test_the_summary_names_what_failed_and_what_was_not_run() -> None:
    said = summary([outcome("kill", 2), outcome("clock", skipped=True)], 7, 20, 30, 1)
    assert "2 lost" in said
    assert "Failed: kill." in said
    assert "Not run: clock (no such library)." in said
    assert "All passed." in summary([outcome("kill")], 7, 20, 30, 1)


def test_what_is_late_is_told_and_has_not_passed() -> None:
    made = outcome("kill")
    made.verdict.add(Verdict(late=3, notes=["slow"]))
    assert not made.passed
    assert "0 lost, 0 doubled, 0 out of order, 3 late" in summary([made], 7, 20, 30, 1)
    assert "3 late, not counted as lost" in markdown([made])


def test_a_report_is_put_between_its_marks_and_nowhere_else() -> None:
    text = "before\n<!-- chaos: begin -->\nold\n<!-- chaos: end -->\nafter\n"
    put = put_between(text, "chaos", "new\n")
    assert put == "before\n<!-- chaos: begin -->\nnew\n<!-- chaos: end -->\nafter\n"
    assert put_between(put, "chaos", "new") == put


@pytest.mark.parametrize("text", ["no marks", "<!-- chaos: end --> <!-- chaos: begin -->"])
def test_a_document_without_marks_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="exactly one pair"):
        put_between(text, "chaos", "new")


def test_the_document_has_the_marks_of_each_report() -> None:
    document = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
    for name in ("chaos", "unprotected"):
        assert put_between(document, name, "x").count("x\n<!-- ") >= 1


LOAD = reruns.Load(200, 30, 1, "abc1")


def run_again(before: reruns.Reruns, *outcomes: Outcome, **load: Any) -> reruns.Reruns:
    return reruns.added(before, outcomes, replace(LOAD, **load), len(outcomes), cells)


def report_of(*outcomes: Outcome) -> str:
    return f"{summary(outcomes, 7, 200, 30, 1)} 9 minutes.\n\n{markdown(outcomes)}"


def rows_of(text: str) -> list[list[str]]:
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_each_row_says_what_became_of_the_scenario() -> None:
    rows = rows_of(markdown([outcome("a"), outcome("b", 2), outcome("c", skipped=True)]))
    assert [row[:2] for row in rows] == [["a", "passed"], ["b", "**failed**"], ["c", "not run"]]


def test_what_was_run_again_has_a_row_below_the_one_that_failed_which_stays() -> None:
    first = report_of(outcome("kill", 2), outcome("freeze"))
    again = run_again(reruns.Reruns(LOAD), outcome("kill"))
    shown = reruns.with_reruns(first, again)
    rows = rows_of(shown)
    assert [row[:2] for row in rows] == [
        ["kill", "**failed**"], ["kill, run again alone, seed 7", "passed"], ["freeze", "passed"],
    ]  # fmt: skip
    assert len({len(row) for row in rows}) == 1
    assert set(first.splitlines()[1:]) < set(shown.splitlines())
    assert shown.startswith(first.splitlines()[0]), "what the run said stays"
    assert "Run again after it, each in a row of its own: kill (seed 7: passed)." in shown


def test_each_time_that_it_was_run_again_is_shown_also_where_it_failed() -> None:
    again = reruns.Reruns(LOAD)
    for lost in (1, 0, 3):
        again = run_again(again, outcome("kill", lost))
    shown = reruns.with_reruns(report_of(outcome("kill", 2)), again)
    assert [row[1] for row in rows_of(shown)] == [
        "**failed**", "**failed**", "passed", "**failed**",
    ]  # fmt: skip
    assert "kill (seed 7: **failed**, seed 7: passed, seed 7: **failed**)" in shown


def test_a_row_says_what_was_different_when_it_was_run_again() -> None:
    before, (kill, freeze) = reruns.Reruns(LOAD), (outcome("kill"), outcome("freeze"))
    shown = reruns.with_reruns(
        report_of(kill, freeze), run_again(before, kill, freeze, clients=20, code="def2")
    )
    label = "run again with 1 more, seed 7; 20 clients, 30 writes/s, faults at 1; at commit def2"
    assert [row[0] for row in rows_of(shown)] == [
        "kill", f"kill, {label}", "freeze", f"freeze, {label}",
    ]  # fmt: skip


def test_what_could_not_be_run_again_says_nothing() -> None:
    assert run_again(reruns.Reruns(LOAD), outcome("kill", skipped=True)).again == []


def test_what_was_not_in_the_run_of_all_is_added_to_none() -> None:
    again = run_again(reruns.Reruns(LOAD), outcome("kill"))
    with pytest.raises(ValueError, match="0 rows of kill"):
        reruns.with_reruns(report_of(outcome("kill-core")), again)


def test_it_is_kept_until_the_next_run_of_all_and_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "reliability.md"
    document.write_text("<!-- chaos: begin -->\n<!-- chaos: end -->\n")
    monkeypatch.setattr(
        "sys.argv", ["report", "--build", str(tmp_path), "--document", str(document)]
    )
    assert reruns.read(tmp_path) is None
    reruns.begun_anew(tmp_path, LOAD)
    (tmp_path / "chaos.md").write_text(report_of(outcome("kill", 2)))
    found = reruns.read(tmp_path)
    assert found is not None
    reruns.save(tmp_path, run_again(found, outcome("kill")))
    assert report.main() == 0
    assert "| kill, run again alone, seed 7 | passed |" in document.read_text()
    reruns.begun_anew(tmp_path, LOAD)
    assert report.main() == 0
    assert "run again" not in document.read_text()
