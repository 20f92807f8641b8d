"""Adds the MQTT gateway and the broker's admin to a stack."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError
from core_api.access.callers import Caller
from core_api.broker_admin.rights import ADMIN_USER
from core_api.wiring import token_keys
from deploy.local.stack import Stack
from deploy.mqtt.server import PROGRAMS, MosquittoServer
from deploy.processes.process import Process
from server_common.mqtt.broker import Broker, MqttError, parse_address
from server_common.mqtt.connection import BrokerConnection

_TOKEN_LIFETIME_S: Final = 30 * 86_400
_ADMIN_SETTING: Final = "YABAM_MQTT_ADMIN_PASSWORD"
_WHAT_TO_DO: Final = """\
YABAM_MQTT_USER and YABAM_MQTT_PASSWORD are the credentials. YABAM_MQTT_CA_FILE is the certificate
of the authority that signed the broker's (without it, TLS is not used). For the broker of
`make mqtt`, paste the lines that it prints, and name its TLS port: make run MQTT=127.0.0.1:8883
"""


class DoorError(YabamError):
    """The named broker cannot be used; the text says why, and what to do."""


def add_door(
    stack: Stack, broker: Mapping[str, str], gateway_port: int, admin_port: int
) -> tuple[Process, Process]:
    """Add a gateway and the admin to a stack; they are not started.

    Args:
        stack: its keys must have one for devices.
        broker: the settings for a broker, such as `MosquittoServer.settings`.
        gateway_port: the port of the gateway's health and metrics.
        admin_port: the port of the admin's health and metrics.
    """
    return add_admin(stack, broker, admin_port), add_gateway(stack, broker, gateway_port)


def add_admin(stack: Stack, broker: Mapping[str, str], port: int) -> Process:
    """Add the broker's admin to a stack; it is not started.

    Args:
        stack: its keys must have one for devices.
        broker: the settings for a broker, such as `MosquittoServer.settings`.
        port: the port of its health and metrics.
    """
    settings = {**broker, "YABAM_MQTT_ADMIN_PORT": str(port)}
    return stack.add_command("mqtt-admin", ["mqtt-admin"], port, settings)


def add_gateway(stack: Stack, broker: Mapping[str, str], port: int, name: str = "mqtt") -> Process:
    """Add a gateway to a stack; it is not started.

    Args:
        stack: its keys must have one for devices.
        broker: the settings for a broker, such as `MosquittoServer.settings`.
        port: the port of its health and metrics.
        name: the name of the process; several gateways of one stack need different names.
    """
    settings = {
        **broker,
        "YABAM_MQTT_PORT": str(port),
        "YABAM_CORE_URL": stack.core_url,
        "YABAM_CORE_TOKEN": _ops_token(stack),
    }
    return stack.add_command(name, ["mqtt"], port, settings)


def add_named_door(
    stack: Stack,
    address: str,
    environment: Mapping[str, str],
    gateway_port: int,
    admin_port: int,
) -> str:
    """Add a gateway for a broker that runs already, and the admin if its password is known.

    Args:
        stack: its keys must have one for devices.
        address: the broker's `host:port`.
        environment: the other settings of gateway and admin, which inherit these variables.
        gateway_port: the port of the gateway's health and metrics.
        admin_port: the port of the admin's health and metrics.

    Returns:
        A text to print.

    Raises:
        DoorError: the address is malformed, or the broker does not answer or refuses us.
    """
    has_admin = bool(environment.get(_ADMIN_SETTING))
    _try(_broker_of(address, environment, has_admin))
    settings = {"YABAM_MQTT_BROKER": address}
    if has_admin:
        add_door(stack, settings, gateway_port, admin_port)
        return f"Devices connect to the MQTT broker at {address}."
    add_gateway(stack, settings, gateway_port)
    return (
        f"Devices connect to the MQTT broker at {address}. You must set the rights of devices "
        f"there yourself, as {_ADMIN_SETTING} is not set (docs/mqtt.md)."
    )


def installed_mosquitto(folder: Path, port: int, tls_port: int) -> MosquittoServer | None:
    """The Mosquitto of this machine, not started; None: it is not installed.

    Args:
        folder: the folder for its data; created when it starts.
        port: its port without TLS, on 127.0.0.1; 0 chooses a free one.
        tls_port: its port with TLS; 0 chooses a free one.
    """
    if shutil.which("mosquitto", path=PROGRAMS) is None:
        return None
    return MosquittoServer(folder, port, tls_port)


def _ops_token(stack: Stack) -> str:
    keys: dict[str, str] = json.loads(stack.environment["YABAM_TOKEN_KEYS"])
    signing = token_keys(keys, stack.environment["YABAM_TOKEN_KID"])
    return signing.sign(Caller("mqtt-gateway", "ops"), _TOKEN_LIFETIME_S)


def _broker_of(address: str, environment: Mapping[str, str], has_admin: bool) -> Broker:
    """The broker, with the credentials of the process that must connect first.

    That is the admin, if there is one: it creates the gateway's user.
    """
    try:
        host, port = parse_address(address)
    except ValueError as error:
        raise DoorError(f"MQTT={address} is not the address of a broker: {error}") from error
    return Broker(
        host,
        port,
        ADMIN_USER if has_admin else environment.get("YABAM_MQTT_USER", ""),
        environment.get(_ADMIN_SETTING if has_admin else "YABAM_MQTT_PASSWORD", ""),
        environment.get("YABAM_MQTT_CA_FILE", ""),
        "3.1.1" if environment.get("YABAM_MQTT_VERSION") == "3.1.1" else "5",
    )


def _try(broker: Broker) -> None:
    async def once() -> None:
        connection = BrokerConnection(broker, f"make-run-{secrets.token_hex(4)}")
        try:
            await connection.open()
        finally:
            await connection.close()

    try:
        asyncio.run(once())
    except MqttError as error:
        raise DoorError(f"{error}.\n{_WHAT_TO_DO}") from error
