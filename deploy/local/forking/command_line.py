"""Sets the command line that `ps` shows of a forked process, instead of the fork server's."""

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

    It overwrites the process's own arguments, and is cut off at their end, as there is no more
    space.
    """
    if sys.platform != "linux":
        return
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = map(int, stat[_ARG_START : _ARG_START + 2])
    room = end - start - 2
    if start < _LOWEST_ADDRESS or room < 1:
        return  # this kernel does not report their address
    shown = " ".join(command).encode()[:room]
    # If the last byte is not NUL, the kernel takes the first NUL as the end.
    ctypes.memmove(start, shown.ljust(room + 1, b"\0") + b".", room + 2)
