"""A real PostgreSQL for each worker, and a Core over it, for the tests of all folders."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from core_api.postgres.migrate import upgrade
from core_api.restore.lineage import start_epoch
from core_api.restore.main import epoch_after
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.webhook_sender import LOOPBACK
from tests.drilled_postgres import DrilledPostgres
from tests.integration.core_service import CoreService

TEMPLATE: Final = "yabam_template"
"""The database that copies are made of, once `ensure_template` has made it."""
FETCH_WAIT: Final = {"YABAM_EVENTS_FETCH_WAIT_MS": "40"}
"""For event servers over the embedded broker, which answers a waiting fetch only when its time is
up. Each look costs: at 10 ms, server and broker together take a twentieth of a core for nothing."""
# Tests fill tables with more orders than any table has, and receive webhooks on this machine.
ROOMY = {
    **LOOPBACK,
    "YABAM_OPEN_TABLE_ORDERS": "8000",
    "YABAM_OPEN_TABLE_BYTES": str(24 << 20),
}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DrilledPostgres]:
    """A PostgreSQL whose data nobody needs afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="yabam-postgres-"))
    server = DrilledPostgres(folder / "data", durable=False)
    server.start()
    yield server
    server.stop_at_once()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def core_process(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    """A Core that all tests of a worker share."""
    database = asyncio.run(migrated_database(postgres_server))
    service = CoreService.start(database, tmp_path_factory.mktemp("core"), ROOMY)
    yield service
    service.stop()


async def make_database(server: EmbeddedPostgres) -> str:
    """Make an empty database; its URL."""
    return await _create(server, "")


async def migrated_database(server: EmbeddedPostgres) -> str:
    """Make a database as `yabam db upgrade` leaves it; its URL.

    It is a copy of one that was migrated: each migration is a process of its own, and takes longer
    than the start of Core.
    """
    await ensure_template(server)
    url = await _create(server, f"TEMPLATE {TEMPLATE}")
    connection = await asyncpg.connect(url)
    await start_epoch(connection, epoch_after)
    await connection.close()
    return url


async def copied_database(server: EmbeddedPostgres, url: str) -> str:
    """Make a copy of a database of the server to which nobody is connected; its URL."""
    return await _create(server, f"TEMPLATE {url.rpartition('/')[2]} STRATEGY FILE_COPY")


async def ensure_template(server: EmbeddedPostgres) -> None:
    """Make the server's `TEMPLATE`, unless it is there: migrated, with an epoch that began nowhere.

    A copy is another database than the one that its epoch began in, and Core would begin a new one.
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
    """The URL in the form that SQLAlchemy wants for asyncpg."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+asyncpg://", database_url)
