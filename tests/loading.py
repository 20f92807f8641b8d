"""Test modules are compiled once, not once in each worker.

All workers collect all tests. In a fresh clone each of them finds the same module without bytecode
at the same moment, and each compiles it, with its assertions rewritten: that is more than half of
what their start costs. So each loads a part of the modules that no other begins with, and finds the
rest compiled when it comes to collect it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest


def load_share(config: pytest.Config) -> None:
    """Import the modules that this worker begins with; in a run without workers, none.

    A module that cannot be imported is left to the collection, which tells of it.
    """
    workers: dict[str, object] = getattr(config, "workerinput", {})
    if not workers:
        return
    number = int(str(workers["workerid"]).removeprefix("gw"))
    asked = [Path(argument.partition("::")[0]) for argument in config.args]
    for path in share(modules_in(asked), number, int(str(workers["workercount"]))):
        # An import may end in anything, also in pytest's own exit from a module.
        with suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
            import_module(module_name(path))


def share(of_all: Sequence[Path], number: int, workers: int) -> Sequence[Path]:
    """What worker `number` of so many begins with."""
    return of_all[number::workers]


def modules_in(asked: Iterable[Path]) -> list[Path]:
    """The test modules in these files and folders, in the same order in each worker."""
    found: set[Path] = set()
    for path in asked:
        found.update(path.rglob("test_*.py") if path.is_dir() else [path])
    return sorted(one.absolute() for one in found)


def module_name(path: Path) -> str:
    """The name by which pytest imports it: from the first folder above that is no package."""
    names = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").exists():
        names.append(folder.name)
        folder = folder.parent
    return ".".join(reversed(names))
