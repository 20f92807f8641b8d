"""A client over MQTT, whatever fails: every event once, in order, and in the end all of Core's.

A failure names the seed, and `python -m tests.simulation --kind mqtt --schedules 1 --seed N` shows
it again.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.mqtt.planted import PLANTED
from tests.simulation.mqtt.world import MqttWorld
from tests.simulation.setting import ViolationError

SCHEDULES = 200
LONGEST_SEARCH = 300
FOUND_BY: Final = {
    "ignore the marks": 68,
    "believe in silence": 61,
    "ignore the epoch of an event": 20,
    "save the cursor before the effect": 20,
}
"""A schedule that has found the bug: the search begins with it, for the first one may be far."""


def test_no_schedule_breaks_an_invariant() -> None:
    for seed in range(SCHEDULES):
        assert MqttWorld(seed).run().difference() is None


def test_a_seed_decides_everything() -> None:
    first, second = MqttWorld(7).run(), MqttWorld(7).run()
    assert first.injected == second.injected
    assert first.now == second.now
    assert first.saved.effects == second.saved.effects


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str) -> None:
    assert first_violation(name) is not None


def first_violation(name: str) -> ViolationError | None:
    planted, parts = PLANTED[name]
    with planted():
        for seed in (FOUND_BY.get(name, 0), *range(LONGEST_SEARCH)):
            try:
                MqttWorld(seed, parts).run()
            except ViolationError as violation:
                return violation
    return None
