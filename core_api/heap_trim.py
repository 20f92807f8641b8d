"""Returns memory to the system after a storm of requests."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_EVERY_S: Final = 10.0
_COLLECTED_AFTER: Final = 20_000
"""How many more objects must be alive before CPython itself looks for cycles among them. By default
it is 700: a handful of requests under way have that many, and it would look all the time."""
WORTH_IT_BYTES: Final = 8 << 20
"""Less free memory than this is not worth a collection: with thousands of connections it holds up
every request for a tenth of a second."""


class Heap(NamedTuple):
    """What the process has of the system, in bytes."""

    resident: int
    """In memory, whatever for."""
    in_use: int
    """Given out by the C library and not given back to it."""


class FreeMemory:
    """Whether enough memory has become free to return it. Pure."""

    def __init__(self) -> None:
        self._stays = 0

    def is_worth_it(self, heap: Heap) -> bool:
        """Whether more has become free since the last time than is worth a collection."""
        return heap.resident - heap.in_use - self._stays > WORTH_IT_BYTES

    def returned(self, heap: Heap) -> None:
        """Note what could not be returned: code, holes in pages, memory of other allocators."""
        self._stays = heap.resident - heap.in_use


async def keep_giving_back() -> None:
    """Return free memory to the system again and again, where there is enough; only glibc can.

    Buffers of thousands of connections leave its heap full of holes. It returns memory by itself
    only from the end of the heap, where some connection or other always lives. A full collection
    goes before, because it empties CPython's lists of spare objects, each of which holds its page.
    What has been made by now (modules, routes) lives as long as the process: it is taken out of
    the collector's sight.

    Python's own allocator returns memory only in pieces of a MiB of which nothing is in use, and
    after a storm there is something in each. Core is therefore run with PYTHONMALLOC=malloc.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER)
    library = ctypes.CDLL(None)
    if not hasattr(library, "malloc_trim") or not hasattr(library, "mallinfo2"):
        await asyncio.Event().wait()  # for ever: a task that ends is started again
    free, look = FreeMemory(), looker(library)
    while True:
        if free.is_worth_it(look()):
            gc.collect()
            library.malloc_trim(0)
            free.returned(look())
        await asyncio.sleep(_EVERY_S)


class _MallInfo(ctypes.Structure):
    # mallinfo(3): the eighth of ten numbers is what is given out in the heap, the fifth by mmap.
    _fields_ = (("numbers", ctypes.c_size_t * 10),)


def looker(library: ctypes.CDLL) -> Callable[[], Heap]:
    """What tells how the memory of this process stands; `library` is glibc 2.33 or newer."""
    library.mallinfo2.restype = _MallInfo

    def look() -> Heap:
        numbers = library.mallinfo2().numbers
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
        return Heap(resident, numbers[7] + numbers[4])

    return look
