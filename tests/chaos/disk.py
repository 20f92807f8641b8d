"""A small disk of its own for one server, which can be filled to the last byte: a file, mounted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

SIZE_MB: Final = 4096
"""What the disk claims to have; the file behind it takes only what is written."""
_STEPS: Final = (64 << 20, 1 << 20, 4096)


class Disk:
    """A folder that is a disk, if we may mount one (root, on Linux), and else just a folder.

    Args:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem: str | None = "it was not asked for"
        """Why it is no disk of its own; None: it is one."""
        self._image = folder.with_name(folder.name + ".img")
        self._ballast = folder / "ballast"

    def mount(self) -> None:
        """Make it and mount it; `problem` says why if that cannot be done."""
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
        """Leave no room for anybody; how many bytes that took."""
        with self._ballast.open("ab") as file:
            for step in _STEPS:
                try:
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
                except OSError:
                    continue
            return os.fstat(file.fileno()).st_size

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    def unmount(self) -> None:
        """Let go of it."""
        if self.problem is None:
            subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)
            self._image.unlink(missing_ok=True)
