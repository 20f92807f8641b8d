"""Whatever fails and in whatever order: every event once, in order, and in the end all of Core's.

The invariants are in `world.py` and `client.py`; a failure names the seed, and
`python -m tests.simulation --kind orders --schedules 1 --seed N` shows it again.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.simulation.client import Parts
from tests.simulation.planted import PLANTED
from tests.simulation.world import ViolationError, World

SCHEDULES = 1_000
BLOCKS = 4
LONGEST_SEARCH = 1_000
FOUND_BY: Final = {"accept n+2": 8, "forget the ring check": 15, "ignore the watermark": 37}
"""A schedule that has found the bug: the search begins with it, for the first one may be far."""
FAULTS = sorted(World(0).kinds)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_schedule_breaks_an_invariant(block: int) -> None:
    for seed in range(block, SCHEDULES, BLOCKS):
        assert World(seed).run().client.difference() is None


def test_a_seed_decides_everything() -> None:
    first, second = World(7).run(), World(7).run()
    assert first.injected == second.injected
    assert (first.now, first.client.effects) == (second.now, second.client.effects)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str) -> None:
    assert _first_violation(PLANTED[name], FOUND_BY.get(name, 0)) is not None


def _first_violation(parts: Parts, first: int) -> ViolationError | None:
    for seed in (first, *range(LONGEST_SEARCH)):
        try:
            World(seed, parts).run()
        except ViolationError as violation:
            return violation
    return None


class FaultsByChoice(RuleBasedStateMachine):
    """Hypothesis picks the faults and their order, and shrinks what breaks an invariant."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(0).begin()

    @rule(name=st.sampled_from(FAULTS))
    def inject(self, name: str) -> None:
        """Something fails."""
        self.world.inject(name)

    @rule(seconds=st.sampled_from((0.25, 1.0, 7.0, 31.0)))
    def pass_time(self, seconds: float) -> None:
        """All goes on for a while."""
        self.world.pass_time(seconds)

    def teardown(self) -> None:
        """Whatever happened, the client becomes complete."""
        self.world.settle()


FaultsByChoice.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestFaultsByChoice = FaultsByChoice.TestCase
