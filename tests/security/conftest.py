"""A real Core with a real PostgreSQL, and the whole system, as in the integration tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Stack
from tests.integration.conftest import core, db
from tests.integration.event_server.conftest import client
from tests.parts import migrated_database
from tests.security.installation import installed

__all__ = ["client", "core", "db"]


@pytest.fixture
def database(postgres_server: EmbeddedPostgres) -> str:
    """The URL of a database without orders."""
    return asyncio.run(migrated_database(postgres_server))


@pytest.fixture(scope="package")
def system(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """All our processes, shared by the tests that need all of them."""
    database = asyncio.run(migrated_database(postgres_server))
    with installed(database, tmp_path_factory.mktemp("system")) as running:
        yield running
