"""A real PostgreSQL for each worker, and a Core over it, for the tests of all folders."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_service import CoreService

# Tests fill tables with more orders than any table has.
ROOMY = {
    "YABAM_OPEN_TABLE_ORDERS": "8000",
    "YABAM_OPEN_TABLE_BYTES": str(24 << 20),
}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL whose data nobody needs afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="yabam-postgres-"))
    server = EmbeddedPostgres(folder / "data", durable=False)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def core_process(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    """A Core that all tests of a worker share."""
    database = asyncio.run(make_database(postgres_server))
    service = CoreService.start(database, tmp_path_factory.mktemp("core"), ROOMY)
    yield service
    service.stop()


async def make_database(server: EmbeddedPostgres) -> str:
    """Make a database; its URL."""
    name = f"t{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return server.url.rpartition("/")[0] + f"/{name}"


def engine_url(database_url: str) -> str:
    """The URL in the form that SQLAlchemy wants for asyncpg."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+asyncpg://", database_url)
