"""`yabam mqtt`: the gateway between Kafka and an MQTT broker."""

from __future__ import annotations

import asyncio
import signal
import socket
from argparse import Namespace

import uvloop

from event_server.mqtt_gateway.main import run_gateway
from event_server.settings import GatewaySettings
from server_common.logs import configure
from server_common.settings.loader import load
from server_common.sockets import bind


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
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_gateway(settings, listener, stop)
