"""The tool that removes protections fits the current code, and covers every scenario."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.scenarios import ALL
from tests.chaos.unprotected.tree import ROOT, Patch, PatchError, apply, copy_tree
from tests.chaos.unprotected.trials import TRIALS, Trial


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_each_patch_fits_once_and_leaves_python(trial: Trial, tmp_path: Path) -> None:
    patches = (*trial.shorter, *trial.without.patches)
    for file in {patch.file for patch in patches}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((ROOT / file).read_text())
    for patch in patches:
        apply(patch, tmp_path)
        without = (tmp_path / patch.file).read_text()
        assert without != (ROOT / patch.file).read_text()
        compile(without, patch.file, "exec")


def test_the_copy_has_the_runbook_that_core_reads_at_its_start(tmp_path: Path) -> None:
    copy_tree(tmp_path, ())
    read = "from core_api.pages.runbook import own_runbook; own_runbook()"
    done = subprocess.run(
        [sys.executable, "-c", read],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_every_scenario_is_tried_and_every_trial_has_a_name_of_its_own() -> None:
    assert sorted({trial.scenario for trial in TRIALS}) == sorted(s.name for s in ALL)
    whole = [trial.scenario for trial in TRIALS if not trial.says]
    assert sorted(whole) == sorted(s.name for s in ALL)
    assert len({trial.name for trial in TRIALS}) == len(TRIALS)


def test_the_clock_of_the_alarm_is_tried_apart_from_that_of_the_tickets() -> None:
    (apart,) = (trial for trial in TRIALS if trial.scenario == "clock-core" and trial.says)
    assert {patch.file for patch in apart.without.patches} == {"core_api/receipts/statements.py"}


def test_what_a_trial_must_hear_is_in_a_scenario() -> None:
    said = "".join(path.read_text() for path in (ROOT / "tests/chaos/scenarios").glob("*.py"))
    assert [trial.says for trial in TRIALS if trial.says not in said] == []


@pytest.mark.parametrize("text", ["a guard is missing", "guard()\nguard()\n"])
def test_a_patch_that_does_not_fit_exactly_once_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "module.py").write_text(text)
    with pytest.raises(PatchError, match=r"module\.py"):
        apply(Patch("module.py", "guard()\n", ""), tmp_path)
