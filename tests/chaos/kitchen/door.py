"""The MQTT side of the site: Mosquitto, its admin, two gateways, and fault proxies between them.

mqtt, mqtt-2 ──▶ a proxy each ──▶ Mosquitto (TLS) ◀── mqtt-admin
devices, programs ──▶ their proxy ──▶ Mosquitto
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from deploy.local.device_door import add_admin, add_gateway
from deploy.local.stack import Stack
from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import LOOPBACK, free_port
from deploy.processes.process import Process
from server_common.mqtt.broker import Broker
from tests.chaos.wire import FaultProxy

_GATEWAYS = 2


class Door:
    """The broker, its admin, the gateways, and the fault proxies.

    Args:
        folder: the folder of the broker's data.
    """

    def __init__(self, folder: Path) -> None:
        self.server = MosquittoServer(folder)
        self.gateway_wires = [
            FaultProxy(free_port(), [self.server.tls_port]) for _ in range(_GATEWAYS)
        ]
        self.devices_wire = FaultProxy(free_port(), [self.server.port])
        self.gateways: list[Process] = []

    @property
    def wires(self) -> list[FaultProxy]:
        """All proxies in front of the broker."""
        return [*self.gateway_wires, self.devices_wire]

    def broker(self, user: str, password: str) -> Broker:
        """The broker's address through the devices' proxy, with a device's credentials."""
        return Broker(LOOPBACK, self.devices_wire.port, user, password)

    def add_to(self, stack: Stack) -> None:
        """Add the admin and the gateways to the processes of a stack."""
        settings = self.server.settings
        add_admin(stack, settings, free_port())
        for number, wire in enumerate(self.gateway_wires, 1):
            through = settings | {"YABAM_MQTT_BROKER": f"{LOOPBACK}:{wire.port}"}
            name = "mqtt" if number == 1 else f"mqtt-{number}"
            self.gateways.append(add_gateway(stack, through, free_port(), name))

    async def start(self) -> None:
        """Start the broker and the proxies."""
        await asyncio.to_thread(self.server.start)
        for wire in self.wires:
            await wire.start()

    async def heal(self) -> None:
        """End all faults."""
        for wire in self.wires:
            wire.clear()
            await wire.start()
        self.server.process.resume()
        if not self.server.process.running:
            await asyncio.to_thread(self.server.start)

    async def stop(self) -> None:
        """Stop the broker and the proxies."""
        for wire in self.wires:
            wire.clear()
            await wire.stop()
        self.server.process.resume()
        await asyncio.to_thread(self.server.stop)
