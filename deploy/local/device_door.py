"""The door for devices beside a stack: the gateway, and the admin of the broker."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.local.process import Process
from deploy.local.stack import Stack
from deploy.mqtt.server import PROGRAMS, MosquittoServer

GATEWAY_PORT: Final = 8005
ADMIN_PORT: Final = 8006
_TOKEN_LIFETIME_S: Final = 30 * 86_400


def add_door(
    stack: Stack,
    broker: Mapping[str, str],
    gateway_port: int = GATEWAY_PORT,
    admin_port: int = ADMIN_PORT,
) -> tuple[Process, Process]:
    """Add gateway and admin to a stack.

    Args:
        stack: theirs; its devices have keys.
        broker: the settings of a broker, as `MosquittoServer.settings` gives them.
        gateway_port: where the gateway's health and metrics are.
        admin_port: where the admin's are.
    """
    return add_admin(stack, broker, admin_port), add_gateway(stack, broker, gateway_port)


def add_admin(stack: Stack, broker: Mapping[str, str], port: int) -> Process:
    """Add the admin alone; its arguments are those of `add_door`."""
    settings = {**broker, "YABAM_MQTT_ADMIN_PORT": str(port)}
    return stack.add_command("mqtt-admin", ["mqtt-admin"], port, settings)


def add_gateway(stack: Stack, broker: Mapping[str, str], port: int, name: str = "mqtt") -> Process:
    """Add a gateway; its arguments are those of `add_door`, and its name."""
    settings = {
        **broker,
        "YABAM_MQTT_PORT": str(port),
        "YABAM_CORE_URL": stack.core_url,
        "YABAM_CORE_TOKEN": _ops_token(stack),
    }
    return stack.add_command(name, ["mqtt"], port, settings)


def installed_mosquitto(folder: Path, port: int, tls_port: int) -> MosquittoServer | None:
    """The Mosquitto of this machine; None: it has none."""
    if shutil.which("mosquitto", path=PROGRAMS) is None:
        return None
    return MosquittoServer(folder, port, tls_port)


def _ops_token(stack: Stack) -> str:
    keys: dict[str, str] = json.loads(stack.environment["YABAM_TOKEN_KEYS"])
    signing = token_keys(keys, stack.environment["YABAM_TOKEN_KID"])
    return signing.sign(Caller("mqtt-gateway", "ops"), _TOKEN_LIFETIME_S)
