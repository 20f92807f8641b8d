"""All scenarios, in the order in which they are run."""

from __future__ import annotations

from tests.chaos.runner import Scenario
from tests.chaos.scenarios import (
    damage,
    devices,
    disks,
    failover,
    leaders,
    network,
    offline,
    outages,
    poison,
    records,
    relays,
    servers,
    silence,
    times,
)

ALL: tuple[Scenario, ...] = (
    *servers.SCENARIOS,
    *relays.SCENARIOS,
    *silence.SCENARIOS,
    *outages.SCENARIOS,
    *failover.SCENARIOS,
    *disks.SCENARIOS,
    *records.SCENARIOS,
    *poison.SCENARIOS,
    *damage.SCENARIOS,
    *network.SCENARIOS,
    *offline.SCENARIOS,
    *times.SCENARIOS,
    *devices.SCENARIOS,
    *leaders.SCENARIOS,
)
