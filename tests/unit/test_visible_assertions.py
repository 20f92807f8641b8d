"""Each test asserts something: itself, or by a helper below tests/ that it calls.

A test that only must not raise compares what it gets: an assertion says what the test is for, and
fails if what it calls does nothing any more. A wait that ends is one: what never comes fails it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

pytestmark = pytest.mark.xdist_group("visible-assertions")

ROOT: Final = Path(__file__).parents[2]
CALLS_THAT_FAIL: Final = frozenset({"raises", "warns", "fail", "deprecated_call"})
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


class Part(NamedTuple):
    """A function, or a variable of a module."""

    name: str
    line: int
    asserts: bool
    uses: frozenset[str]
    """The last names of what it calls and looks into, or, of a variable, of what it is made of."""


class Module(NamedTuple):
    """What a file below tests/ defines, and from where it takes what."""

    parts: dict[str, list[Part]]
    imports: dict[str, tuple[str, str]]
    """By the name here: the module, and the name there."""


def waits_with_an_end(node: ast.AST) -> bool:
    """Whether it is `async with asyncio.timeout(…)` around a wait for something."""
    if not isinstance(node, ast.AsyncWith):
        return False
    ends = any("attr='timeout'" in ast.dump(item.context_expr) for item in node.items)
    inside = [one for part in node.body for one in ast.walk(part)]
    return ends and any(
        isinstance(one, ast.While)
        or (isinstance(one, ast.Attribute) and one.attr in ("wait", "wait_for"))
        for one in inside
    )


def part_of(name: str, node: ast.stmt) -> Part:
    """What stands in this function, with those inside it, or in this assignment."""
    asserts, uses = False, set()
    for one in ast.walk(node):
        called = one.func if isinstance(one, ast.Call) else None
        if isinstance(called, ast.Name):
            uses.add(called.id)
        elif isinstance(called, ast.Attribute):
            uses.add(called.attr)
        elif isinstance(one, ast.Subscript) and isinstance(one.value, ast.Name):
            uses.add(one.value.id)  # a table of functions
        elif isinstance(one, ast.Name) and not isinstance(node, _FUNCTIONS):
            uses.add(one.id)
        elif isinstance(one, ast.Attribute) and not isinstance(node, _FUNCTIONS):
            uses.add(one.attr)
        elif isinstance(one, ast.Assert) or waits_with_an_end(one):
            asserts = True
        elif isinstance(one, ast.Raise) and one.exc is not None:
            asserts = asserts or "'AssertionError'" in ast.dump(one.exc)
    fails = any(use in CALLS_THAT_FAIL or use.startswith("expect") for use in uses)
    return Part(name, node.lineno, asserts or fails, frozenset(uses))


def module_of(text: str) -> Module:
    """What this file defines and imports."""
    tree = ast.parse(text)
    module = Module({}, {})
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            module.parts.setdefault(node.name, []).append(part_of(node.name, node))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
            for alias in node.names:
                here = alias.asname or alias.name
                module.imports[here] = (node.module or "", alias.name)
    for statement in tree.body:
        for target in _assigned(statement):
            module.parts.setdefault(target, []).append(part_of(target, statement))
    return module


def _assigned(node: ast.stmt) -> Iterator[str]:
    targets: Iterable[ast.expr] = ()
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return (one.id for one in targets if isinstance(one, ast.Name))


@cache
def modules() -> dict[str, Module]:
    """All below tests/, by their names."""
    found = {}
    for path in (ROOT / "tests").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = module_of(path.read_text())
    return found


def meant(module: Module, use: str, among: dict[str, Module]) -> Iterator[tuple[Module, Part]]:
    """What a used name may mean: what stands here, what is imported, or a method of that."""
    yield from ((module, part) for part in module.parts.get(use, ()))
    from_where = {name for name, _ in module.imports.values()}
    from_where |= {f"{name}.{there}" for name, there in module.imports.values()}
    names = {(name, use) for name in from_where}
    if use in module.imports:
        names.add(module.imports[use])
    for name, there in names:
        if (other := among.get(name)) is not None:
            yield from ((other, part) for part in other.parts.get(there, ()))


def silent(module: Module, among: dict[str, Module]) -> list[Part]:
    """The tests of the module in which nothing is asserted."""
    tests = [part for name, parts in module.parts.items() for part in parts if _is_test(name)]
    return [part for part in tests if not _asserts(module, part, among)]


def _is_test(name: str) -> bool:
    return name.startswith("test_")


def _asserts(module: Module, test: Part, among: dict[str, Module]) -> bool:
    todo, seen = [(module, test)], {id(test)}
    while todo:
        where, part = todo.pop()
        if part.asserts:
            return True
        for use in part.uses:
            for found in meant(where, use, among):
                if id(found[1]) not in seen:
                    seen.add(id(found[1]))
                    todo.append(found)
    return False


def test_every_test_asserts_something() -> None:
    found = [
        f"{name}:{part.line} {part.name}"
        for name, module in sorted(modules().items())
        if _is_test(name.rpartition(".")[2])
        for part in silent(module, modules())
    ]
    assert found == []


_HELPERS: Final = """
def holds(value):
    assert value

async def until(condition):
    async with asyncio.timeout(1):
        while not condition():
            await asyncio.sleep(0)

def prepares(value):
    return value

class Page:
    def shows(self):
        expect(self).to_be_visible()
"""


@pytest.mark.parametrize(
    ("body", "asserts"),
    [
        ("prepares(1)", False),
        ("await asyncio.sleep(1)", False),
        ("with suppress(ValueError): prepares(1)", False),
        ("async with asyncio.timeout(1): prepares(1)", False),
        ("assert prepares(1)", True),
        ("with pytest.raises(ValueError): prepares(1)", True),
        ("holds(1)", True),
        ("await until(lambda: True)", True),
        ("Page().shows()", True),
        ("indirect()", True),
        ("CHECKS[1](2)", True),
        ("raise AssertionError('no')", True),
    ],
)
def test_what_counts_as_an_assertion(body: str, asserts: bool) -> None:
    text = (
        "from tests.helpers import Page, holds, prepares, until\n"
        "CHECKS = {1: holds}\n"
        "def indirect():\n    holds(2)\n"
        f"async def test_it():\n    {body}\n"
    )
    among = {"tests.helpers": module_of(_HELPERS)}
    assert (silent(module_of(text), among) == []) == asserts
