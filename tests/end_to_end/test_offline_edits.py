"""Two terminals and four phones edit the same documents while their networks come and go.

The long form is `make chaos-edits`, an hour of the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client_sdk import Settings
from tests.chaos.offline import wander
from tests.chaos.site import Site
from tests.forked import FORKED

pytestmark = [pytest.mark.slow]

IMPATIENT = Settings(backoff_first=0.05, backoff_most=1.0, connect_timeout=3.0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may be let into, which pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="yabam-edits-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def test_terminals_and_phones_end_byte_equal_and_no_edit_is_lost(folder: Path) -> None:
    site = Site(folder, None, {"YABAM_RELAY_LEASE_S": "2"}, starter=FORKED)
    seen = await wander(site, seed=6, seconds=20.0, settings=IMPATIENT)
    assert seen.verdict.clean, seen.verdict.notes
    assert seen.acknowledged > 50
    assert seen.cuts > 10
