"""Whatever fails and in whatever order: each edit once, in order, and in the end all are equal.

The invariants are in `documents/ledger.py`, `documents/client.py` and `documents/world.py`; a
failure names the seed, and `python -m tests.simulation --kind documents --schedules 1 --seed N`
shows it again.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.documents.planted import PLANTED, Planted
from tests.simulation.documents.world import DocumentWorld
from tests.simulation.setting import ViolationError

SCHEDULES = 200
BLOCKS = 4
LONGEST_SEARCH = 200
FOUND_BY: Final = {
    "send with another's token": 2,
    "take no notice of a restore": 15,
    "take edits of another log": 29,
    "show an edit twice whose answer was lost": 28,
    "show what a restore took back twice on the old value": 614,
    "take an edit off an old value that lacks it": 545,
    "do a command to another version of the same number": 70_725,
    "drop an answer for an older snapshot": 107,
    "show nothing of a repeated answer": 43,
    "forget an answer of a log that has not begun here": 6_002_932,
}
"""A schedule that has found the bug: the search begins with it, for the first one may be far."""


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_schedule_breaks_an_invariant(block: int) -> None:
    for seed in range(block, SCHEDULES, BLOCKS):
        assert DocumentWorld(seed).run().difference() is None


def test_a_seed_decides_everything() -> None:
    first, second = DocumentWorld(7).run(), DocumentWorld(7).run()
    assert first.injected == second.injected
    assert (first.now, first.core.truth.past) == (second.now, second.core.truth.past)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str) -> None:
    assert _first_violation(PLANTED[name], FOUND_BY.get(name, 0)) is not None


def _first_violation(planted: Planted, first: int) -> ViolationError | None:
    with planted():
        for seed in (first, *range(LONGEST_SEARCH)):
            try:
                DocumentWorld(seed).run()
            except ViolationError as violation:
                return violation
    return None
