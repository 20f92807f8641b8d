"""A storm: all clients sync at once, three times in a row, more of them than Core takes at once."""

from __future__ import annotations

from pathlib import Path

from deploy.local.postgres import EmbeddedPostgres
from tests.bench.sync.fill import fill, make_database
from tests.bench.sync.storm import EVENTS, storms
from tests.bench.sync.systems import Serving, running

CLIENTS = 400


async def test_every_client_of_three_storms_in_a_row_is_served_and_rightly(
    postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    database = await make_database(postgres_server, f"storm_{tmp_path.name}")
    await fill(database, CLIENTS, EVENTS)
    core = Serving("yabam", database, tmp_path, {"YABAM_MAX_SYNCS": "100"})
    with running([core.process]):
        core.start()
        calm, waves = await storms(core.url, core.process.pid, CLIENTS, 3)
    assert [wave.clients for wave in waves] == [CLIENTS] * 3
    assert sum(wave.refused for wave in waves) > 0, "the bound was not reached: no storm"
    first, _, last = (wave.core_mib for wave in waves)
    assert last < first * 1.2, "memory goes up from storm to storm"
    assert last < calm + 100
