"""A real Mosquitto and what speaks to it: its admin, and devices."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from core_api.broker_admin.admin import BrokerAdmin
from core_api.broker_admin.metrics import AdminMetrics
from core_api.broker_admin.registrations import PAGE, Registered
from core_api.broker_admin.rights import ADMIN_USER, GATEWAY_USER
from deploy.mqtt.server import MosquittoServer
from server_common.devices.identity import DeviceKeys, Identity
from server_common.mqtt.broker import Broker, MqttError
from server_common.mqtt.connection import Connection, Incoming, Will

DEVICE_KEYS = DeviceKeys({"k1": b"d" * 32}, "k1")
READERS = ("terminal-*",)


class Register:
    """The registered devices, as Postgres would have them."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Registered] = {}
        self._change = 0

    def put(
        self,
        store: str,
        device: str,
        generation: int = 1,
        table: str | None = None,
        star_mac: str | None = None,
    ) -> Identity:
        """Register a device, or its next generation."""
        identity = Identity(store, device, generation)
        self._keep(identity, table, star_mac, may_connect=True)
        return identity

    def remove(self, identity: Identity) -> None:
        """End its registration."""
        self._keep(identity, None, None, may_connect=False)

    async def after(self, change: int) -> list[Registered]:
        """As `Registrations` has it."""
        rows = sorted(self._rows.values(), key=lambda row: row.change)
        return [row for row in rows if row.change > change][:PAGE]

    def _keep(
        self, identity: Identity, table: str | None, star_mac: str | None, *, may_connect: bool
    ) -> None:
        self._change += 1
        row = Registered(identity, "k1", table, may_connect, self._change, star_mac)
        self._rows[identity.store, identity.device] = row


def admin_of(server: MosquittoServer, register: Register) -> BrokerAdmin:
    """The admin of a broker, which keeps these devices."""
    return BrokerAdmin(
        server.broker(ADMIN_USER, server.password_of_admin),
        register,
        DEVICE_KEYS,
        server.password_of_gateway,
        READERS,
        AdminMetrics(CollectorRegistry()),
        time.monotonic,
    )


@asynccontextmanager
async def administered(server: MosquittoServer, register: Register) -> AsyncIterator[BrokerAdmin]:
    """Its admin at work; what was registered before may connect."""
    admin = admin_of(server, register)
    task = asyncio.create_task(admin.run())
    try:
        await until(lambda: admin.trouble is None)
        yield admin
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def broker_for(server: MosquittoServer, identity: Identity) -> Broker:
    """The broker, for a device with its password."""
    return server.broker(identity.user, DEVICE_KEYS.password(identity, "k1"))


def broker_for_gateway(server: MosquittoServer) -> Broker:
    """The broker, for the gateway."""
    return server.broker(GATEWAY_USER, server.password_of_gateway)


class Device:
    """A device's end of a connection; what it hears is acknowledged at once."""

    def __init__(self, broker: Broker, client_id: str, will: Will | None = None) -> None:
        self.heard: list[Incoming] = []
        self.connection = Connection(broker, client_id, self._hear, will=will)

    def on(self, topic: str) -> list[Any]:
        """What it has heard on a topic, as JSON; None: the topic was cleared."""
        found = [one.payload for one in self.heard if one.topic == topic]
        return [json.loads(payload) if payload else None for payload in found]

    async def say(self, topic: str, **fields: Any) -> None:
        """Publish, and return once the broker has it."""
        await self.connection.publish(topic, json.dumps(fields).encode())

    def _hear(self, message: Incoming) -> None:
        self.connection.acknowledge(message)
        self.heard.append(message)


@asynccontextmanager
async def device(
    broker: Broker, *topics: str, client_id: str | None = None, will: Will | None = None
) -> AsyncIterator[Device]:
    """A device that is connected and follows these topics."""
    one = Device(broker, client_id or broker.user, will)
    try:
        await one.connection.open()
        if topics:
            await one.connection.subscribe(topics)
        yield one
    finally:
        await one.connection.close()


async def until(true: Callable[[], object], within_s: float = 30.0) -> None:
    """Return once it is true."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_it_connects(server: MosquittoServer, identity: Identity) -> None:
    """Return once the device may connect."""
    await until_it_connects_with(broker_for(server, identity))


async def until_it_connects_with(broker: Broker) -> None:
    """The same of one who signs in so."""
    async with asyncio.timeout(30):
        while True:
            try:
                async with device(broker):
                    return
            except MqttError:
                await asyncio.sleep(0.05)
