"""`yabam mqtt`: the gateway between Kafka and an MQTT broker."""

from __future__ import annotations

import socket
from argparse import Namespace

import uvloop

from event_server.mqtt_gateway.main import run_gateway
from event_server.settings import GatewaySettings
from server_common.logs import configure
from server_common.settings.loader import load
from server_common.sockets import bind, stop_signal


def gateway(_options: Namespace) -> None:
    """Carry messages until told to stop.

    Raises:
        SettingsError: the process cannot start with its settings.
    """
    settings = load(GatewaySettings)
    configure("mqtt")
    listener = bind(settings.mqtt_host, settings.mqtt_port, "YABAM_MQTT_PORT")
    uvloop.run(_until_signal(settings, listener))


async def _until_signal(settings: GatewaySettings, listener: socket.socket) -> None:
    await run_gateway(settings, listener, stop_signal())
