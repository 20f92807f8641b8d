"""Builds the servers that `make bench` compares with: `python -m tests.bench.fanout.setup`.

Each has a pinned version and goes into `build/peers`, built one after the other. Existing programs
are kept. If a server cannot be built here, that is reported with the reason and is no error: the
bench leaves it out.
`--sources FOLDER` takes `FOLDER/mercure` and `FOLDER/centrifugo` instead of fetching them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.bench.fanout.peers import BUILT

_WITHIN_S: Final = 900.0
_SAID_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to get a server: from a crate, or from a Git repository of Go code."""

    name: str
    program: str
    version: str
    crate: str = ""
    repository: str = ""
    package: str = "."
    """The folder of the program and of its module in the repository."""
    module: str = "."


RECIPES: Final = (
    Recipe("durable-streams", "durable-streams-server", "0.1.5", crate="durable-streams"),
    Recipe(
        "mercure",
        "mercure",
        "v0.24.2",
        repository="https://github.com/dunglas/mercure",
        package="./mercure",
        module="caddy",
    ),
    Recipe(
        "centrifugo",
        "centrifugo",
        "v6.9.1",
        repository="https://github.com/centrifugal/centrifugo",
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one server: its version, or why it was not built."""

    name: str
    version: str | None
    reason: str = ""

    def __str__(self) -> str:
        if self.version is None:
            return f"{self.name}: not built: {self.reason}"
        return f"{self.name} {self.version}: ready"


class _CannotBuildError(Exception):
    """A server cannot be built; the text is the reason."""


def build(
    recipe: Recipe, into: Path, sources: Path | None = None, within_s: float = _WITHIN_S
) -> Outcome:
    """Build a server, unless it is already built.

    Args:
        recipe: how to get it.
        into: the folder of the programs.
        sources: the folder that may contain its source.
        within_s: how long each of its commands may take.
    """
    if (into / recipe.program).exists():
        known = outcomes(into).get(recipe.name)
        return known if known and known.version else Outcome(recipe.name, recipe.version)
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="yabam-peer-", dir=into) as name:
        folder = Path(name)
        try:
            if recipe.crate:
                made = _by_cargo(recipe, folder, within_s)
            else:
                made = _by_go(recipe, folder, sources, within_s)
        except _CannotBuildError as error:
            return Outcome(recipe.name, None, str(error))
        made.rename(into / recipe.program)
    return Outcome(recipe.name, recipe.version)


def _by_cargo(recipe: Recipe, folder: Path, within_s: float) -> Path:
    command = ["cargo", "install", recipe.crate, "--version", recipe.version, "--locked"]
    _run([*command, "--jobs", "1", "--root", str(folder)], folder, within_s)
    return folder / "bin" / recipe.program


def _by_go(recipe: Recipe, folder: Path, sources: Path | None, within_s: float) -> Path:
    made = folder / recipe.program
    source = folder / "source"
    if sources is not None and (sources / recipe.name).is_dir():
        source = (sources / recipe.name).absolute()
    else:
        _has("go")
        clone = ["git", "clone", "--quiet", "--depth", "1", "--branch", recipe.version]
        _run([*clone, recipe.repository, str(source)], folder, within_s)
    # Its own module file replaces some modules, so `go install` refuses it.
    command = ["go", "build", "-p", "1", "-trimpath", "-o", str(made), recipe.package]
    _run(command, source / recipe.module, within_s, CGO_ENABLED="0")
    return made


def _has(program: str) -> None:
    if shutil.which(program) is None:
        raise _CannotBuildError(f"{program} is not installed")


def _run(command: Sequence[str], folder: Path, within_s: float, **environment: str) -> None:
    """Run a command. A compiler's children end with it."""
    _has(command[0])
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(within_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise _CannotBuildError(f"it took more than {within_s / 60:g} minutes") from None
        said.seek(0)
        last = said.read().strip().splitlines()[-_SAID_LINES:]
    if code != 0:
        raise _CannotBuildError(f"{command[0]} failed: {' / '.join(last)}")


def outcomes(built: Path = BUILT) -> Mapping[str, Outcome]:
    """The last setup's result for each server; empty: it was never run."""
    file = built / "outcomes.json"
    if not file.exists():
        return {}
    return {said["name"]: Outcome(**said) for said in json.loads(file.read_text())}


def main() -> None:
    """Build all, and print and save the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout.setup")
    parser.add_argument("--sources", type=Path, help="the folder with checkouts of their code")
    options = parser.parse_args()
    found = []
    for recipe in RECIPES:
        print(f"{recipe.name} {recipe.version}: up to a quarter of an hour", flush=True)
        found.append(build(recipe, BUILT, options.sources))
    BUILT.mkdir(parents=True, exist_ok=True)
    file = BUILT / "outcomes.json"
    file.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    print("", *found, sep="\n")


if __name__ == "__main__":
    main()
