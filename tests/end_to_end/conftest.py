"""The whole system with a real PostgreSQL, a real Apache Kafka, and all our processes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from core_api.access.callers import Caller, Role
from core_api.wiring import token_keys
from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.device_door import add_door
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Stack, free_ports, load_keys
from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import LOOPBACK, free_port
from tests.data_folder import data_folder
from tests.drilled_postgres import DrilledPostgres
from tests.forked import FORKED
from tests.parts import migrated_database

BUILD = Path("build/kafka")


@pytest.fixture(scope="package")
def parts_folder() -> Iterator[Path]:
    """A folder that other users can enter, unlike pytest's own."""
    with data_folder("yabam-parts-") as folder:
        yield folder


@pytest.fixture(scope="package")
def kafka(parts_folder: Path) -> Iterator[KafkaServer]:
    """A real Apache Kafka. Without Java and Maven this fails, and says why."""
    server = KafkaServer(parts_folder / "kafka", ensure_libs(BUILD, print))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="package")
def postgres(parts_folder: Path) -> Iterator[DrilledPostgres]:
    # Tests kill its processes, which lose nothing that was written, but never the machine.
    server = DrilledPostgres(parts_folder / "postgres", settings={"fsync": "off"})
    server.start()
    yield server
    server.stop_at_once()


class Installation(Stack):
    """A stack with its own database and topics."""

    def __init__(self, database: str, kafka: str, folder: Path, extra: dict[str, str]) -> None:
        self.keys = load_keys(folder / "keys.json")
        name = uuid.uuid4().hex[:12]
        topics = {
            "YABAM_EVENTS_TOPIC": f"order-events-{name}",
            "YABAM_INBOUND_TOPIC": f"orders.inbound-{name}",
            "YABAM_RECEIPTS_TOPIC": f"device-receipts-{name}",
            "YABAM_MESSAGES_TOPIC": f"channel-messages-{name}",
            "YABAM_INBOUND_DLQ_TOPIC": f"orders.inbound.dlq-{name}",
            "YABAM_DEVICES_INBOUND_TOPIC": f"devices.inbound-{name}",
            "YABAM_DEVICES_OUTBOUND_TOPIC": f"devices.outbound-{name}",
            "YABAM_REVOCATIONS_TOPIC": f"token-revocations-{name}",
            "YABAM_DEVICES_DLQ_TOPIC": f"devices.dead-letter-{name}",
        }
        self.stream_port = free_port()
        """The event server's port for clients, if a test puts a proxy in front of it."""
        extra = {name: value.format(proxy=self.stream_port) for name, value in extra.items()}
        super().__init__(
            Addresses(database, kafka, ports=free_ports()),
            self.keys,
            folder,
            topics | extra,
            starter=FORKED,
        )

    def token(self, role: Role, *stores: str) -> str:
        """An access token with this role for these stores."""
        keys = token_keys({"local": self.keys.token}, "local")
        return keys.sign(Caller(f"{role}-{'-'.join(stores)}", role, frozenset(stores)), 3600)


@pytest.fixture
def extra_settings() -> dict[str, str]:
    """More settings for the stack; a test module can override this."""
    return {}


@pytest.fixture
def stack(
    postgres: EmbeddedPostgres,
    kafka: KafkaServer,
    tmp_path: Path,
    extra_settings: dict[str, str],
) -> Iterator[Installation]:
    """The running system."""
    database = create_database(postgres)
    installation = Installation(database, kafka.bootstrap, tmp_path, extra_settings)
    try:
        installation.start()
        yield installation
    finally:
        installation.kill()


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MosquittoServer]:
    """A Mosquitto for the module."""
    server = MosquittoServer(tmp_path_factory.mktemp("mosquitto") / "mqtt")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def star_mode() -> str:
    """How Star printers get their jobs; a test module can override this."""
    return "trigger"


@pytest.fixture(scope="module")
def stack_with_devices(
    postgres: EmbeddedPostgres,
    kafka: KafkaServer,
    mosquitto: MosquittoServer,
    tmp_path_factory: pytest.TempPathFactory,
    star_mode: str,
) -> Iterator[Installation]:
    """The running system with gateway and admin, for a module; each test uses its own store."""
    folder = tmp_path_factory.mktemp("devices")
    settings = {
        "YABAM_MQTT_GROUP": f"gateway-{uuid.uuid4().hex[:12]}",
        "YABAM_STAR_BROKER": f"{LOOPBACK}:{mosquitto.tls_port}",
        "YABAM_STAR_MODE": star_mode,
    }
    installation = Installation(create_database(postgres), kafka.bootstrap, folder, settings)
    add_door(installation, mosquitto.settings, free_port(), free_port())
    try:
        installation.start()
        yield installation
    finally:
        installation.kill()


def create_database(postgres: EmbeddedPostgres) -> str:
    """Create a migrated database. Returns its URL."""
    return asyncio.run(migrated_database(postgres))
