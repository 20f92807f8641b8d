"""A Mosquitto per test or for all, an Apache Kafka for all, and devices that may connect."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.mqtt.server import MosquittoServer
from server_common.devices.identity import Identity
from tests.integration.mqtt.gateways import Topics, topics_of
from tests.mqtt_parts import Register, administered

KAFKA_BUILD = Path(os.environ.get("YABAM_TEST_KAFKA_BUILD", "build/kafka"))


@pytest.fixture(scope="package")
def kafka_server() -> Iterator[KafkaServer]:
    with tempfile.TemporaryDirectory(prefix="yabam-kafka-") as folder:
        server = KafkaServer(Path(folder), ensure_libs(KAFKA_BUILD, print))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoServer]:
    """A broker that the test may break."""
    server = MosquittoServer(tmp_path / "mqtt")
    server.start()
    yield server
    server.process.resume()
    server.kill()


@pytest.fixture
def register() -> Register:
    return Register()


@pytest.fixture
async def broker(mosquitto: MosquittoServer, register: Register) -> AsyncIterator[MosquittoServer]:
    """The same, with a running admin."""
    async with administered(mosquitto, register):
        yield mosquitto


@pytest.fixture
def lamp(register: Register) -> Identity:
    """A device of a store that no other test uses. It may connect once the admin runs."""
    return register.put(uuid4().hex[:12], "lamp")


@pytest.fixture
async def topics(kafka_server: KafkaServer) -> AsyncIterator[Topics]:
    async with topics_of(kafka_server.bootstrap) as one:
        yield one


@pytest.fixture
def terminal(register: Register, lamp: Identity) -> Identity:
    """A device of the lamp's store that may follow its orders."""
    return register.put(lamp.store, "terminal-1")
