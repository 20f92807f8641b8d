"""The machine in JavaScript has the modules, names and transition table of the one in Python.

What each does is held by tests/conformance. Here a name is the same whether it is written as
`go_sync`, `goSync` or `GoSync`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from client_sdk.machine.inputs_by_state import COUNTS
from tests.unit.product_modules import ROOT

PYTHON: Final = ROOT / "client_sdk/machine"
JAVASCRIPT: Final = ROOT / "client_sdk/javascript/machine"
LISTS: Final = ROOT / "client_sdk/javascript/contract/contract_lists.js"
MODULES: Final = sorted(path.stem for path in PYTHON.glob("*.py") if path.stem != "__init__")

PRESSURE: Final = "the book of a page takes each change at once: nothing waits to be acknowledged"
FILLING: Final = "a page stores its book with its cursor: nothing has to be filled after a restart"
DOCUMENTS: Final = "JavaScript has one function or shape for orders and documents"
SHOWN: Final = "client.js says what a page shows, of tabs and of what was stored, too"
LAG: Final = "a page does not show the lag"
WAKE: Final = "only a browser hears that it slept, or that the network is back"
TYPED: Final = "the form of all rules is spelled out for the type checker"

PYTHON_ONLY: Final = {
    "actions.Actions.deliver": PRESSURE,
    "actions.Actions.pause": PRESSURE,
    "freshness.Freshness.lag": LAG,
    "machine.Machine.paused": PRESSURE,
    "machine.Machine.pending": PRESSURE,
    "messages.Acknowledged": PRESSURE,
    "messages.Fill": FILLING,
    "sequencing.DocumentChange": DOCUMENTS,
    "sequencing.DocumentReset": DOCUMENTS,
    "sequencing.Positions.judge": "take asks nobody else",
    "sequencing.Reset.goes_on": "a Reset is a plain object there: goesOn",
    "sequencing.document_changes_of": DOCUMENTS,
    "status.Status": SHOWN,
    "status.status_of": SHOWN,
    "sync_connect_or_poll.acknowledged": PRESSURE,
    "sync_state.Counters": "a plain object",
    "sync_state.Question": FILLING,
    "sync_state.SyncState.fill": FILLING,
    "sync_state.TakenAnswer.news": "a field there",
    "tracks.Pressure": PRESSURE,
}
JAVASCRIPT_ONLY: Final = {
    "messages.Inputs": TYPED,
    "messages.Wake": WAKE,
    "sequencing.Positions.get": "Python has [] for it",
    "sequencing.Positions.has": "Python has `in` for it",
    "sequencing.goesOn": "Reset.goes_on",
    "sync_connect_or_poll.Failed": TYPED,
    "sync_connect_or_poll.Rule": TYPED,
    "sync_connect_or_poll.wake": WAKE,
}


def one_form(name: str) -> str:
    return name.replace("_", "").lower()


def names_in_python(module: str) -> Iterator[str]:
    """The public names of a module, and `Class.member` for each method and property."""
    for node in ast.parse((PYTHON / f"{module}.py").read_text()).body:
        match node:
            case ast.ClassDef(name=name, body=body):
                yield name
                members = [one.name for one in body if isinstance(one, ast.FunctionDef)]
                yield from (f"{name}.{one}" for one in members if not one.startswith("_"))
            case (
                ast.FunctionDef(name=name)
                | ast.AnnAssign(target=ast.Name(id=name))
                | ast.Assign(targets=[ast.Name(id=name)])
            ) if not name.startswith("_"):
                yield name


def names_in_javascript(path: Path) -> Iterator[str]:
    """What a module exports, the types among it, and `Class.member` for each method and getter."""
    text = path.read_text()
    yield from re.findall(r"^export (?:class|const|function) (\w+)", text, re.MULTILINE)
    for found in re.finditer(r"@typedef (?=\{)", text):
        depth, end = 0, found.end()
        while depth or end == found.end():
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield re.findall(r"\w+", text[end : end + 80])[0]
    for name, body in re.findall(r"^export class (\w+).*?\{\n(.*?)^\}", text, re.M | re.DOTALL):
        members = re.findall(r"^  (?:get )?(\w+)\(.*\{$", body, re.MULTILINE)
        yield from (f"{name}.{one}" for one in members if one != "constructor")


def test_the_modules_are_the_same() -> None:
    assert sorted(path.stem for path in JAVASCRIPT.glob("*.js")) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_modules_names_are_the_same(module: str) -> None:
    python = {one_form(name): name for name in names_in_python(module)}
    own = {one_form(name): name for name in names_in_javascript(JAVASCRIPT / f"{module}.js")}
    generated = {one_form(name) for name in names_in_javascript(LISTS)}
    missing = {f"{module}.{python[name]}" for name in python.keys() - own.keys() - generated}
    beyond = {f"{module}.{own[name]}" for name in own.keys() - python.keys()}
    # A class that one of them lacks has no members there either.
    of_missing = {one for one in missing if one.rpartition(".")[0] in PYTHON_ONLY}
    here = f"{module}."
    assert missing - of_missing == {one for one in PYTHON_ONLY if one.startswith(here)}
    assert beyond == {one for one in JAVASCRIPT_ONLY if one.startswith(here)}


@pytest.mark.parametrize("ending", ["js", "py"])
def test_only_one_module_doubles_a_wait(ending: str) -> None:
    doubling = {
        path.relative_to(ROOT)
        for folder in ("client_sdk", "core_api", "event_server")
        for path in (ROOT / folder).rglob(f"*.{ending}")
        if re.search(r"\b2(\.0)? ?\*\* ?[#_a-zA-Z(]", path.read_text())
    }
    folder = JAVASCRIPT if ending == "js" else PYTHON
    assert doubling == {(folder / f"backoff.{ending}").relative_to(ROOT)}


def test_the_transition_tables_are_the_same() -> None:
    python = {
        signal.__name__: {state.value for state in states} for signal, states in COUNTS.items()
    }
    text = (JAVASCRIPT / "inputs_by_state.js").read_text()
    head, *rows = text.split("`")[1].strip().splitlines()
    javascript = {
        name: {state for state, mark in zip(head.split(), marks, strict=True) if mark == "x"}
        for name, *marks in map(str.split, rows)
    }
    assert python.pop("Acknowledged") == javascript.pop("Wake")
    assert javascript == python
