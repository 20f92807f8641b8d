"""Lets `ps` show the command line of a forked process; without this it shows the fork server's."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_ARG_START: Final = 48 - 3
"""The index of `arg_start` among the fields of /proc/self/stat that follow the name: it is field
48, and the first after the name is field 3 (proc(5))."""
_LOWEST_ADDRESS: Final = 4096


def show_command(command: Sequence[str]) -> None:
    """Let `ps` and /proc/self/cmdline show this command (on Linux only).

    It overwrites the arguments in the process's memory. A longer command is cut off there.
    """
    if sys.platform != "linux":
        return
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = map(int, stat[_ARG_START : _ARG_START + 2])
    room = end - start - 2
    if start < _LOWEST_ADDRESS or room < 1:
        return  # this kernel does not report where the arguments are
    shown = " ".join(command).encode()[:room]
    # If the last byte of the arguments is not NUL, the kernel shows the text up to the first NUL.
    ctypes.memmove(start, shown.ljust(room + 1, b"\0") + b".", room + 2)
