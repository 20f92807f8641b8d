"""A real Postgres and two brokers per test run; a database and topics per test."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from core_api.postgres.pool import LOCK_WAIT_S, open_pool
from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.broker import EmbeddedBroker
from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_api.push_parts import KEYS
from tests.parts import TEMPLATE, ensure_template, migrated_database
from tests.push_service import PushService

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

KAFKA_BUILD = Path(os.environ.get("YABAM_TEST_KAFKA_BUILD", "build/kafka"))


@pytest.fixture(scope="session")
def postgres(postgres_server: EmbeddedPostgres) -> EmbeddedPostgres:
    """The worker's server, with a migrated database to copy from."""
    asyncio.run(ensure_template(postgres_server))
    return postgres_server


def database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return url.rpartition("/")[0] + "/" + name


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A migrated, empty database."""
    admin = await asyncpg.connect(postgres.url)
    try:
        name = f"t{uuid4().hex}"
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        yield database(postgres.url, name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, size=8, command_timeout_s=10, name="test")
    yield pool
    pool.terminate()


@pytest.fixture
async def writing(database_url: str) -> AsyncIterator[Pool]:
    """Connections that give up waiting for a lock after a short time."""
    pool = await open_pool(
        database_url, size=4, command_timeout_s=10, name="edits", lock_wait_s=LOCK_WAIT_S
    )
    yield pool
    pool.terminate()


@pytest.fixture(name="service")
async def push_service() -> AsyncIterator[PushService]:
    async with PushService(KEYS.public) as running:
        yield running


@pytest.fixture(scope="module")
def shared_database(postgres_server: EmbeddedPostgres) -> str:
    """A database that a module's tests share, one after the other."""
    return asyncio.run(migrated_database(postgres_server))


@pytest.fixture(scope="package")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    with tempfile.TemporaryDirectory(prefix="yabam-broker-") as folder:
        broker = EmbeddedBroker(Path(folder))
        broker.start()
        yield broker
        broker.stop()


@pytest.fixture(scope="session")
def kafka_libs() -> Path:
    return ensure_libs(KAFKA_BUILD, print)


@pytest.fixture(scope="package")
def kafka_server(kafka_libs: Path) -> Iterator[KafkaServer]:
    with tempfile.TemporaryDirectory(prefix="yabam-kafka-") as folder:
        server = KafkaServer(Path(folder), kafka_libs)
        server.start()
        yield server
        server.kill()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Each test that uses this runs on the embedded broker and on Apache Kafka."""
    name = "embedded_broker" if request.param == "embedded" else "kafka_server"
    address: str = request.getfixturevalue(name).bootstrap
    return address


@pytest.fixture
def topic() -> str:
    return f"events-{uuid4().hex}"
