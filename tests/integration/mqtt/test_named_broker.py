"""A broker that somebody else runs, as `make run MQTT=host:port` takes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core_api.broker_admin.rights import ADMIN_USER
from deploy.local.device_door import DoorError, add_named_door
from deploy.local.stack import Addresses, Keys, Stack
from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import LOOPBACK, free_port


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """One that is not started."""
    addresses = Addresses("postgresql://127.0.0.1/none", "127.0.0.1:1")
    return Stack(addresses, Keys("t" * 32, "s" * 32, "d" * 32), tmp_path, {})


def ports() -> tuple[int, int]:
    """Of gateway and admin."""
    return free_port(), free_port()


def door_of(stack: Stack) -> list[str]:
    return [one.name for one in stack.processes if one.name.startswith("mqtt")]


def test_with_what_make_mqtt_prints_gateway_and_admin_are_started(
    stack: Stack, mosquitto: MosquittoServer
) -> None:
    said = add_named_door(stack, f"{LOOPBACK}:{mosquitto.tls_port}", mosquitto.settings, *ports())
    assert door_of(stack) == ["mqtt-admin", "mqtt"]
    assert f"{LOOPBACK}:{mosquitto.tls_port}" in said


def test_a_broker_that_we_do_not_administer_gets_a_gateway_alone(
    stack: Stack, mosquitto: MosquittoServer
) -> None:
    settings = {
        "YABAM_MQTT_USER": ADMIN_USER,  # the only user that it has yet
        "YABAM_MQTT_PASSWORD": mosquitto.password_of_admin,
        "YABAM_MQTT_VERSION": "3.1.1",
    }
    said = add_named_door(stack, f"{LOOPBACK}:{mosquitto.port}", settings, *ports())
    assert door_of(stack) == ["mqtt"]
    assert "set the rights of devices" in said


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (lambda server: f"{LOOPBACK}:{server.port}", "Not authorized"),
        (lambda _server: f"{LOOPBACK}:{free_port()}", "MQTT broker at"),
        (lambda _server: "broker", "write host:port"),
    ],
)
def test_one_that_does_not_let_us_in_is_named_before_anything_starts(
    stack: Stack, mosquitto: MosquittoServer, address: Callable[[MosquittoServer], str], why: str
) -> None:
    with pytest.raises(DoorError, match=why):
        add_named_door(stack, address(mosquitto), {}, *ports())
    assert door_of(stack) == []
