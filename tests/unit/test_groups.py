"""Tests that share a group run in one worker, so that what they share is started once.

Where pytest-xdist does not see the groups it says nothing: each worker then starts systems, brokers
and browsers of its own, again and again, and `make test` takes twice as long.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import ALONE, LONGEST_FIRST, ordered

_TESTS: Final = Path(__file__).parents[1]
_KEPT_TO_THE_END: Final = {
    "certificate", "certificates_are_read_once", "core_process", "fork_servers_end", "kafka_libs",
    "operations", "postgres", "postgres_server",
}  # fmt: skip
"""What a worker keeps to its end: it costs nothing, or little, while nobody uses it."""
_MODULE = """
import os

import pytest

pytestmark = pytest.mark.xdist_group("together")


@pytest.mark.parametrize("number", range(3))
def test_which_worker(number):
    with open("workers", "a") as file:
        print(os.environ["PYTEST_XDIST_WORKER"], file=file)
"""


def test_each_group_that_is_to_begin_first_is_one() -> None:
    texts = [path.read_text() for path in _TESTS.rglob("*.py")]
    named = {name for text in texts for name in re.findall(r'xdist_group\("([\w-]+)"\)', text)}
    # tests/integration/conftest.py
    of_folders = {f"kafka-{folder.name}" for folder in (_TESTS / "integration").iterdir()}
    assert set(LONGEST_FIRST) <= named | of_folders


def test_no_system_outlives_the_tests_of_its_folder() -> None:
    texts = [path.read_text() for path in _TESTS.rglob("*.py")]
    session = re.compile(r'scope="session"[^\n]*\)\n(?:async )?def (\w+)')
    assert {name for text in texts for name in session.findall(text)} == _KEPT_TO_THE_END


class Item:
    """A test as far as `ordered` looks at it."""

    def __init__(self, nodeid: str, group: str | None = None) -> None:
        self.nodeid = nodeid
        self._group = group

    def get_closest_marker(self, _name: str) -> pytest.Mark | None:
        return pytest.mark.xdist_group(self._group).mark if self._group else None


def test_those_that_compute_are_begun_beside_those_that_wait() -> None:
    waiting = [Item(f"tests/integration/{name}", name) for name in "abcd"]
    simulations = [Item(f"{ALONE}{name}") for name in "xy"]
    pure = [Item(f"tests/unit/{name}", f"unit/{name}") for name in "pq"]
    long = Item("tests/kafka", LONGEST_FIRST[0])
    items: Any = [*waiting, *simulations, *pure, long, waiting[0]]
    begun = [item.nodeid.rpartition("/")[2] for item in ordered(items)]
    assert begun == ["kafka", "a", "a", "x", "b", "y", "c", "p", "d", "q"]


def test_a_group_runs_in_one_worker_across_modules(tmp_path: Path) -> None:
    for name in ("test_one.py", "test_other.py"):
        (tmp_path / name).write_text(_MODULE)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # Without a folder of its own it would close pytest's to the user that our PostgreSQL runs as.
    apart = f"--basetemp={tmp_path / 'apart'}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", apart],
        cwd=tmp_path,
        env=ours,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    workers = (tmp_path / "workers").read_text().split()
    assert (len(workers), len(set(workers))) == (6, 1)
