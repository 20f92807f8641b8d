"""Returns memory to the system after a storm of requests."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable
from typing import Final

_EVERY_S: Final = 10.0
_COLLECTED_AFTER: Final = 20_000
"""How many more objects must be alive before CPython itself looks for cycles among them. By default
it is 700: a handful of requests under way have that many, and it would look all the time."""


async def keep_giving_back(every_s: float = _EVERY_S) -> None:
    """Ask the C library again and again to return its free memory; only glibc does so.

    Buffers of thousands of connections leave its heap full of holes. It returns memory by itself
    only from the end of the heap, where some connection or other always lives. A full collection
    goes before, because it empties CPython's lists of spare objects, each of which holds its page.
    What has been made by now (modules, routes) lives as long as the process: it is taken out of
    the collector's sight, so that a collection takes a millisecond or two instead of a hundred.

    Python's own allocator returns memory only in pieces of a MiB of which nothing is in use, and
    after a storm there is something in each. Core is therefore run with PYTHONMALLOC=malloc.
    """
    trim = _trimmer()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER)
    while True:
        await asyncio.sleep(every_s)
        gc.collect()
        if trim is not None:
            trim(0)


def _trimmer() -> Callable[[int], int] | None:
    found: Callable[[int], int] | None = None
    if sys.platform.startswith("linux"):
        found = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
