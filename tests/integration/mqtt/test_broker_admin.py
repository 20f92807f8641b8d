"""Who may do what at a real broker, kept as devices are registered and removed."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack

import pytest

from deploy.mqtt.server import MosquittoServer
from server_common.devices.identity import Identity
from server_common.devices.mqtt_topics import STAR_WORDS
from server_common.mqtt.broker import MqttError, MqttRefusedError
from server_common.mqtt.connection import BrokerConnection
from tests.mqtt_parts import (
    Device,
    Register,
    administered,
    broker_for,
    broker_for_gateway,
    broker_of,
    device,
    until,
    until_it_connects,
)
from tests.wiping import wipe_mosquitto

STORE, OTHER_STORE = "12", "13"
SAYS = ("results", "events", "received", "status", "snapshot", "telemetry/paper")
HEARS = ("commands", "accepted")


async def may_publish(one: Device, topic: str) -> bool:
    try:
        await one.connection.publish(topic, b"{}")
    except MqttRefusedError:
        return False
    return True


async def may_subscribe(one: Device, topic: str) -> bool:
    try:
        await one.connection.subscribe([topic])
    except MqttRefusedError:
        return False
    await one.connection.unsubscribe([topic])
    return True


async def until_it_hears(broker: MosquittoServer, identity: Identity, topic: str) -> None:
    """Return once the device may subscribe to the topic; it is connected meanwhile."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(MqttError):
                async with device(broker_for(broker, identity)) as one:
                    while not one.connection.is_lost:
                        if await may_subscribe(one, topic):
                            return
                        await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)


def topics_of(store: str, device_id: str) -> dict[str, tuple[bool, bool]]:
    """The topics of a device and what it may itself: publish, subscribe."""
    own = f"yabam/v1/{store}/devices/{device_id}"
    return {f"{own}/{what}": (True, False) for what in SAYS} | {
        f"{own}/{what}": (False, True) for what in HEARS
    }


async def test_each_device_may_use_its_own_topics_and_nothing_of_anothers(
    mosquitto: MosquittoServer, register: Register
) -> None:
    identities = [
        register.put(STORE, "lamp"),
        register.put(STORE, "bell-5", table="5"),
        register.put(STORE, "terminal-1"),
        register.put(OTHER_STORE, "lamp"),
    ]
    everything: dict[str, tuple[bool, bool]] = {}
    for identity in identities:
        everything |= topics_of(identity.store, identity.device)
    shared = {
        f"yabam/v1/{STORE}/state/menu": set(identities[:3]),
        f"yabam/v1/{STORE}/state/+": set(identities[:3]),
        f"yabam/v1/{STORE}/marks": set(identities[:3]),
        f"yabam/v1/{STORE}/tables/5/orders": {identities[1], identities[2]},
        f"yabam/v1/{STORE}/tables/6/orders": {identities[2]},
        f"yabam/v1/{STORE}/orders": {identities[2]},
        f"yabam/v1/{STORE}/#": set(),
        "yabam/v1/#": set(),
        "#": set(),
        "$SYS/#": set(),
        "$CONTROL/dynamic-security/v1/response": set(),
        f"$share/yabam/yabam/v1/{STORE}/devices/lamp/results": set(),
    }
    wrong: list[str] = []
    async with administered(mosquitto, register):
        for identity in identities:
            own = topics_of(identity.store, identity.device)
            async with device(broker_for(mosquitto, identity)) as one:
                for topic in everything:
                    publish, subscribe = own.get(topic, (False, False))
                    if await may_publish(one, topic) != publish:
                        wrong.append(f"{identity.user} publish {topic}")
                    if await may_subscribe(one, topic) != subscribe:
                        wrong.append(f"{identity.user} subscribe {topic}")
                for topic, permitted in shared.items():
                    if "+" not in topic and "#" not in topic and await may_publish(one, topic):
                        wrong.append(f"{identity.user} publish {topic}")
                    if await may_subscribe(one, topic) != (identity in permitted):
                        wrong.append(f"{identity.user} subscribe {topic}")
                if await may_publish(one, "$CONTROL/dynamic-security/v1"):
                    wrong.append(f"{identity.user} publish $CONTROL")
    assert wrong == []


async def test_who_knows_a_star_printers_address_neither_hears_nor_calls_it(
    mosquitto: MosquittoServer, register: Register
) -> None:
    mac = "00:11:62:1d:9a:b7"
    star = register.put(STORE, "star-1", star_mac=mac)
    own, call = f"star/cloudprnt/to-device/{mac}/#", f"star/cloudprnt/to-device/{mac}/request-post"
    async with administered(mosquitto, register):
        async with device(broker_for(mosquitto, star)) as printer:
            assert await may_subscribe(printer, own)
            assert not await may_subscribe(printer, "star/cloudprnt/to-device/#")
            assert not await may_publish(printer, call)
            assert not await may_publish(printer, f"star/cloudprnt/to-server/{mac}/print-result")
        stranger = register.put(OTHER_STORE, "star-1", star_mac="00:11:62:1d:9a:b8")
        await until_it_connects(mosquitto, stranger)
        async with device(broker_for(mosquitto, stranger)) as other:
            assert not await may_subscribe(other, own)
            assert not await may_publish(other, call)
        with pytest.raises(MqttError):
            await BrokerConnection(broker_of(mosquitto, mac, mac), mac).open()
        async with device(broker_for_gateway(mosquitto), client_id="g") as gateway:
            assert await may_publish(gateway, call)


async def test_who_knows_a_star_printers_address_does_not_speak_in_its_name(
    mosquitto: MosquittoServer, register: Register
) -> None:
    mac, another = "00:11:62:1d:9a:b7", "00:11:62:1d:9a:b8"
    star = register.put(STORE, "star-1", star_mac=mac, star_speaks=True)
    stranger = register.put(OTHER_STORE, "star-1", star_mac=another, star_speaks=True)
    lamp = register.put(STORE, "lamp")
    says = [f"star/cloudprnt/to-server/{mac}/{word}" for word in STAR_WORDS]
    async with administered(mosquitto, register):
        async with device(broker_for(mosquitto, star)) as printer:
            assert [await may_publish(printer, topic) for topic in says] == [True, True, True]
            assert not await may_publish(printer, f"star/cloudprnt/to-server/{mac}/other")
            assert not await may_publish(printer, f"star/cloudprnt/to-device/{mac}/print-job")
            assert not await may_subscribe(printer, "star/cloudprnt/to-server/#")
        for one in (stranger, lamp):
            async with device(broker_for(mosquitto, one)) as other:
                assert [await may_publish(other, topic) for topic in says] == [False] * 3
                assert not await may_publish(other, f"star/cloudprnt/to-device/{mac}/print-job")
                assert not await may_subscribe(other, says[0])
        async with device(broker_for_gateway(mosquitto), client_id="g") as gateway:
            assert await may_subscribe(gateway, "$share/yabam/star/cloudprnt/to-server/+/+")
            assert not await may_publish(gateway, says[0])


async def test_the_gateway_may_not_touch_the_brokers_own_rights(broker: MosquittoServer) -> None:
    async with device(broker_for_gateway(broker), client_id="g") as gateway:
        assert not await may_publish(gateway, "$CONTROL/dynamic-security/v1")
        assert not await may_subscribe(gateway, "$CONTROL/dynamic-security/v1/response")


async def test_nobody_takes_another_devices_client_id(
    mosquitto: MosquittoServer, register: Register
) -> None:
    lamp, bell = register.put(STORE, "lamp"), register.put(STORE, "bell")
    async with administered(mosquitto, register), device(broker_for(mosquitto, lamp)) as one:
        with pytest.raises(MqttRefusedError):
            await BrokerConnection(broker_for(mosquitto, bell), lamp.user).open()
        assert await may_publish(one, f"yabam/v1/{STORE}/devices/lamp/events")


async def test_a_device_may_connect_soon_after_it_is_registered(
    broker: MosquittoServer, register: Register
) -> None:
    lamp = register.put(STORE, "lamp")
    await until_it_connects(broker, lamp)


async def test_removal_ends_the_session_and_keeps_the_device_out(
    mosquitto: MosquittoServer, register: Register
) -> None:
    lamp = register.put(STORE, "lamp")
    async with administered(mosquitto, register), device(broker_for(mosquitto, lamp)) as one:
        register.remove(lamp)
        with pytest.raises(MqttError):
            async with asyncio.timeout(20):
                await one.connection.until_lost()
        with pytest.raises(MqttRefusedError):
            await BrokerConnection(broker_for(mosquitto, lamp), lamp.user).open()


async def test_another_password_ends_the_session_of_the_one_before(
    mosquitto: MosquittoServer, register: Register
) -> None:
    lamp = register.put(STORE, "lamp")
    async with administered(mosquitto, register), device(broker_for(mosquitto, lamp)) as one:
        following = register.put(STORE, "lamp", generation=2)
        with pytest.raises(MqttError):
            async with asyncio.timeout(20):
                await one.connection.until_lost()
        await until_it_connects(mosquitto, following)
        with pytest.raises(MqttRefusedError):
            await BrokerConnection(broker_for(mosquitto, lamp), lamp.user).open()


async def test_the_broker_lives_while_the_rights_of_a_connected_device_change_again_and_again(
    mosquitto: MosquittoServer, register: Register
) -> None:
    star = register.put(STORE, "star-1")
    async with administered(mosquitto, register):
        for number in range(8):
            mac = f"00:11:62:00:00:{number:02x}"
            register.put(STORE, "star-1", star_mac=mac)
            await until_it_hears(mosquitto, star, f"star/cloudprnt/to-device/{mac}/#")
    assert mosquitto.process.running


async def test_what_changes_of_one_device_disconnects_no_other(
    mosquitto: MosquittoServer, register: Register
) -> None:
    lamp, bell = register.put(STORE, "lamp"), register.put(STORE, "bell")
    async with administered(mosquitto, register), device(broker_for(mosquitto, lamp)) as one:
        register.remove(bell)
        register.put(STORE, "lamp")  # as it was
        await until_it_connects(mosquitto, register.put(STORE, "another"))
        assert not one.connection.is_lost


async def test_a_broker_that_has_lost_its_data_has_it_again(
    mosquitto: MosquittoServer, register: Register
) -> None:
    lamp = register.put(STORE, "lamp")
    async with administered(mosquitto, register):
        await until_it_connects(mosquitto, lamp)
        mosquitto.kill()
        wipe_mosquitto(mosquitto)
        mosquitto.start()
        await until_it_connects(mosquitto, lamp)
        async with device(broker_for_gateway(mosquitto), client_id="g"):
            pass


async def test_a_device_that_was_removed_while_no_admin_was_there_is_found(
    mosquitto: MosquittoServer, register: Register
) -> None:
    lamp = register.put(STORE, "lamp")
    async with administered(mosquitto, register):
        await until_it_connects(mosquitto, lamp)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(device(broker_for(mosquitto, lamp)))
        register.remove(lamp)
        await stack.enter_async_context(administered(mosquitto, register))
        await until(lambda: one.connection.is_lost)
