"""Each constant that limits something is in the table of limits, or is named here with a reason.

So a limit that is added somewhere else, and fits no other, is seen.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Final

import pytest

from server_common.limit_table.limit import Limit
from server_common.limit_table.rows import TABLE

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("core_api", "event_server", "server_common", "client_sdk")
NAMED: Final = re.compile(r"(?:^|_)(?:MAX|MOST|LONGEST|HELD|BUFFERED)(?:_|$)|_(?:BYTES|LIMIT|CHARS|AT_ONCE)$")
"""How constants are named that limit something."""
TIMES: Final = re.compile(r"_(?:S|MS|DAYS)$")
TABLE_MODULES: Final = tuple(sorted((ROOT / "server_common/limit_table").glob("*.py")))
LIMIT_MODULES: Final = ("server_common/limits.py", "client_sdk/contract/limits.py")

EXCEPTIONS: Final[dict[str, tuple[str, ...]]] = {}


def constants_in(path: Path) -> dict[str, ast.expr]:
    """The constants of a module that look like limits, with what they are assigned."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, value = node.target.id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
        else:
            continue
        is_new = isinstance(value, ast.BinOp) or (
            isinstance(value, ast.Constant) and isinstance(value.value, int)
        )
        if is_new and name.isupper() and NAMED.search(name) and not TIMES.search(name):
            found[name] = value
    return found


def all_constants() -> set[str]:
    """Each as `path:NAME`."""
    return {
        f"{path.relative_to(ROOT)}:{name}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in constants_in(path)
    }


def names_in_the_table() -> set[str]:
    """The names that the table's modules use, of any module."""
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for path in TABLE_MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
    }


def imported_by_the_table() -> set[str]:
    """The constants that the table's modules import, as `path:NAME`."""
    found = set()
    for path in TABLE_MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = node.module.replace(".", "/") + ".py"
                found |= {f"{module}:{alias.name}" for alias in node.names}
    used = names_in_the_table()
    found |= {f"{module}:{name}" for module in LIMIT_MODULES for name in used}
    return found


HELD: Final = {limit.held: limit for limit in TABLE if limit.held}
EXCEPTED: Final = [name for names in EXCEPTIONS.values() for name in names]


def test_each_constant_that_limits_something_is_in_the_table_or_excepted() -> None:
    known = imported_by_the_table() | HELD.keys() | set(EXCEPTED)
    assert sorted(all_constants() - known) == []


def test_each_exception_is_a_constant_that_is_not_in_the_table() -> None:
    assert len(EXCEPTED) == len(set(EXCEPTED))
    assert sorted(set(EXCEPTED) - all_constants()) == []
    assert sorted(set(EXCEPTED) & (imported_by_the_table() | HELD.keys())) == []


@pytest.mark.parametrize("limit", HELD.values(), ids=lambda limit: limit.name)
def test_the_table_has_the_value_of_the_constant_that_holds_a_limit(limit: Limit) -> None:
    path, _, name = limit.held.partition(":")
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    assert getattr(module, name) == limit.value


def test_a_limit_of_any_module_is_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "MAX_ROWS: Final = 10\n_ROOM_BYTES = 4 * 1024\nWAITING_LIMIT: Final[int] = 1 << 20\n"
        "MAX_AGE_S: Final = 5\nMAX_BODY: Final = BODY_BYTES\nKEPT: Final = 3\n_MOST_AT_ONCE = f(1)\n"
    )
    assert set(constants_in(path)) == {"MAX_ROWS", "_ROOM_BYTES", "WAITING_LIMIT"}
