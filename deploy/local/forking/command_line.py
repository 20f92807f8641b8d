"""What `ps` shows of a forked process: without this, the command that it was forked from."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_ARG_START: Final = 48 - 3
"""Its place in /proc/self/stat after the name, which may contain spaces: proc(5) counts from 1, and
the first after the name is the third."""
_LOWEST_ADDRESS: Final = 4096


def show_command(command: Sequence[str]) -> None:
    """Let `ps` and /proc/self/cmdline show this command (Linux).

    It is written over the process's own arguments, and cut off where those end: there is no other
    room.
    """
    if sys.platform != "linux":
        return
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = map(int, stat[_ARG_START : _ARG_START + 2])
    room = end - start - 2
    if start < _LOWEST_ADDRESS or room < 1:
        return  # this kernel does not say where they stand
    shown = " ".join(command).encode()[:room]
    # Where the last byte is not NUL, the kernel takes the first NUL for the end.
    ctypes.memmove(start, shown.ljust(room + 1, b"\0") + b".", room + 2)
