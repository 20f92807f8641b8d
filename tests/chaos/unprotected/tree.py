"""Makes a copy of the project and patches it; the processes run from the copy.

So the project is not changed, and the product has no switch that could be set by mistake.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
_FOLDERS: Final = (
    "client_sdk",
    "core_api",
    "event_server",
    "server_common",
    "deploy",
    "tests",
    "docs",  # Core shows a part of them
)


class PatchError(Exception):
    """A patch does not fit the code as it is now; the text says which."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A text in a file, and the text that replaces it to remove the protection."""

    file: str
    old: str
    new: str


def copy_tree(folder: Path, patches: Sequence[Patch]) -> None:
    """Copy the project into the folder and apply the patches.

    Raises:
        PatchError: the old text of a patch is not in its file exactly once.
    """
    for name in _FOLDERS:
        shutil.copytree(
            ROOT / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__", "node_modules"),
        )
    for patch in patches:
        apply(patch, folder)


def apply(patch: Patch, folder: Path) -> None:
    """Apply a patch in a copy of the project; raises as `copy_tree`."""
    path = folder / patch.file
    text = path.read_text()
    count = text.count(patch.old)
    if count != 1:
        raise PatchError(f"{patch.file}: found {count} times, not once:\n{patch.old}")
    path.write_text(text.replace(patch.old, patch.new))
