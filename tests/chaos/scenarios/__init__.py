"""All scenarios, in the order in which they are run."""

from __future__ import annotations

from tests.chaos.runner import Scenario
from tests.chaos.scenarios import outages, servers

ALL: tuple[Scenario, ...] = (*servers.SCENARIOS, *outages.SCENARIOS)
