"""A real PostgreSQL for each worker, and a Core that uses it, for the tests of all folders."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator
from typing import Final

import asyncpg
import pytest

from core_api.postgres.migrate import upgrade
from core_api.restore.lineage import start_epoch
from core_api.restore.main import epoch_after
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.webhook_sender import LOOPBACK
from tests.data_folder import data_folder
from tests.drilled_postgres import DrilledPostgres
from tests.integration.core_service import CoreService

TEMPLATE: Final = "yabam_template"
"""The database that others are copied from, once `ensure_template` has created it."""
FETCH_WAIT: Final = {"YABAM_EVENTS_FETCH_WAIT_MS": "40"}
"""For event servers with the embedded broker, which lets each fetch wait for its whole time. Short
waits cost CPU: with 10 ms, an idle server and the broker together use a twentieth of a core."""
# Tests place more orders at a table than there are in reality, and receive webhooks on loopback.
ROOMY = {
    **LOOPBACK,
    "YABAM_OPEN_TABLE_ORDERS": "8000",
    "YABAM_OPEN_TABLE_BYTES": str(24 << 20),
}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DrilledPostgres]:
    """A PostgreSQL for all tests of a worker; its data is deleted afterwards."""
    with data_folder("yabam-postgres-") as folder:
        server = DrilledPostgres(folder / "data", durable=False)
        server.start()
        yield server
        server.stop_at_once()


@pytest.fixture(scope="session")
def core_process(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    """A Core for all tests of a worker."""
    database = asyncio.run(migrated_database(postgres_server))
    service = CoreService.start(database, tmp_path_factory.mktemp("core"), ROOMY)
    yield service
    service.stop()


async def make_database(server: EmbeddedPostgres) -> str:
    """Create an empty database. Returns its URL."""
    return await _create(server, "")


async def migrated_database(server: EmbeddedPostgres) -> str:
    """Create a database with the newest schema. Returns its URL.

    It is a copy of a migrated one: to migrate each database would take longer than Core's start.
    """
    await ensure_template(server)
    url = await _create(server, f"TEMPLATE {TEMPLATE}")
    connection = await asyncpg.connect(url)
    await start_epoch(connection, epoch_after)
    await connection.close()
    return url


async def copied_database(server: EmbeddedPostgres, url: str) -> str:
    """Copy a database of the server, to which nobody may be connected. Returns the copy's URL."""
    return await _create(server, f"TEMPLATE {url.rpartition('/')[2]} STRATEGY FILE_COPY")


async def ensure_template(server: EmbeddedPostgres) -> None:
    """Create the server's `TEMPLATE`, a migrated database, unless it exists.

    Its epoch does not say in which database it began. Otherwise Core would see that a copy is
    another database, and begin a new epoch.
    """
    admin = await asyncpg.connect(server.url)
    made = await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", TEMPLATE)
    if not made:
        url = await make_database(server)
        await upgrade(url)
        connection = await asyncpg.connect(url)
        await connection.execute("UPDATE epoch SET born_in = NULL")
        await connection.close()
        await admin.execute(f"ALTER DATABASE {url.rpartition('/')[2]} RENAME TO {TEMPLATE}")
    await admin.close()


async def _create(server: EmbeddedPostgres, options: str) -> str:
    name = f"t{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"CREATE DATABASE {name} {options}")
    await connection.close()
    return server.url.rpartition("/")[0] + f"/{name}"


def engine_url(database_url: str) -> str:
    """The URL in the form that SQLAlchemy needs for asyncpg."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+asyncpg://", database_url)
