"""Mosquitto by the very rules that compose and Kubernetes give it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from core_api.broker_admin.rights import ADMIN_USER
from deploy.mqtt.certificates import ensure_certificates
from deploy.mqtt.rights import first_state
from deploy.processes.ports import LOOPBACK, answers, free_port
from server_common.mqtt.broker import Broker, MqttError, MqttRefusedError
from server_common.mqtt.connection import BrokerConnection
from tests.deploy.ruled_mosquitto import ruled_mosquitto
from tests.mqtt_parts import until

PASSWORD: Final = "p" * 32


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def ca_file(tmp_path: Path, port: int) -> Iterator[Path]:
    """By which the running broker is known."""
    ca_file = ensure_certificates(tmp_path / "tls")
    tls = tmp_path / "tls"
    broker = ruled_mosquitto(
        tmp_path, port, tls / "server.crt", tls / "server.key", first_state(PASSWORD)
    )
    broker.start()
    yield ca_file
    broker.kill()


async def opened(broker: Broker) -> None:
    connection = BrokerConnection(broker, "one")
    try:
        await connection.open()
    finally:
        await connection.close()


async def test_lets_in_who_has_a_password_and_speaks_tls_and_nobody_else(
    port: int, ca_file: Path
) -> None:
    await until(lambda: answers(port))
    await opened(Broker(LOOPBACK, port, ADMIN_USER, PASSWORD, str(ca_file)))
    with pytest.raises(MqttRefusedError):
        await opened(Broker(LOOPBACK, port, ADMIN_USER, "wrong", str(ca_file)))
    with pytest.raises(MqttRefusedError):
        await opened(Broker(LOOPBACK, port, "", "", str(ca_file)))
    with pytest.raises(MqttError):
        await opened(Broker(LOOPBACK, port, ADMIN_USER, PASSWORD))
