"""What a public function raises, and what its arguments are, is said in its docstring.

Held here is what can be read from the function and its private helpers: an error that they raise
and do not catch is named, or one above it is; and who takes three arguments or more describes each
by its name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.unit.product_modules import PACKAGES, parsed
from tests.unit.raised_errors import Function, RaisedErrors

pytestmark = pytest.mark.xdist_group("docstrings")

SEVERAL: Final = 3
_SECTION: Final = re.compile(r"^Args:\n((?:(?: .*)?(?:\n|\Z))+)", re.MULTILINE)
_ENTRY: Final = re.compile(r"^ {4}(\w+(?:, \w+)*): \S", re.MULTILINE)


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


def taken_by(function: Function) -> list[str]:
    """The names of the arguments, without those of `*` and `**`."""
    arguments = function.args
    return [
        argument.arg
        for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs
        if argument.arg not in ("self", "cls")
    ]


def described_in(text: str) -> list[str]:
    """The names that begin the entries of the section `Args:`; an entry may have several."""
    section = _SECTION.search(text)
    entries = _ENTRY.findall(section[1]) if section else []
    return [name for names in entries for name in names.split(", ")]


def test_a_public_function_names_what_it_raises() -> None:
    assert not [f"{path}: {name}: {error}" for path, name, error in RaisedErrors(parsed()).unsaid()]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_function_describes_each_of_several_arguments(package: str) -> None:
    found = []
    for path, tree in parsed().items():
        if path.parts[0] == package:
            for function, name in public_functions(tree):
                taken = taken_by(function)
                described = described_in(ast.get_docstring(function) or "")
                if len(taken) >= SEVERAL and (left := [a for a in taken if a not in described]):
                    found.append(f"{path}: {name}: {', '.join(left)}")
    assert not found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_function_describes_only_arguments_that_it_has(package: str) -> None:
    found = []
    for path, tree in parsed().items():
        if path.parts[0] == package:
            for function, name in public_functions(tree):
                rest = (function.args.vararg, function.args.kwarg)
                taken = [*taken_by(function), *(one.arg for one in rest if one is not None)]
                described = described_in(ast.get_docstring(function) or "")
                if gone := [argument for argument in described if argument not in taken]:
                    found.append(f"{path}: {name}: {', '.join(gone)}")
    assert not found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Does it.", []),
        ("Does it.\n\nArgs:\n    one: this.\n    two: that,\n        and more.", ["one", "two"]),
        ("Does it.\n\nArgs:\n    one, two: as for `other`.", ["one", "two"]),
        ("Does it.\n\nArgs:\n    one: this. two: not in a line of its own.", ["one"]),
        ("Does it.\n\nArgs:\n    one: this,\n        two: further in.", ["one"]),
        ("Does it.\n\nArgs:\n    one: this.\n\nRaises:\n    two: no argument.", ["one"]),
        ("Does it: one: this.", []),
    ],
)
def test_what_is_described_is_read_from_the_lines_of_its_section(
    text: str, names: list[str]
) -> None:
    assert described_in(text) == names
