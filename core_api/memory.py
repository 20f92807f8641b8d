"""Memory that a storm took, given back to the machine when it is over."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable
from typing import Final

_EVERY_S: Final = 10.0


async def keep_giving_back(every_s: float = _EVERY_S) -> None:
    """Ask the C library to return what it keeps free; for ever, and only where it is glibc.

    Buffers of thousands of connections leave its heap full of holes. It returns memory by itself
    only from the end of the heap, where some connection or other always lives. A call takes about
    a millisecond.
    """
    trim = _trimmer()
    while trim is not None:
        await asyncio.sleep(every_s)
        trim(0)


def _trimmer() -> Callable[[int], int] | None:
    found: Callable[[int], int] | None = None
    if sys.platform.startswith("linux"):
        found = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
