"""A class or type that other modules use has a name of its own, or its word is explained.

Two that others import by the same name must mean the same thing in two packages that may not share
it, or stand in the table "Words" of docs/architecture.md.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.unit.product_modules import ROOT, parsed

pytestmark = pytest.mark.xdist_group("docstrings")

THE_SAME: Final = {
    "Backoff": "waits after failures, of the client's machine and of a server's loop",
    "DocumentName": "a document's channel and key, at a client and at Core",
    "Headers": "a Kafka record's, as they are written and as aiokafka gives them",
    "HistoryPage": "a part of a document's history, as Core gives it and a client takes it",
    "Job": "a print job, as Core keeps it and its agent knows it",
    "Received": "a cursor that a device has applied, by WebSocket and by MQTT",
    "Settled": "how far a client's edits are settled, as Core says it and a client takes it",
    "SignedOut": "who of those that are told something was signed out",
    "Standing": "how all subscriptions stand, of browsers and of webhooks",
    "Subscribe": "a request to be told, by a broker, a socket and a push service",
    "UnauthorizedError": "a token is refused, as Core says it and a client takes it",
}
_NAME: Final = re.compile(r"[A-Z][A-Za-z]*[a-z][A-Za-z]*")


def types_of(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def shared_names() -> dict[str, list[str]]:
    """The names by which modules import classes and types of more than one module."""
    defined = {
        ".".join(path.with_suffix("").parts): set(types_of(tree)) for path, tree in parsed().items()
    }
    homes: dict[str, set[str]] = defaultdict(set)
    for tree in parsed().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in defined:
                for imported in node.names:
                    if imported.name in defined[node.module] and _NAME.fullmatch(imported.name):
                        homes[imported.name].add(node.module)
    return {name: sorted(modules) for name, modules in homes.items() if len(modules) > 1}


def words() -> str:
    text = (ROOT / "docs/architecture.md").read_text()
    return text.partition("\n## Words\n")[2].partition("\n## ")[0]


def test_no_two_types_that_others_use_have_the_same_name() -> None:
    explained = set(re.findall(r"`([A-Za-z]+)`", words()))
    assert {
        name: modules
        for name, modules in shared_names().items()
        if name not in THE_SAME and name not in explained
    } == {}


def test_no_word_is_held_to_be_the_same_that_stands_once() -> None:
    assert set(THE_SAME) <= set(shared_names())


def test_what_the_words_name_exists() -> None:
    """A class that a row names with its module stands there."""
    named = re.findall(r"`([A-Z][A-Za-z]+)` (?:in|of) `([a-z_/]+\.py)`", words())
    assert named
    for name, ending in named:
        homes = [
            path
            for path in parsed()
            if Path(ending).parts == path.parts[-len(Path(ending).parts) :]
        ]
        assert any(name in types_of(parsed()[path]) for path in homes), (name, ending)


def test_a_maximum_is_called_so() -> None:
    """Constants begin with MAX_, and a parameter that bounds is called `limit` or `max_…`."""
    found = []
    for path, tree in parsed().items():
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name, ctx=ast.Store()) if re.match(r"_?MAX_", name):
                    found.append(f"{path}: {name}")
                case ast.arg(arg="most") if not takes_least_too(tree, node):
                    found.append(f"{path}:{node.lineno}: most")
    scripts = (
        path
        for folder in ("client_sdk/javascript", "core_api/pages/static")
        for path in (ROOT / folder).rglob("*.js")
    )
    for path in scripts:
        names = re.findall(r"^(?:export )?const (MOST\w*)", path.read_text(), re.MULTILINE)
        found += [f"{path}: {name}" for name in names]
    assert not found


def takes_least_too(tree: ast.Module, argument: ast.arg) -> bool:
    """Whether a function with this argument has both ends of a range."""
    return any(
        argument in one.args and "least" in {other.arg for other in one.args}
        for one in ast.walk(tree)
        if isinstance(one, ast.arguments)
    )
