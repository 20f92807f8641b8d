"""A storm: all clients sync at once, three times in a row, more of them than Core takes at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.bench.sync.fill import fill, make_database
from tests.bench.sync.storm import EVENTS, Storms, allow_many_files, storms
from tests.bench.sync.systems import Serving, running

CLIENTS = 3000
"""So many that what first requests leave for good, such as what they load, is small beside it."""


@pytest.fixture
async def seen(postgres_server: EmbeddedPostgres, tmp_path: Path) -> Storms:
    """Three storms over one Core."""
    allow_many_files()
    database = await make_database(postgres_server, f"storm_{tmp_path.name}")
    await fill(database, CLIENTS, EVENTS)
    core = Serving("yabam", database, tmp_path, {"YABAM_MAX_SYNCS": "400"})
    with running([core.process]):
        core.start()
        return await storms(core.url, core.process.pid, CLIENTS, 3)


async def test_every_client_is_served_rightly_and_core_gives_back_what_the_storms_took(
    seen: Storms,
) -> None:
    assert [wave.clients for wave in seen.waves] == [CLIENTS] * 3
    assert sum(wave.refused for wave in seen.waves) > 0, "the bound was not reached: no storm"
    took = max(wave.core_mib for wave in seen.waves) - seen.before_mib
    assert took > 10, "nothing was taken: no storm"
    assert seen.after_mib - seen.before_mib < took / 4, seen
