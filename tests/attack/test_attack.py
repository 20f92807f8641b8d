"""Attacks in small size: the system stays up for others, and its memory is bounded.

`python -m tests.attack` runs the same attacks in full size and prints the figures.
"""

from __future__ import annotations

import pytest

from tests.attack.scenarios import SCENARIOS
from tests.attack.site import Site


@pytest.mark.kafka
@pytest.mark.xdist_group("attack")
@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_system_stays_up_for_others(site: Site, name: str) -> None:
    figures = await SCENARIOS[name](site, False)
    print(f"\n{name}: {figures}")
    turns = [int(value) for key, value in figures.items() if key.endswith("others_turns")]
    assert turns, "the attack was made beside nobody's work"
    assert min(turns) > 0, "others could not work at all"
