"""A real PostgreSQL per worker, and a Core over it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_service import CoreService

_HERE = Path(__file__).parent
# Tests fill tables with more orders than any table has.
ROOMY = {
    "YABAM_OPEN_TABLE_ORDERS": "8000",
    "YABAM_OPEN_TABLE_BYTES": str(24 << 20),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a folder that need an Apache Kafka share one, which only one worker has."""
    for item in items:
        folder = item.path.parent
        if folder.parent == _HERE and item.get_closest_marker("kafka") is not None:
            item.add_marker(pytest.mark.xdist_group(f"kafka-{folder.name}"))


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


@pytest.fixture
async def core(core_process: CoreService) -> AsyncIterator[CoreService]:
    """The shared Core, with a client of this test's own."""
    service = CoreService.over(core_process.database, core_process.stack)
    async with service.client:
        yield service


@pytest.fixture
async def db(core: CoreService) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to Core's database."""
    connection = await asyncpg.connect(core.database)
    yield connection
    await connection.close()


@pytest.fixture
def database(postgres_server: EmbeddedPostgres) -> str:
    """A fresh, empty database; its URL."""
    return asyncio.run(make_database(postgres_server))


async def make_database(server: EmbeddedPostgres) -> str:
    """Make a database; its URL."""
    name = f"t{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return server.url.rpartition("/")[0] + f"/{name}"
