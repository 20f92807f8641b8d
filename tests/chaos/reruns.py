"""Scenarios that were run again after a run of all: they get rows of their own in the report.

No row of the run of all is removed: a scenario that failed in it stays failed, whatever happened
later. `chaos-again.json` has every later run, also the failed ones; a new run of all empties it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tests.chaos.runner import Outcome

FILE: Final = "chaos-again.json"


class Load(Struct, frozen=True):
    """The load and the code of a run."""

    clients: int
    rate: float
    scale: float
    code: str
    """The commit; "": unknown."""


class Rerun(Struct, frozen=True):
    """One scenario, run again."""

    scenario: str
    seed: int
    passed: bool
    beside: int
    """How many other scenarios were run in the same run."""
    load: Load
    cells: list[str]
    """The cells of its row after the name."""


class Reruns(Struct, frozen=True):
    """The content of `chaos-again.json`."""

    first: Load
    """The load of the run of all."""
    again: list[Rerun] = []


def begun_anew(build: Path, load: Load) -> None:
    """Empty the file, as a run of all begins."""
    build.mkdir(parents=True, exist_ok=True)
    _write(build, Reruns(load))


def read(build: Path) -> Reruns | None:
    """Read the file; None: there was no run of all."""
    path = build / FILE
    return msgspec.json.decode(path.read_bytes(), type=Reruns) if path.exists() else None


def added(
    before: Reruns,
    outcomes: Sequence[Outcome],
    load: Load,
    chosen: int,
    cells: Callable[[Outcome], list[str]],
) -> Reruns:
    """`before` with these outcomes added; scenarios that could not be run are left out.

    Args:
        before: the reruns so far.
        outcomes: the outcomes of one run.
        load: the load and the code of that run.
        chosen: how many scenarios that run had.
        cells: returns the cells of a scenario's row, its name first.
    """
    new = [
        Rerun(o.scenario.name, o.seed, o.passed, chosen - 1, load, cells(o)[1:])
        for o in outcomes
        if not o.skipped
    ]
    return Reruns(before.first, [*before.again, *new])


def save(build: Path, reruns: Reruns) -> None:
    """Write the file."""
    _write(build, reruns)


def with_reruns(report: str, reruns: Reruns) -> str:
    """The report of a run of all, with rows for the reruns, and a sentence about them.

    The rows of a scenario's reruns are below its own row.

    Raises:
        ValueError: the report has no such scenario.
    """
    lines = report.splitlines()
    for one in reversed(reruns.again):
        places = [at for at, line in enumerate(lines) if line.startswith(f"| {one.scenario} | ")]
        if len(places) != 1:
            raise ValueError(f"the run of all has {len(places)} rows of {one.scenario}")
        row = "| ".join(["", *(f"{cell} " for cell in [_label(one, reruns.first), *one.cells])])
        lines.insert(places[0] + 1, f"{row}|")
    if reruns.again:
        lines[0] += f" Run again after it, each in a row of its own: {_told(reruns.again)}."
    return "\n".join(lines) + "\n"


def _label(one: Rerun, first: Load) -> str:
    alone = "alone" if not one.beside else f"with {one.beside} more"
    said = [f"{one.scenario}, run again {alone}, seed {one.seed}"]
    if (one.load.clients, one.load.rate, one.load.scale) != (
        first.clients, first.rate, first.scale
    ):  # fmt: skip
        said.append(
            f"{one.load.clients} clients, {one.load.rate:g} writes/s, faults at {one.load.scale:g}"
        )
    if one.load.code != first.code or not first.code:
        said.append(f"at commit {one.load.code}" if one.load.code else "at an unknown commit")
    return "; ".join(said)


def _told(again: Sequence[Rerun]) -> str:
    names = dict.fromkeys(one.scenario for one in again)
    return ", ".join(
        f"{name} ({', '.join(_verdict(one) for one in again if one.scenario == name)})"
        for name in names
    )


def _verdict(one: Rerun) -> str:
    return f"seed {one.seed}: {'passed' if one.passed else '**failed**'}"


def commit() -> str:
    """The current commit, with `-dirty` if files were changed since; "": unknown."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parent,
        )  # fmt: skip
    except OSError:
        return ""
    return done.stdout.strip()


def _write(build: Path, reruns: Reruns) -> None:
    (build / FILE).write_text(json.dumps(msgspec.to_builtins(reruns), indent=1) + "\n")
