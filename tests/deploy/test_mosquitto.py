"""Mosquitto by the very rules that compose and Kubernetes give it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from core_api.broker_admin.rights import ADMIN_USER
from deploy.local.ports import LOOPBACK, answers, free_port
from deploy.local.process import Process
from deploy.mqtt.certificates import ensure_certificates
from deploy.mqtt.rights import first_state
from deploy.mqtt.server import plugin
from server_common.mqtt.broker import Broker, MqttError, MqttRefusedError
from server_common.mqtt.connection import Connection
from tests.deploy.tools import installed
from tests.mqtt_parts import until

RULES: Final = Path("deploy/mqtt/mosquitto.conf")
PASSWORD: Final = "p" * 32


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def ca_file(tmp_path: Path, port: int) -> Iterator[Path]:
    """By which the running broker is known."""
    ca_file = ensure_certificates(tmp_path / "tls")
    (tmp_path / "dynamic-security.json").write_text(first_state(PASSWORD))
    text = RULES.read_text()
    for there, here in [
        ("/usr/lib/mosquitto_dynamic_security.so", str(plugin())),
        ("/mosquitto/data/", f"{tmp_path}/"),
        ("/run/secrets/mqtt_certificate", str(tmp_path / "tls/server.crt")),
        ("/run/secrets/mqtt_key", str(tmp_path / "tls/server.key")),
        ("listener 8883", f"listener {port} {LOOPBACK}\nuser root"),
    ]:
        assert there in text
        text = text.replace(there, here)
    (tmp_path / "mosquitto.conf").write_text(text)
    program = installed("mosquitto", "mosquitto")
    arguments = [program, "-c", str(tmp_path / "mosquitto.conf")]
    broker = Process("Mosquitto", arguments, {}, tmp_path / "log", None)
    broker.start()
    yield ca_file
    broker.kill()


async def opened(broker: Broker) -> None:
    connection = Connection(broker, "one")
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
