"""One connection to a real broker: what is acknowledged, what is refused, and how it is lost."""

from __future__ import annotations

import asyncio
import time

import pytest
from paho.mqtt.client import Client, MQTTMessage

from deploy.mqtt.server import MosquittoServer
from server_common.devices.identity import Identity
from server_common.devices.mqtt_topics import commands_topic, up_topic
from server_common.mqtt.broker import Broker, MqttError, MqttRefusedError
from server_common.mqtt.connection import BrokerConnection, Incoming
from tests.mqtt_parts import DEVICE_KEYS, broker_for, broker_for_gateway, broker_of, device, until


async def test_what_is_published_is_acknowledged_and_heard(
    lamp: Identity, broker: MosquittoServer
) -> None:
    topic = up_topic(lamp.store, lamp.device, "event")
    async with (
        device(broker_for_gateway(broker), topic, client_id="g") as gateway,
        device(broker_for(broker, lamp)) as one,
    ):
        await one.say(topic, n=1)
        await until(lambda: gateway.on(topic) == [{"n": 1}])


async def test_over_tls_it_is_the_same(lamp: Identity, broker: MosquittoServer) -> None:
    password = DEVICE_KEYS.password(lamp, "k1")
    topic = up_topic(lamp.store, lamp.device, "event")
    async with (
        device(broker_for_gateway(broker), topic, client_id="g") as gateway,
        device(broker_of(broker, lamp.user, password, tls=True)) as one,
    ):
        await one.say(topic, n=1)
        await until(lambda: gateway.on(topic) == [{"n": 1}])


async def test_a_certificate_of_an_unknown_authority_is_refused(
    lamp: Identity, broker: MosquittoServer
) -> None:
    unknown = "/etc/ssl/certs/ca-certificates.crt"
    there = Broker("127.0.0.1", broker.tls_port, lamp.user, "x" * 20, unknown)
    with pytest.raises(MqttError, match="CERTIFICATE_VERIFY_FAILED"):
        await BrokerConnection(there, lamp.user).open()


async def test_a_wrong_password_is_refused(lamp: Identity, broker: MosquittoServer) -> None:
    with pytest.raises(MqttRefusedError):
        await BrokerConnection(broker_of(broker, lamp.user, "wrong"), lamp.user).open()


async def test_nobody_connects_without_a_password(broker: MosquittoServer) -> None:
    with pytest.raises(MqttRefusedError):
        await BrokerConnection(broker_of(broker, "", ""), "anybody").open()


async def test_a_publication_that_is_not_permitted_says_so(
    lamp: Identity, broker: MosquittoServer
) -> None:
    async with device(broker_for(broker, lamp)) as one:
        with pytest.raises(MqttRefusedError):
            await one.connection.publish(commands_topic(lamp.store, lamp.device), b"{}")


async def test_the_broker_is_told_how_long_it_may_keep_a_message(
    lamp: Identity, broker: MosquittoServer
) -> None:
    topic = commands_topic(lamp.store, lamp.device)
    kept = asyncio.Queue[int | None]()
    async with (
        device(broker_for(broker, lamp), topic) as one,
        device(broker_for_gateway(broker), client_id="g") as gateway,
    ):
        hears = one.connection._client.on_message
        assert hears is not None

        def heard(client: Client, data: object, message: MQTTMessage) -> None:
            kept.put_nowait(getattr(message.properties, "MessageExpiryInterval", None))
            hears(client, data, message)

        one.connection._client.on_message = heard
        await gateway.connection.publish(topic, b"{}", expires_s=200)
        await gateway.connection.publish(topic, b"{}")
        async with asyncio.timeout(30):
            first = await kept.get()
            assert first is not None
            assert 100 < first <= 200
            assert await kept.get() is None


async def test_a_subscription_that_is_not_permitted_says_so(
    lamp: Identity, broker: MosquittoServer
) -> None:
    async with device(broker_for(broker, lamp)) as one:
        with pytest.raises(MqttRefusedError):
            await one.connection.subscribe([f"yabam/v1/{lamp.store}/#"])


async def test_the_broker_holds_back_what_is_beyond_the_unacknowledged(
    lamp: Identity, broker: MosquittoServer
) -> None:
    topic = up_topic(lamp.store, lamp.device, "event")
    heard: list[Incoming] = []
    gateway = BrokerConnection(broker_for_gateway(broker), "g", heard.append, unanswered=3)
    try:
        await gateway.open()
        await gateway.subscribe([topic])
        async with device(broker_for(broker, lamp)) as one:
            for n in range(5):
                await one.say(topic, n=n)
            await until(lambda: len(heard) == 3)
            # What comes after a message on another way has been sent after it.
            await gateway.publish(f"yabam/v1/{lamp.store}/marks", b"{}")
            assert len(heard) == 3
            gateway.acknowledge(heard[0])
            await until(lambda: len(heard) > 3)
    finally:
        await gateway.close()


@pytest.mark.parametrize("fault", ["kill", "suspend"])
async def test_a_broker_that_dies_or_hangs_is_found_out_and_nothing_waits_for_ever(
    fault: str, lamp: Identity, broker: MosquittoServer
) -> None:
    async with device(broker_for(broker, lamp)) as one:
        getattr(broker.process, fault)()
        waiting = one.connection.publish(up_topic(lamp.store, lamp.device, "event"), b"{}")
        with pytest.raises(MqttError):
            async with asyncio.timeout(30):
                await one.connection.until_lost()
        with pytest.raises(MqttError):
            await waiting
        assert one.connection.is_lost
        broker.process.resume()


async def test_a_broker_that_accepts_and_says_nothing_is_given_up(
    lamp: Identity, broker: MosquittoServer
) -> None:
    broker.process.suspend()
    began = time.monotonic()
    with pytest.raises(MqttError):
        await BrokerConnection(broker_for(broker, lamp), lamp.user).open()
    assert time.monotonic() - began < 60
    broker.process.resume()


async def test_nothing_can_be_published_on_a_closed_connection(
    lamp: Identity, broker: MosquittoServer
) -> None:
    async with device(broker_for(broker, lamp)) as one:
        pass
    with pytest.raises(MqttError):
        await one.connection.publish(up_topic(lamp.store, lamp.device, "event"), b"{}")
