"""The reports: what machines read, and what is put into the document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chaos.proof import Verdict
from tests.chaos.report import markdown, put_between, summary, write_json, write_notes
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
