"""Lets each test module be compiled by one worker only.

All workers collect all tests. In a fresh clone no module has bytecode yet, so all workers would
compile the same module at the same time and rewrite its assertions: more than half of the cost of
their start. So before the collection each worker imports its share of the modules. Then it finds
most other modules compiled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest


def load_share(config: pytest.Config) -> None:
    """Import this worker's share of the test modules; in a run without workers, none.

    A module that cannot be imported is left out here; the collection reports it.
    """
    workers: dict[str, object] = getattr(config, "workerinput", {})
    if not workers:
        return
    number = int(str(workers["workerid"]).removeprefix("gw"))
    asked = [Path(argument.partition("::")[0]) for argument in config.args]
    for path in share(modules_in(asked), number, int(str(workers["workercount"]))):
        # An import may raise anything, also pytest's exceptions that skip or fail a module.
        with suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
            import_module(module_name(path))


def share(of_all: Sequence[Path], number: int, workers: int) -> Sequence[Path]:
    """The share of worker `number`, of so many workers."""
    return of_all[number::workers]


def modules_in(asked: Iterable[Path]) -> list[Path]:
    """The test modules in these files and folders, in the same order in each worker."""
    found: set[Path] = set()
    for path in asked:
        found.update(path.rglob("test_*.py") if path.is_dir() else [path])
    return sorted(one.absolute() for one in found)


def module_name(path: Path) -> str:
    """The name by which pytest imports the module: below the first folder that is no package."""
    names = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").exists():
        names.append(folder.name)
        folder = folder.parent
    return ".".join(reversed(names))
