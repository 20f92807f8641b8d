"""Each worker begins with test modules that no other begins with, and collects all in the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.loading import module_name, modules_in, share

_ROOT: Final = Path(__file__).parents[2]
_CONFTEST: Final = """
from tests.loading import load_share


def pytest_collection(session):
    load_share(session.config)
"""
_MODULE: Final = """
import os

with open("loaded", "a") as file:
    print(os.environ.get("PYTEST_XDIST_WORKER", "alone"), __name__, file=file)


def test_it():
    pass
"""
_NAMES: Final = [f"test_{letter}" for letter in "abcdef"]


def _run(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
    """A pytest of its own over six modules; who imported which, in this order."""
    (folder / "conftest.py").write_text(_CONFTEST)
    for name in _NAMES:
        path = folder / f"{name}.py"
        path.write_text(path.read_text() if path.exists() else _MODULE)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # Without a folder of its own it would close pytest's to the user that our PostgreSQL runs as.
    apart = f"--basetemp={folder / 'apart'}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", apart, *arguments],
        cwd=folder,
        env=ours | {"PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = folder / "loaded"
    return done, [line.split() for line in loaded.read_text().splitlines() if loaded.exists()]


def test_workers_begin_with_parts_of_their_own_and_load_each_module_once(tmp_path: Path) -> None:
    done, lines = _run(tmp_path, "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
    orders = [[module for who, module in lines if who == worker] for worker in ("gw0", "gw1")]
    assert orders == [_NAMES[0::2] + _NAMES[1::2], _NAMES[1::2] + _NAMES[0::2]]


def test_without_workers_modules_are_loaded_as_they_are_collected(tmp_path: Path) -> None:
    done, lines = _run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert [module for _, module in lines] == _NAMES


def test_a_module_that_cannot_be_imported_is_told_of_by_the_collection(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("raise ValueError('broken at its import')")
    done, _ = _run(tmp_path, "-n", "2")
    assert done.returncode == 1
    assert "broken at its import" in done.stdout
    assert "ERROR test_a.py - ValueError: broken at its import" in done.stdout


def test_a_module_of_the_own_part_tells_what_its_assertions_compared(tmp_path: Path) -> None:
    fails = "def test_it():\n    seen = [1, 2]\n    assert seen == [1, 3]\n"
    for name in _NAMES:
        (tmp_path / f"{name}.py").write_text(_MODULE.partition("def")[0] + fails)
    done, _ = _run(tmp_path, "-n", "2")
    assert done.stdout.count("At index 1 diff: 2 != 3") >= len(_NAMES), done.stdout


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_parts_together_are_all_of_this_project_and_none_twice(workers: int) -> None:
    files = modules_in([_ROOT / "tests"])
    parts = [share(files, number, workers) for number in range(workers)]
    assert sorted(one for part in parts for one in part) == files
    assert Path(__file__) in files


def test_a_module_has_the_name_that_pytest_gives_it() -> None:
    assert module_name(Path(__file__)) == __name__
