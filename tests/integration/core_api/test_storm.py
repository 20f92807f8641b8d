"""A storm: all clients sync at once, three times in a row, more of them than Core takes at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.bench.sync.fill import fill, make_database
from tests.bench.sync.storm import EVENTS, Storms, allow_many_files, memory_mib, storms
from tests.bench.sync.systems import Serving, running

CLIENTS = 3000
"""So many that what first requests leave for good, such as what they load, is small beside it."""


class Seen(NamedTuple):
    """Three storms, and the Core that they went over, which still runs."""

    storms: Storms
    core: psutil.Process


@pytest.fixture
async def seen(postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Seen]:
    """Three storms over one Core."""
    allow_many_files()
    database = await make_database(postgres_server, f"storm_{tmp_path.name}")
    await fill(database, CLIENTS, EVENTS)
    core = Serving("yabam", database, tmp_path, {"YABAM_MAX_SYNCS": "400"})
    with running([core.process]):
        core.start()
        yield Seen(
            await storms(core.url, core.process.pid, CLIENTS, 3), psutil.Process(core.process.pid)
        )


async def test_every_client_is_served_rightly_and_core_gives_back_what_the_storms_took(
    seen: Seen,
) -> None:
    waves, before_mib = seen.storms.waves, seen.storms.before_mib
    assert [wave.clients for wave in waves] == [CLIENTS] * 3
    assert sum(wave.refused for wave in waves) > 0, "the bound was not reached: no storm"
    took = max(wave.core_mib for wave in waves) - before_mib
    assert took > 10, "nothing was taken: no storm"
    # It looks every ten seconds, and once more after a storm. The system tells nobody.
    for _ in range(600):
        if memory_mib(seen.core) - before_mib < took / 4:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"Core has {memory_mib(seen.core):.0f} MiB still: {seen.storms}")
