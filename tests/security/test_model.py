"""SECURITY.md and the tests: each line of the threat model has one, and nothing else has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

MODEL = Path("SECURITY.md")
TESTS = Path(__file__).parent


def lines_of_the_model() -> list[int]:
    return [int(number) for number in re.findall(r"^\* \*\*T(\d+)\*\*", MODEL.read_text(), re.M)]


def numbered_tests() -> dict[int, set[str]]:
    """The files in which the tests of each number stand."""
    files: dict[int, set[str]] = {}
    for path in TESTS.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if found := re.match(r"test_t(\d+)_", node.name):
                files.setdefault(int(found[1]), set()).add(path.name)
    return files


def test_each_line_of_the_threat_model_has_a_test_and_each_test_a_line() -> None:
    lines = lines_of_the_model()
    assert lines == list(range(1, len(lines) + 1))
    assert len(lines) > 30
    assert sorted(numbered_tests()) == lines


def test_each_number_stands_for_one_line() -> None:
    several = {number: files for number, files in numbered_tests().items() if len(files) > 1}
    assert several == {}


def test_each_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"YABAM_[A-Z_]+", MODEL.read_text()))
    assert named
    assert named <= set(re.findall(r"YABAM_[A-Z_]+", Path("docs/settings.md").read_text()))
