"""Extracts the image's packages from `requirements.lock`: `python -m deploy.docker.lock`.

The project's lock also has the tools of the tests, which do not belong into an image. The files
made here have the same versions and hashes, so the image runs the packages that were tested.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK: Final = Path("requirements.lock")
PROJECT: Final = Path("pyproject.toml")
SERVER: Final = Path("deploy/docker/server.lock")
SOURCE: Final = Path("deploy/docker/source.lock")
BUILD: Final = Path("deploy/docker/build.lock")

_HEAD: Final = "# Made by `python -m deploy.docker.lock` from requirements.lock; do not edit it.\n"
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==")
# Packages of the servers that are not published as wheels. They are pure Python, built by
# setuptools, so nothing is compiled.
_WITHOUT_WHEEL: Final = frozenset({"http-ece"})
_ITS_TOOLS: Final = ("setuptools",)
# The environment of the image, for the markers of requirements: not that of this machine.
_IMAGE: Final = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.9",
    "python_version": "3.11",
    "sys_platform": "linux",
}


def render() -> Mapping[Path, str]:
    """The text of each file."""
    project = tomllib.loads(PROJECT.read_text())
    pins = _pins(LOCK.read_text())
    servers = _needed(project["project"]["dependencies"] + _extra(project, "server"))
    tools = _needed((*project["build-system"]["requires"], *_ITS_TOOLS))
    return {
        SERVER: _HEAD + _cut(pins, servers - _WITHOUT_WHEEL),
        SOURCE: _HEAD + _cut(pins, servers & _WITHOUT_WHEEL),
        BUILD: _HEAD + _cut(pins, tools),
    }


def _extra(project: Mapping[str, Any], name: str) -> list[str]:
    found: list[str] = project["project"]["optional-dependencies"][name]
    return found


def _pins(lock: str) -> dict[str, str]:
    """The lines of each package in the lock, by the package's name."""
    found: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if match := _PIN.match(line):
            name = canonicalize_name(match[1])
            found[name] = ""
        if name:
            found[name] += line
    return found


def _cut(pins: Mapping[str, str], names: Iterable[str]) -> str:
    return "".join(pins[name] for name in sorted(names))


def _needed(roots: Iterable[str]) -> set[str]:
    """The names of the roots and all their dependencies."""
    found: set[tuple[str, str]] = set()
    ahead = [(root, "") for root in roots]
    while ahead:
        text, extra = ahead.pop()
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate(_IMAGE | {"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        for chosen in ("", *wanted.extras):
            if (name, chosen) not in found:
                found.add((name, chosen))
                ahead += [(need, chosen) for need in distribution(name).requires or ()]
    return {name for name, _ in found}


if __name__ == "__main__":
    for path, text in render().items():
        path.write_text(text)
        print(f"wrote {path}", file=sys.stderr)
