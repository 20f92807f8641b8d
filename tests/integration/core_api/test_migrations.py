"""The schema: what the migrations make is what the code expects, forward and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from core_api.storage import migrate
from core_api.storage.tables import metadata


async def ask(database: str, question: Callable[[Connection], Any]) -> Any:
    engine = create_async_engine(migrate.engine_url(database))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(question)
    finally:
        await engine.dispose()


async def test_the_migrated_schema_is_the_one_that_the_code_describes(database: str) -> None:
    await migrate.upgrade(database)
    differences = await ask(
        database, lambda c: compare_metadata(MigrationContext.configure(c), metadata)
    )
    assert differences == []


async def test_migrations_go_forward_and_back_and_forward_again(database: str) -> None:
    await migrate.upgrade(database)
    await migrate.downgrade(database, "base")
    left = await ask(
        database,
        lambda c: c.execute(
            text(
                "SELECT count(*) FROM pg_tables"
                " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
        ).scalar(),
    )
    assert left == 0
    await migrate.upgrade(database)


async def test_a_new_database_has_an_epoch_and_a_new_epoch_is_later(database: str) -> None:
    await migrate.upgrade(database)
    read = text("SELECT epoch FROM epoch")
    first = await ask(database, lambda c: c.execute(read).scalar())
    from core_api.main import new_epoch

    await migrate.start_epoch(database, new_epoch())
    second = await ask(database, lambda c: c.execute(read).scalar())
    assert first < second
