"""Wires the admin of the MQTT broker."""

from __future__ import annotations

import socket
from argparse import Namespace

from core_api.broker_admin.main import run_broker_admin
from core_api.processes.starting import Place, connected, start
from core_api.settings import BrokerAdminSettings
from core_api.wiring import token_keys
from server_common.sockets import stop_signal


def broker_admin(_options: Namespace) -> None:
    """Keep the broker's users and roles until told to stop."""
    start(
        "mqtt-admin",
        BrokerAdminSettings,
        lambda s: Place(s.mqtt_admin_host, s.mqtt_admin_port, "YABAM_MQTT_ADMIN_PORT"),
        run_broker_admin_process,
    )


async def run_broker_admin_process(settings: BrokerAdminSettings, listener: socket.socket) -> None:
    """`yabam mqtt-admin`: keep the broker's users and roles until SIGTERM or SIGINT."""
    async with connected(settings, "yabam-mqtt-admin", 2, 10.0, "broker_admin_stopped") as pool:
        await run_broker_admin(
            settings,
            pool=pool,
            verify=token_keys(settings.token_keys, settings.token_kid).verify,
            listener=listener,
            stop=stop_signal(),
        )
