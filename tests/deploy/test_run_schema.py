"""`make run` migrates a database only where that is needed."""

from __future__ import annotations

import asyncpg

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.schema import is_migrated
from deploy.processes.ports import LOOPBACK, free_port
from tests.parts import make_database, migrated_database


async def test_a_database_is_migrated_at_the_newest_migration_only(
    postgres_server: EmbeddedPostgres,
) -> None:
    url = await migrated_database(postgres_server)
    assert await is_migrated(url)
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE alembic_version SET version_num = '0020'")
    assert not await is_migrated(url)
    # One of a later release: `yabam db upgrade` says that it does not know it.
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert not await is_migrated(url)
    await connection.close()


async def test_a_new_database_and_one_that_is_not_there_are_not_migrated(
    postgres_server: EmbeddedPostgres,
) -> None:
    assert not await is_migrated(await make_database(postgres_server))
    assert not await is_migrated(f"postgresql://postgres@{LOOPBACK}:{free_port()}/postgres")
