"""What a public function raises, and what its many arguments are, is said in its docstring.

Held here is what can be read from the function itself: an error that it raises and does not catch
is named, or one above it is; and who takes five arguments or more explains them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.xdist_group("docstrings")

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("client_sdk", "core_api", "deploy", "event_server", "server_common")
MANY: Final = 5
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(tree: ast.Module) -> Iterator[tuple[Function, str]]:
    """Each with its name; methods of public classes, too."""
    todo: list[tuple[ast.AST, str]] = [(tree, "")]
    while todo:
        node, within = todo.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
                todo.append((child, f"{child.name}."))
            elif isinstance(child, Function) and not child.name.startswith("_"):
                yield child, within + child.name


def bases_of(trees: list[ast.Module]) -> dict[str, set[str]]:
    """The names above each class."""
    return {
        node.name: {ast.unparse(base).split(".")[-1] for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }


def raised_in(function: Function) -> Iterator[str]:
    """The errors that a function itself raises and does not catch."""
    caught = {
        name
        for node in ast.walk(function)
        if isinstance(node, ast.ExceptHandler) and node.type is not None
        for name in re.findall(r"\w+", ast.unparse(node.type))
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).split(".")[-1]
            if name.endswith("Error") and name not in caught | {"AssertionError"}:
                yield name


def is_named(error: str, text: str, bases: dict[str, set[str]]) -> bool:
    above, todo = set[str](), [error]
    while todo:
        name = todo.pop()
        above.add(name)
        todo += bases.get(name, set()) - above
    return any(name in text for name in above - {"Exception"})


@cache
def parsed() -> Mapping[Path, ast.Module]:
    """All modules, once they are looked at: each worker of the tests imports this one."""
    return {
        path.relative_to(ROOT): ast.parse(path.read_text())
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "versions" not in path.parts
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_function_names_what_it_raises(package: str) -> None:
    found, bases = [], bases_of(list(parsed().values()))
    for path, tree in parsed().items():
        if path.parts[0] == package:
            for function, name in public_functions(tree):
                text = ast.get_docstring(function) or ""
                if "raises as" in text.lower():
                    continue  # the docstring that it names says it
                found += [
                    f"{path}: {name}: {error}"
                    for error in raised_in(function)
                    if not is_named(error, text, bases)
                ]
    assert not found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_function_explains_many_arguments(package: str) -> None:
    found = []
    for path, tree in parsed().items():
        if path.parts[0] == package:
            for function, name in public_functions(tree):
                arguments = function.args
                taken = [
                    argument.arg
                    for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs
                    if argument.arg not in ("self", "cls")
                ]
                text = ast.get_docstring(function) or ""
                if len(taken) >= MANY and "Args:" not in text and "the same as `" not in text:
                    found.append(f"{path}: {name}: {', '.join(taken)}")
    assert not found
