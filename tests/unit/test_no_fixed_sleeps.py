"""No test waits for a time of half a second or more: it awaits the event, or looks again soon.

A period of a program that produces load, the length of a fault, and a time in which nothing may
happen are no such waits; each is named here with its reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TESTS: Final = ROOT / "tests"
LONG_S: Final = 0.5
MEASURES: Final = TESTS / "bench"
"""Benchmarks are no tests: they measure over a time, on a machine that has become quiet."""

EXCEPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "the period of a program that produces load, shows figures or plays a person": (
        "tests/chaos/crowd.py:_SAMPLE_EVERY_S",
        "tests/chaos/kitchen/staff.py:2 * _AGAIN_S",
        "tests/chaos/kitchen/staff.py:_AGAIN_S",
        "tests/chaos/kitchen/staff.py:_COMMAND_EVERY_S",
        "tests/chaos/kitchen/staff.py:_ORDER_EVERY_S",
        "tests/chaos/kitchen/staff.py:_PRESS_EVERY_S",
        "tests/chaos/kitchen/staff.py:_STEP_EVERY_S",
        "tests/chaos/load.py:_AGAIN_AFTER_S",
        "tests/chaos/load.py:self._chance.uniform(0.5, 1.5) * _BETWEEN_STEPS_S",
        "tests/chaos/offline.py:chance.uniform(0.1, 1.0)",
        "tests/chaos/runner.py:_SHOW_EVERY_S",
        "tests/chaos/wire.py:_HEALTH_EVERY_S",
    ),
    "the length of a fault, or the random moment at which it begins": (
        "tests/chaos/scenarios/devices.py:ground.chance.uniform(0, 1.2)",
        "tests/chaos/scenarios/servers.py:_NEXT_AFTER_S",
        "tests/chaos/scenarios/servers.py:_WITHOUT_S",
        "tests/chaos/webhooks.py:_KILL_EVERY_S",
        "tests/chaos/webhooks.py:_MOOD_S",
        "tests/end_to_end/test_star_jobs_over_mqtt.py:chance.uniform(0, 1.5)",
        "tests/integration/core_api/test_sync_faults.py:chance.uniform(0.0, 1.5)",
        "tests/integration/core_api/test_sync_faults.py:chance.uniform(0.2, 0.6)",
        "tests/integration/mqtt/disorder.py:self._chance.random()",
        "tests/integration/mqtt/test_gateway_faults.py:chance.uniform(0, 2)",
        "tests/printer_kitchen.py:chance.uniform(0, 0.6)",
    ),
    "a time in which nothing wrong may happen: that it does not is no event": (
        "tests/chaos/scenarios/devices.py:_WATCHED_S",
    ),
    "what the tested program calls, and takes so long on purpose": (
        "tests/browser/test_terminal_phone.py:500",
        "tests/integration/event_server/test_kafka_connections.py:3600",
    ),
}
"""Sleeps that are no waits, as `path:argument`, by the reason."""

_SLEEPS: Final = re.compile(r"sleep\(|wait_for_timeout|setTimeout")
_SCRIPT: Final = re.compile(r"setTimeout\([^;\n]*?,\s*([0-9_]+)\)")


def long_sleeps(path: Path) -> Iterator[str]:
    """The arguments of the sleeps in this module that are known to take half a second or more."""
    text = path.read_text()
    if not _SLEEPS.search(text):
        return
    tree = ast.parse(text)
    known = _numbers_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else _name(node.func)
            most = _most(node.args[0], known)
            in_s = most / 1000 if called == "wait_for_timeout" and most else most
            if called in ("sleep", "wait_for_timeout") and in_s is not None and in_s >= LONG_S:
                yield ast.unparse(node.args[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (one for one in _SCRIPT.findall(node.value) if int(one) >= LONG_S * 1000)


def _numbers_of(tree: ast.Module) -> dict[str, float]:
    """The numbers among the constants of a module, and among those that it imports from tests."""
    found: dict[str, float] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
            theirs = _numbers_in(node.module or "")
            names = {one.asname or one.name: theirs.get(one.name) for one in node.names}
            found |= {name: value for name, value in names.items() if value is not None}
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            value = _most(node.value, found)
            if value is not None:
                found[_name(target)] = value
    return found


@lru_cache
def _numbers_in(module: str) -> dict[str, float]:
    path = ROOT / f"{module.replace('.', '/')}.py"
    return _numbers_of(ast.parse(path.read_text())) if path.exists() else {}


def _most(node: ast.expr, known: dict[str, float]) -> float | None:
    """The most that this is; None: that is not known before it runs."""
    if isinstance(node, ast.Constant):
        return float(node.value) if isinstance(node.value, int | float) else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "uniform" and len(node.args) == 2:
            return _most(node.args[1], known)
        return 1.0 if node.func.attr == "random" and not node.args else None
    if isinstance(node, ast.BinOp):
        left, right = _most(node.left, known), _most(node.right, known)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div):
            return left / right if right else None
    return None


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def all_long_sleeps() -> set[str]:
    """Those of all tests, each as `path:argument`."""
    return {
        f"{path.relative_to(ROOT)}:{argument}"
        for path in sorted(TESTS.rglob("*.py"))
        if not path.is_relative_to(MEASURES) and path != Path(__file__)
        for argument in long_sleeps(path)
    }


def test_no_test_waits_for_half_a_second_or_more() -> None:
    excepted = {one for several in EXCEPTIONS.values() for one in several}
    found = all_long_sleeps()
    assert sorted(found - excepted) == []
    assert sorted(excepted - found) == [], "it is not there any more"


def test_a_sleep_is_found_however_its_time_is_written(tmp_path: Path) -> None:
    path = tmp_path / "test_module.py"
    path.write_text(
        "_LONG_S: Final = 2.0\nSHORT_S = 0.1\n"
        "async def test(page, chance):\n"
        "    await asyncio.sleep(_LONG_S)\n"
        "    await asyncio.sleep(SHORT_S)\n"
        "    time.sleep(0.5)\n"
        "    time.sleep(0.4)\n"
        "    await sleep(6 * SHORT_S)\n"
        "    await asyncio.sleep(chance.uniform(0, 0.7))\n"
        "    await page.wait_for_timeout(600)\n"
        "    await page.wait_for_timeout(300)\n"
        "    await page.evaluate('new Promise((done) => setTimeout(done, 900))')\n"
        "    await asyncio.sleep(float(answer))\n"
    )
    assert sorted(long_sleeps(path)) == [
        "0.5", "6 * SHORT_S", "600", "900", "_LONG_S", "chance.uniform(0, 0.7)",
    ]  # fmt: skip
