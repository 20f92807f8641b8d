"""Clients of the worker's Core, and databases of the worker's PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_service import CoreService
from tests.parts import make_database

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests of a folder that need an Apache Kafka, so that one worker starts it."""
    for item in items:
        folder = item.path.parent
        if folder.parent == _HERE and item.get_closest_marker("kafka") is not None:
            item.add_marker(pytest.mark.xdist_group(f"kafka-{folder.name}"))


@pytest.fixture
async def core(core_process: CoreService) -> AsyncIterator[CoreService]:
    """The shared Core, with a new client for this test."""
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
