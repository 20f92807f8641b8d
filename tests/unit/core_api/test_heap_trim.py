"""When Core returns memory to the system."""

from __future__ import annotations

import ctypes

from core_api.heap_trim import WORTH_IT_BYTES, FreeMemory, Heap, looker

MIB = 1 << 20
CODE = 40 * MIB


def after_a_return() -> FreeMemory:
    free, calm = FreeMemory(), Heap(CODE + 60 * MIB, 60 * MIB)
    free.returned(calm, calm)
    free.returned(calm, calm)
    return free


def test_it_is_worth_it_at_the_start() -> None:
    assert FreeMemory().is_worth_it(Heap(CODE + 60 * MIB, 60 * MIB))


def test_nothing_is_returned_again_while_nothing_has_become_free() -> None:
    assert not after_a_return().is_worth_it(Heap(CODE + 60 * MIB, 60 * MIB))


def test_connections_that_stay_are_no_free_memory() -> None:
    assert not after_a_return().is_worth_it(Heap(CODE + 160 * MIB, 160 * MIB))


def test_what_a_storm_has_left_is_returned_however_long_the_storm_took() -> None:
    free = after_a_return()
    assert not free.is_worth_it(Heap(CODE + 160 * MIB, 160 * MIB))
    assert free.is_worth_it(Heap(CODE + 160 * MIB, 61 * MIB))
    free.returned(Heap(CODE + 160 * MIB, 61 * MIB), Heap(CODE + 66 * MIB, 61 * MIB))
    free.returned(Heap(CODE + 66 * MIB, 61 * MIB), Heap(CODE + 66 * MIB, 61 * MIB))
    assert not free.is_worth_it(Heap(CODE + 66 * MIB, 61 * MIB))


def test_after_a_return_in_the_midst_of_a_storm_it_is_tried_once_more() -> None:
    free = after_a_return()
    holes = Heap(CODE + 130 * MIB, 100 * MIB)
    free.returned(Heap(CODE + 160 * MIB, 100 * MIB), holes)
    calm = Heap(CODE + 130 * MIB, 95 * MIB)
    assert free.is_worth_it(calm)
    returned = Heap(CODE + 96 * MIB, 95 * MIB)
    free.returned(calm, returned)
    assert not free.is_worth_it(returned)


def test_a_little_free_memory_is_not_worth_a_collection() -> None:
    free = after_a_return()
    assert not free.is_worth_it(Heap(CODE + 60 * MIB + WORTH_IT_BYTES, 60 * MIB))
    assert free.is_worth_it(Heap(CODE + 60 * MIB + WORTH_IT_BYTES + 1, 60 * MIB))


def test_the_c_library_tells_what_is_in_use() -> None:
    look = looker(ctypes.CDLL(None))
    before = look()
    kept = [bytes(4096) for _ in range(8192)]
    assert look().in_use - before.in_use >= 32 * MIB
    del kept
    assert look().in_use - before.in_use < 8 * MIB
