"""Checks whether a database has the newest schema, without loading Alembic, which takes time."""

from __future__ import annotations

import asyncpg

from core_api.postgres.pool import NEEDED_REVISION, Primary


async def is_migrated(database_url: str) -> bool:
    """Whether the database has the newest migration of this release.

    False also if the database cannot be asked: `yabam db upgrade`, which then runs, says why.
    """
    try:
        connection = await Primary(database_url).connect()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    try:
        found = await connection.fetch("SELECT version_num FROM alembic_version")
    except asyncpg.PostgresError:
        return False
    finally:
        await connection.close()
    return [row["version_num"] for row in found] == [NEEDED_REVISION]
