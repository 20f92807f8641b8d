"""What a broker keeps for a Star printer that is away, and asks it to.

Nobody knows whether these printers keep their session at the broker. This one does.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from deploy.mqtt.server import MosquittoServer
from event_server.mqtt_gateway.rules.publications import ring_of
from server_common.devices.identity import Identity
from server_common.devices.messages import Ring
from server_common.devices.mqtt_topics import StarCall
from server_common.mqtt.broker import Broker
from tests.mqtt_parts import (
    Device,
    Register,
    broker_for,
    broker_for_gateway,
    device,
    until,
    until_it_connects,
)

MAC = "00:11:62:1d:9a:b7"
LIVES_S = 2


class KeepingPrinter:
    """A printer whose session the broker keeps while it is away, by MQTT 3.1.1."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[str] = []
        """The titles of what it was told, in its last connection."""
        self._broker = broker

    @asynccontextmanager
    async def connected(self, *, acknowledges: bool = True) -> AsyncIterator[None]:
        """Be there; without acknowledging, as if the power went before."""
        client = Client(
            CallbackAPIVersion.VERSION2, self._broker.user, clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311, manual_ack=True,
        )  # fmt: skip
        client.username_pw_set(self._broker.user, self._broker.password)
        self.heard = []

        def hear(_client: Client, _data: Any, message: MQTTMessage) -> None:
            self.heard.append(json.loads(message.payload)["title"])
            if acknowledges:
                client.ack(message.mid, message.qos)

        def follow(*_: Any) -> None:
            client.subscribe(f"star/cloudprnt/to-device/{MAC}/#", 1)

        followed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def answered(*_: Any) -> None:
            loop.call_soon_threadsafe(followed.set)

        client.on_message = hear
        client.on_connect = follow
        client.on_subscribe = answered
        await asyncio.to_thread(client.connect, self._broker.host, self._broker.port)
        client.loop_start()
        try:
            async with asyncio.timeout(30):
                await followed.wait()
            yield
        finally:
            # Its socket closes without a goodbye.
            if isinstance(end := client.socket(), socket.socket):
                end.shutdown(socket.SHUT_RDWR)
            await asyncio.to_thread(client.loop_stop)


@pytest.fixture
async def star(register: Register, broker: MosquittoServer) -> KeepingPrinter:
    printer: Identity = register.put("12", "star-1", star_mac=MAC, star_speaks=True)
    await until_it_connects(broker, printer)
    return KeepingPrinter(broker_for(broker, printer))


@pytest.fixture
async def gateway(broker: MosquittoServer) -> AsyncIterator[Device]:
    async with device(broker_for_gateway(broker), client_id="gateway") as one:
        yield one


async def tell(gateway: Device, method: StarCall, lives_s: float | None) -> None:
    """Publish as the gateway does."""
    until_ms = None if lives_s is None else time.time_ns() // 1_000_000 + int(lives_s * 1000)
    publication = ring_of(Ring("12", "star-1", MAC, method, {}, until_ms), datetime.now(UTC))
    assert publication is not None
    topic, payload, _, expires_s = publication
    await gateway.connection.publish(topic, payload, expires_s=expires_s)


def passed(since: float) -> Callable[[], bool]:
    """Whether what was told then is too old by the broker's clock, of whole seconds."""
    return lambda: time.monotonic() - since > LIVES_S + 1


async def test_a_job_that_was_not_acknowledged_does_not_come_again_after_its_time(
    star: KeepingPrinter, gateway: Device
) -> None:
    async with star.connected(acknowledges=False):
        await tell(gateway, "print-job", LIVES_S + 0.5)
        told_at = time.monotonic()
        await until(lambda: star.heard == ["print-job"])
    async with star.connected(acknowledges=False):
        await until(lambda: star.heard)
        assert star.heard == ["print-job"], "it comes again while it may"
    await until(passed(told_at))
    await tell(gateway, "order-client-action", None)
    async with star.connected():
        await until(lambda: "order-client-action" in star.heard)
        assert star.heard == ["order-client-action"]


async def test_calls_do_not_wait_for_a_printer_that_is_away(
    star: KeepingPrinter, gateway: Device
) -> None:
    async with star.connected():
        pass
    for _ in range(50):
        await tell(gateway, "request-client-status", LIVES_S + 0.5)
    await until(passed(time.monotonic()))
    await tell(gateway, "order-client-action", None)
    async with star.connected():
        await until(lambda: "order-client-action" in star.heard)
        assert star.heard == ["order-client-action"]
