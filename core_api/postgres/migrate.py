"""Migrations through Alembic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core_api.postgres.pool import Primary

_HERE: Final = Path(__file__).parent
# Any number, if all processes use the same: one migrates, the others wait for it.
_MIGRATION_LOCK: Final = 7_962_226
_ASK_AGAIN_S: Final = 0.1


async def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate forward to `revision`; several processes may call it at once."""
    await _run(database_url, lambda config: command.upgrade(config, revision))


async def downgrade(database_url: str, revision: str) -> None:
    """Migrate back to `revision`."""
    await _run(database_url, lambda config: command.downgrade(config, revision))


def _engine(database_url: str) -> AsyncEngine:
    # asyncpg reads the URL itself, as it does in the pool: SQLAlchemy would hand it each option as
    # an argument, and it has none for `sslmode` and others that Postgres's own URLs have.
    return create_async_engine("postgresql+asyncpg://", async_creator=Primary(database_url).connect)


async def _run(database_url: str, action: Callable[[Config], None]) -> None:
    engine = _engine(database_url)
    try:
        async with engine.connect() as connection:
            await _lock(connection)
            await connection.run_sync(_with_config, action)
            await connection.commit()
    finally:
        # Closing the session releases the advisory lock.
        await engine.dispose()


async def _lock(connection: AsyncConnection) -> None:
    """Wait until nobody else migrates.

    It polls: a statement that waits for the lock is an open transaction, which CREATE INDEX
    CONCURRENTLY in the lock's own session would wait for.
    """
    while True:
        taken = await connection.execute(
            text("SELECT pg_try_advisory_lock(:k)"), {"k": _MIGRATION_LOCK}
        )
        is_ours = taken.scalar_one()
        await connection.commit()
        if is_ours:
            return
        await asyncio.sleep(_ASK_AGAIN_S)


def _with_config(connection: Connection, action: Callable[[Config], None]) -> None:
    config = Config()
    config.set_main_option("script_location", str(_HERE / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    action(config)
