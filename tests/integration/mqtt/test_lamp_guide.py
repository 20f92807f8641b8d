"""The guide's lamp, as a reader would copy it, with what stands for its board and its library."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import msgspec

from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import LOOPBACK
from deploy.processes.process import Process
from event_server.mqtt_gateway.rules.publications import state_topic
from server_common.devices.messages import Status
from server_common.devices.mqtt_topics import up_topic
from tests.mqtt_parts import (
    DEVICE_KEYS,
    Device,
    Register,
    administered,
    broker_for_gateway,
    device,
    until,
    until_it_connects,
)

GUIDE = Path(__file__).parents[3] / "docs" / "devices.md"
MICROCONTROLLER = Path(__file__).parent / "microcontroller"
STORE = "12"
TOPIC = state_topic(STORE, "taking-orders")


def program() -> str:
    section = GUIDE.read_text().partition("## A lamp\n")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_has_at_most_twenty_lines() -> None:
    assert sum(bool(line.strip()) for line in program().splitlines()) <= 20


async def say(gateway: Device, epoch: str, version: int, value: dict[str, bool] | None) -> None:
    told = {"type": "state", "epoch": epoch, "key": "taking-orders", "version": version}
    payload = json.dumps({**told, "value": value}).encode()
    await gateway.connection.publish(TOPIC, payload, retain=True)


async def test_is_lit_while_no_orders_are_taken_says_that_it_is_there_and_ends_without_a_broker(
    mosquitto: MosquittoServer, register: Register, tmp_path: Path
) -> None:
    identity = register.put(STORE, "lamp-1")
    source = program()
    for text, here in [
        ('"…"', f'"{DEVICE_KEYS.password(identity, "k1")}"'),
        ('"broker.example", 8883', f'"{LOOPBACK}", {mosquitto.tls_port}'),
    ]:
        assert text in source
        source = source.replace(text, here)
    (tmp_path / "program.py").write_text(source)
    # This Python reads a certificate by its text, whatever the file is called.
    shutil.copy(mosquitto.ca_file, tmp_path / "ca.der")
    lamp = Process(
        "the guide's lamp", ["sh", "-c", f"cd {tmp_path} && exec {sys.executable} program.py"],
        {"PYTHONPATH": str(MICROCONTROLLER)}, tmp_path / "output", None,
    )  # fmt: skip

    def shows() -> list[str]:
        return lamp.log.read_text().splitlines()

    status = up_topic(STORE, "lamp-1", "status")
    try:
        async with administered(mosquitto, register):
            await until_it_connects(mosquitto, identity)
            async with device(broker_for_gateway(mosquitto), status, client_id="g") as gateway:
                await say(gateway, "01A", 7, {"value": False})
                lamp.start()
                await until(lambda: shows() == ["on"])
                await until(lambda: gateway.on(status))
                (said,) = (one.payload for one in gateway.heard)
                assert msgspec.json.decode(said, type=Status).online
                # After a restore the versions begin anew; what the lost log had is over.
                await say(gateway, "01B", 1, {"value": True})
                await say(gateway, "01A", 8, {"value": False})
                await say(gateway, "01B", 2, {"value": False})
                await say(gateway, "01B", 3, None)
                await until(lambda: len(shows()) >= 5)
                assert shows() == ["on", "off", "off", "on", "off"]
            mosquitto.kill()
            await until(lambda: lamp.exit_status is not None)
    finally:
        lamp.kill()
