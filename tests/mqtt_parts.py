"""Clients of a real Mosquitto: its admin, and devices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from prometheus_client import CollectorRegistry

from core_api.broker_admin.admin import BrokerAdmin
from core_api.broker_admin.metrics import AdminMetrics
from core_api.broker_admin.registrations import PAGE, Registered
from core_api.broker_admin.rights import ADMIN_USER, GATEWAY_USER
from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import LOOPBACK
from server_common.devices.identity import DeviceKeys, Identity
from server_common.devices.mqtt_topics import MessageKind, accepted_topic, commands_topic, up_topic
from server_common.mqtt.broker import Broker, MqttError
from server_common.mqtt.connection import BrokerConnection, Incoming, Will

DEVICE_KEYS = DeviceKeys({"k1": b"d" * 32}, "k1")
READERS = ("terminal-*",)
_LOOKS_EVERY_S: Final = 0.1
_SAYS_AGAIN_S: Final = 1.0
_STATUS_EVERY_S: Final = 30.0


class Register:
    """The registered devices, in memory instead of in Postgres."""

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
        *,
        star_speaks: bool = False,
    ) -> Identity:
        """Register a device, or register it again as its next generation."""
        identity = Identity(store, device, generation)
        self._keep(identity, table, star_mac, may_connect=True, star_speaks=star_speaks)
        return identity

    def remove(self, identity: Identity) -> None:
        """End its registration."""
        self._keep(identity, None, None, may_connect=False)

    async def after(self, change: int) -> list[Registered]:
        """The same as the method of `Registrations`."""
        rows = sorted(self._rows.values(), key=lambda row: row.change)
        return [row for row in rows if row.change > change][:PAGE]

    def _keep(
        self,
        identity: Identity,
        table: str | None,
        star_mac: str | None,
        *,
        may_connect: bool,
        star_speaks: bool = False,
    ) -> None:
        self._change += 1
        row = Registered(identity, "k1", table, may_connect, self._change, star_mac, star_speaks)
        self._rows[identity.store, identity.device] = row


def broker_of(server: MosquittoServer, user: str, password: str, *, tls: bool = False) -> Broker:
    """The broker's address with these credentials; with `tls` its port with TLS, whose certificate
    is verified."""
    if tls:
        return Broker(LOOPBACK, server.tls_port, user, password, str(server.ca_file))
    return Broker(LOOPBACK, server.port, user, password)


def admin_of(server: MosquittoServer, register: Register) -> BrokerAdmin:
    """The admin of a broker, with these registered devices."""
    return BrokerAdmin(
        broker_of(server, ADMIN_USER, server.password_of_admin),
        register,
        DEVICE_KEYS,
        server.password_of_gateway,
        READERS,
        AdminMetrics(CollectorRegistry()),
        time.monotonic,
    )


@asynccontextmanager
async def administered(server: MosquittoServer, register: Register) -> AsyncIterator[BrokerAdmin]:
    """Run the admin for the time of a block; devices that are registered already can connect."""
    admin = admin_of(server, register)
    task = asyncio.create_task(admin.run())
    try:
        await until(lambda: admin.trouble is None)
        yield admin
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def broker_for(server: MosquittoServer, identity: Identity) -> Broker:
    """The broker, with the credentials of a device."""
    return broker_of(server, identity.user, DEVICE_KEYS.password(identity, "k1"))


def broker_for_gateway(server: MosquittoServer) -> Broker:
    """The broker, with the credentials of the gateway."""
    return broker_of(server, GATEWAY_USER, server.password_of_gateway)


class Device:
    """A device's connection to the broker; it acknowledges each message at once."""

    def __init__(self, broker: Broker, client_id: str, will: Will | None = None) -> None:
        self.heard: list[Incoming] = []
        self.connection = BrokerConnection(broker, client_id, self._hear, will=will)

    def on(self, topic: str) -> list[Any]:
        """The messages that it has received on a topic, as JSON; None: the topic was cleared."""
        found = [one.payload for one in self.heard if one.topic == topic]
        return [json.loads(payload) if payload else None for payload in found]

    async def say(self, topic: str, **fields: Any) -> None:
        """Publish a message, and return once the broker has acknowledged it."""
        await self.connection.publish(topic, json.dumps(fields).encode())

    def _hear(self, message: Incoming) -> None:
        self.connection.acknowledge(message)
        self.heard.append(message)


@asynccontextmanager
async def device(
    broker: Broker, *topics: str, client_id: str | None = None, will: Will | None = None
) -> AsyncIterator[Device]:
    """Connect a device, subscribed to these topics, for the time of a block."""
    one = Device(broker, client_id or broker.user, will)
    try:
        await one.connection.open()
        if topics:
            await one.connection.subscribe(topics)
        yield one
    finally:
        await one.connection.close()


class KeepingDevice:
    """A device that keeps each message, and publishes it again, until Core has accepted it.

    It publishes the next message when the last one was accepted, so Core applies all in order. It
    carries out each command once.

    Args:
        broker: the broker, with the device's credentials.
        identity: the device's identity.
    """

    def __init__(self, broker: Broker, identity: Identity) -> None:
        self._broker = broker
        self._store, self._name = identity.store, identity.device
        self.said = 0
        self.waiting: dict[int, tuple[MessageKind, bytes]] = {}
        """The messages that Core has not accepted yet, by their numbers."""
        self.done: set[str] = set()
        """The ids of the commands that it has carried out."""

    def say(self, kind: MessageKind, **fields: Any) -> None:
        """Add a message, which is published until Core accepts it."""
        self.said += 1
        message = {"boot": 1, "n": self.said, **fields}
        self.waiting[self.said] = (kind, json.dumps(message).encode())

    async def run(self) -> None:
        """Connect, publish and receive until cancelled; reconnect when the connection is lost."""
        while True:
            with contextlib.suppress(MqttError, TimeoutError):
                await self._session()
            await asyncio.sleep(_LOOKS_EVERY_S)

    async def _session(self) -> None:
        hears = accepted_topic(self._store, self._name), commands_topic(self._store, self._name)
        connection, told_at = secrets.token_hex(4), float("-inf")
        last, said_at = 0, float("-inf")
        async with device(self._broker, *hears) as one:
            while not one.connection.is_lost:
                if time.monotonic() - told_at > _STATUS_EVERY_S:
                    told_at = time.monotonic()
                    await self._publish(one, "status", self._status(connection))
                self._hear(one)
                oldest = min(self.waiting, default=0)
                if oldest and (oldest != last or time.monotonic() - said_at > _SAYS_AGAIN_S):
                    last, said_at = oldest, time.monotonic()
                    await self._publish(one, *self.waiting[oldest])
                await asyncio.sleep(_LOOKS_EVERY_S)

    def _hear(self, one: Device) -> None:
        heard, one.heard[:] = list(one.heard), []
        for message in heard:
            told = json.loads(message.payload)
            if message.topic == accepted_topic(self._store, self._name):
                self.waiting.pop(told["n"], None)
            elif told["id"] not in self.done:
                self.done.add(told["id"])
                self.say("result", id=told["id"], outcome="done")

    def _status(self, connection: str) -> bytes:
        at = time.time_ns() // 1_000_000
        status = {"connection": connection, "online": True, "boot": 1, "at": at}
        return json.dumps(status).encode()

    async def _publish(self, one: Device, kind: MessageKind, payload: bytes) -> None:
        topic = up_topic(self._store, self._name, kind)
        async with asyncio.timeout(_STATUS_EVERY_S):
            await one.connection.publish(topic, payload, retain=kind == "status")


async def until(true: Callable[[], object], within_s: float = 30.0) -> None:
    """Wait until `true()` is true."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_it_connects(server: MosquittoServer, identity: Identity) -> None:
    """Wait until the broker lets the device connect."""
    await until_it_connects_with(broker_for(server, identity))


async def until_it_connects_with(broker: Broker) -> None:
    """Wait until the broker lets a client with these credentials connect."""
    async with asyncio.timeout(30):
        while True:
            try:
                async with device(broker):
                    return
            except MqttError:
                await asyncio.sleep(0.05)
