"""A small disk for one server, which can be filled to the last byte: a mounted file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

SIZE_MB: Final = 4096
"""The size of the disk. Its file uses only as much as is written to it."""
_STEPS: Final = (64 << 20, 1 << 20, 4096)


class Disk:
    """A folder that is a separate disk if we may mount one (root, on Linux); else a plain folder.

    Args:
        folder: the folder at which it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem: str | None = "it was not asked for"
        """Why it is not a separate disk; None: it is one."""
        self._image = folder.with_name(folder.name + ".img")
        self._ballast = folder / "ballast"

    def mount(self) -> None:
        """Create and mount the disk; if that fails, `problem` says why."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._image.open("wb") as image:
            image.truncate(SIZE_MB << 20)
        for command in (
            ["mkfs.ext4", "-q", "-m", "0", str(self._image)],
            ["mount", "-o", "loop", str(self._image), str(self.folder)],
        ):
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                self.problem = str(error)
                return
            if done.returncode != 0:
                self.problem = f"{command[0]}: {done.stderr.strip()}"
                return
        self.problem = None

    def fill(self) -> int:
        """Fill the disk. Returns how many bytes were written."""
        with self._ballast.open("ab") as file:
            for step in _STEPS:
                try:
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
                except OSError:
                    continue
            return os.fstat(file.fileno()).st_size

    def free(self) -> None:
        """Delete what filled the disk."""
        self._ballast.unlink(missing_ok=True)

    def unmount(self) -> None:
        """Unmount and delete the disk."""
        if self.problem is None:
            subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)
            self._image.unlink(missing_ok=True)
