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
"""How many new objects trigger CPython's own search for reference cycles. The default of 700 is
reached by a handful of requests in progress, so it would search all the time."""
WORTH_IT_BYTES: Final = 8 << 20
"""Less free memory than this is not worth a collection: with thousands of connections it holds up
every request for a tenth of a second."""


class Heap(NamedTuple):
    """The memory that the process has from the system, in bytes."""

    resident: int
    """Resident, for any use."""
    in_use: int
    """Allocated from the C library and not freed."""


class FreeMemory:
    """Whether enough memory has become free to return it. Pure."""

    def __init__(self) -> None:
        self._stays = 0
        self._once_more = False

    def is_worth_it(self, heap: Heap) -> bool:
        """Whether a collection may return enough.

        It may in two cases: enough memory has become free since the last collection; or the last
        collection came in the middle of a storm. Then free memory lay between buffers in use, and
        could not be returned. Once these few buffers are free, all of it can.
        """
        return self._once_more or self._has_become_free(heap)

    def returned(self, before: Heap, after: Heap) -> None:
        """Record what could not be returned: code, holes in pages, memory of other allocators.

        Args:
            before: the heap before the collection.
            after: the heap after it.
        """
        self._once_more = self._has_become_free(before)
        self._stays = after.resident - after.in_use

    def _has_become_free(self, heap: Heap) -> bool:
        return heap.resident - heap.in_use - self._stays > WORTH_IT_BYTES


async def keep_giving_back() -> None:
    """Return free memory to the system again and again, where there is enough; only glibc can.

    Buffers of thousands of connections leave its heap full of holes. It returns memory by itself
    only from the end of the heap, where some connection or other always lives. A full collection
    goes before, because it empties CPython's lists of spare objects, each of which holds its page.
    What has been made by now (modules, routes) lives as long as the process: it is excluded from
    collection (`gc.freeze`).

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
        heap = look()
        if free.is_worth_it(heap):
            gc.collect()
            library.malloc_trim(0)
            free.returned(heap, look())
        await asyncio.sleep(_EVERY_S)


class _MallInfo(ctypes.Structure):
    # mallinfo(3): the eighth of ten numbers is what is given out in the heap, the fifth by mmap.
    _fields_ = (("numbers", ctypes.c_size_t * 10),)


def looker(library: ctypes.CDLL) -> Callable[[], Heap]:
    """A function that reads this process's memory use; `library` is glibc 2.33 or newer."""
    library.mallinfo2.restype = _MallInfo

    def look() -> Heap:
        numbers = library.mallinfo2().numbers
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
        return Heap(resident, numbers[7] + numbers[4])

    return look
