"""What a public function raises, and what its many arguments are, is said in its docstring.

Held here is what can be read from the function and its private helpers: an error that they raise
and do not catch is named, or one above it is; and who takes five arguments or more explains them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.unit.product_modules import PACKAGES, parsed
from tests.unit.raised_errors import Function, RaisedErrors

pytestmark = pytest.mark.xdist_group("docstrings")

MANY: Final = 5


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


def test_a_public_function_names_what_it_raises() -> None:
    assert not [f"{path}: {name}: {error}" for path, name, error in RaisedErrors(parsed()).unsaid()]


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
