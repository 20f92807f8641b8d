"""No option that nobody sets: each parameter with a default is given by some call.

Only functions and constructors that are called by their own name, and never handed on, are looked
at; a call with `*` or `**` gives everything. What programs may give to the SDK is not looked at.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.unit.product_modules import ROOT, parsed

pytestmark = pytest.mark.xdist_group("docstrings")

Function = ast.FunctionDef | ast.AsyncFunctionDef
_MADE_BY: Final = "__init__"


class Given(NamedTuple):
    """What a call gives."""

    positional: float
    names: Collection[str | None]


def name_of(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def given_by(call: ast.Call) -> Given:
    names = {one.arg for one in call.keywords}
    is_open = None in names or any(isinstance(one, ast.Starred) for one in call.args)
    return Given(float("inf") if is_open else len(call.args), names)


class Calls:
    """What some modules call, hand on and derive from."""

    def __init__(self) -> None:
        self.by_name: dict[str, list[Given]] = defaultdict(list)
        self.handed_on: set[str] = set()
        self.bases: set[str] = set()

    def add(self, trees: Iterable[ast.Module]) -> None:
        """Add those of more modules."""
        for tree in trees:
            called = set()
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    self.by_name[name_of(node.func)].append(given_by(node))
                    called.add(node.func)
                elif isinstance(node, ast.ClassDef):
                    self.bases.update(name_of(base) for base in node.bases)
                elif isinstance(node, ast.Name | ast.Attribute) and node not in called:
                    self.handed_on.add(name_of(node))


def options_in(tree: ast.Module) -> Iterator[tuple[str, bool, str, int]]:
    """Who takes it, whether that is a class, the option, and its place; one given by name only has
    the last."""
    for owner in ast.walk(tree):
        if not isinstance(owner, ast.Module | ast.ClassDef):
            continue
        for made in owner.body:
            is_class = isinstance(owner, ast.ClassDef)
            if isinstance(made, Function) and (made.name == _MADE_BY) == is_class:
                args = made.args
                places = [*args.posonlyargs, *args.args][is_class:]
                first = len(places) - len(args.defaults)
                name = owner.name if isinstance(owner, ast.ClassDef) else made.name
                for place, one in enumerate(places[first:], first):
                    yield name, is_class, one.arg, place
                for one, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
                    if default is not None:
                        yield name, is_class, one.arg, sys.maxsize


def never_given(product: Mapping[Path, ast.Module], calls: Calls) -> list[tuple[Path, str, str]]:
    return [
        (path, owner, option)
        for path, tree in product.items()
        for owner, is_class, option, place in options_in(tree)
        # A class is named in types, too; one with subclasses is made by theirs.
        if owner not in (calls.bases if is_class else calls.handed_on)
        if not any(
            option in one.names or one.positional > place
            for one in (*calls.by_name[owner], *calls.by_name["cls"])
        )
    ]


def test_each_option_of_the_product_is_given_by_some_call() -> None:
    product = {path: tree for path, tree in parsed().items() if path.parts[0] != "client_sdk"}
    calls = Calls()
    calls.add(parsed().values())
    # To parse all tests would take seconds: only those that name what nothing else gives.
    owners = {owner for _, owner, _ in never_given(product, calls)}
    texts = [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
    calls.add(ast.parse(text) for text in texts if any(owner in text for owner in owners))
    assert never_given(product, calls) == []


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("Some(1); some(2)", ["at", "by"]),
        ("Some(1, 2); some()", ["by", "by"]),
        ("Some(1, 2, by=3); some(*each)", []),
        ("Some(**each); hand(some)", []),
        ("class Other(Some): pass\nsome(by=1)", []),
    ],
)
def test_an_option_that_no_call_gives_is_found(call: str, found: list[str]) -> None:
    code = "class Some:\n  def __init__(self, one, at=2, *, by=3): pass\ndef some(by=1): pass\n"
    tree, calls = ast.parse(code + call), Calls()
    calls.add([tree])
    assert [one for *_, one in never_given({Path("here.py"): tree}, calls)] == found
