"""What CI runs: the hooks before a commit run it too, as far as it answers in seconds."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
MAKEFILE: Final = (ROOT / "Makefile").read_text()
ALL_FILES: Final = "."
ONLY_IF_NOT_EXCLUDED: Final = "--force-exclude"
"""A hook names the files, also those that the configuration leaves out."""
KINDS: Final = {
    "ruff": {"python", "pyi"},
    "mypy": {"python", "pyi"},
    "tsc": {"javascript", "json", "ts"},
}
"""The kinds of files of which a change may make the answer of a program another one."""


def commands(target: str, makefile: str = MAKEFILE) -> list[list[str]]:
    """What a target of the Makefile runs, as words; programs without their folders."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None, target
    lines = [shlex.split(line.lstrip("\t@")) for line in recipe[1].splitlines()]
    return [[Path(program).name, *words] for program, *words in lines]


def hooks() -> list[dict[str, Any]]:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    return list(repo["hooks"])


def run_by(hook: dict[str, Any]) -> list[str]:
    """As `commands`: with all files instead of those that are to be committed."""
    program, *words = shlex.split(hook["entry"])
    if ONLY_IF_NOT_EXCLUDED in words:
        words.remove(ONLY_IF_NOT_EXCLUDED)
        words.append(ALL_FILES)
    return [Path(program).name, *words]


def test_the_commands_of_a_target_are_read() -> None:
    makefile = (
        "lint: $(READY) ## Style\n\t@$(BIN)/ruff check .\n\tnode_modules/.bin/tsc -p a\n\nx:\n"
    )
    assert commands("lint", makefile) == [["ruff", "check", "."], ["tsc", "-p", "a"]]


@pytest.mark.parametrize("target", ["lint", "types"])
def test_each_command_of_style_and_types_has_its_hook(target: str) -> None:
    assert commands(target)
    at_commits = [run_by(hook) for hook in hooks() if "stages" not in hook]
    for command in commands(target):
        assert command in at_commits


def test_a_hook_runs_nothing_that_ci_does_not() -> None:
    known = [*commands("lint"), *commands("types"), ["make", "test-fast"]]
    for hook in hooks():
        assert run_by(hook) in known, hook["id"]


def test_a_hook_of_one_program_runs_for_each_kind_of_file_that_it_reads() -> None:
    for hook in hooks():
        program = run_by(hook)[0]
        if program in KINDS:
            assert set(hook["types_or"]) == KINDS[program], hook["id"]


def test_before_a_push_the_fast_tests_run_whatever_has_changed() -> None:
    """They read documents, manifests, pages and the Makefile, too."""
    (rules,) = [hook for hook in hooks() if hook.get("stages") == ["pre-push"]]
    assert run_by(rules) == ["make", "test-fast"]
    assert rules["always_run"]
    assert "types" not in rules
    assert "types_or" not in rules
    assert "files" not in rules


def test_ci_runs_what_the_hooks_are_held_to() -> None:
    assert {"make lint", "make types"} <= set((ROOT / ".ci/run").read_text().splitlines())


@pytest.mark.parametrize("exit_code", [0, 2])
def test_what_ci_reports_is_the_quick_benchmark_in_colours_and_nothing_else(
    tmp_path: Path, exit_code: int
) -> None:
    """It fails if that cannot run, and its own exit code never tells of a figure."""
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "$PWD $* CI=$CI"\nexit {exit_code}\n')
    make.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [ROOT / ".ci/report"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == f"{ROOT} bench-quick CI=true\n"
    assert done.returncode == exit_code


def test_a_figure_of_the_report_never_decides() -> None:
    assert "bench" not in (ROOT / ".ci/run").read_text()
