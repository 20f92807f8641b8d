"""The drill in its short form: a recovery to a point in time, and clients that are told."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.broker import EmbeddedBroker
from tests.drills.restore import Drill
from tests.forked import FORKED

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kafka")]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may be let into, which pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="yabam-drill-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def broker(folder: Path) -> Iterator[EmbeddedBroker]:
    server = EmbeddedBroker(folder)
    server.start()
    yield server
    server.stop()


async def test_a_recovery_to_a_point_in_time_keeps_what_came_before_and_tells_every_client(
    folder: Path, broker: EmbeddedBroker
) -> None:
    report = await Drill(folder, broker, orders=5, starter=FORKED).run()
    assert report.wrong == []
    assert (report.kept, report.lost) == (10, 5)
    assert any("began in the database" in sign for sign in report.signs)
    assert any("was published" in sign for sign in report.signs)
