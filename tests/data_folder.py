"""A folder for the data of the servers that a test starts, in memory where there is room.

A new database is 300 files. On ext4 a file that is created shortly after others were deleted costs
up to a millisecond of CPU, as each inode that was just freed is looked at and passed over. So the
databases of the tests used a tenth of all CPU. In memory a database costs 13 ms, not 40 to 350.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")
ROOM_BYTES: Final = 6 << 30
"""So much must be free, in the file system and in the machine: several times what all workers use.
"""


@contextmanager
def data_folder(prefix: str) -> Iterator[Path]:
    """A new folder, deleted afterwards. Other users may pass through it, as PostgreSQL's own must;
    through pytest's folders they may not.

    Args:
        prefix: how its name begins.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=roomy(_MEMORY)))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def roomy(memory: Path) -> Path | None:
    """This file system in memory, or None if there is none, or not `ROOM_BYTES` in it, or not so
    much memory that nothing uses."""
    try:
        free = min(shutil.disk_usage(memory).free, _unused_bytes())
    except (OSError, ValueError):
        return None
    return memory if free >= ROOM_BYTES and os.access(memory, os.W_OK) else None


def _unused_bytes() -> int:
    """The machine's memory that can be used without swapping. Source: proc_meminfo(5)."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    return 0
