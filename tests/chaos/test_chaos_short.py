"""The short form: a few faults on the real processes, with the embedded broker, under load."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client_sdk import Settings
from tests.chaos.__main__ import rehearse
from tests.chaos.scenarios import ALL
from tests.chaos.site import Site
from tests.forked import FORKED

pytestmark = [
    pytest.mark.slow,
    # Never beside the end to end tests, which start as many processes.
    pytest.mark.xdist_group("kafka"),
]

NAMES = ("kill-core", "kill-events", "cold-start", "relay-between", "kill-postgres", "net-tear")
IMPATIENT = Settings(backoff_first=0.05, backoff_most=1.0, connect_timeout=3.0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may be let into, which pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="yabam-chaos-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def test_nothing_is_lost_doubled_or_misordered_while_servers_die_under_load(
    folder: Path,
) -> None:
    site = Site(
        folder, None, {"YABAM_RELAY_LEASE_S": "4", "YABAM_EVENTS_DRAIN_S": "1"}, starter=FORKED
    )
    outcomes = await rehearse(
        site,
        [scenario for scenario in ALL if scenario.name in NAMES],
        seed=6,
        clients=40,
        scale=0.2,
        rate_per_s=20,
        settings=IMPATIENT,
    )
    assert {outcome.scenario.name for outcome in outcomes} == set(NAMES)
    for outcome in outcomes:
        assert outcome.passed, (outcome.scenario.name, outcome.trouble, outcome.verdict.notes)
        assert outcome.written > 0
        assert outcome.live_s > 0
