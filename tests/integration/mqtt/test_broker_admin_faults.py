"""What would bring the broker down, or lock somebody out: at a real broker, none of it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core_api.broker_admin.control import BrokerControl
from core_api.broker_admin.rights import ADMIN_USER, role_of
from deploy.mqtt.server import MosquittoServer
from server_common.devices.identity import Identity
from server_common.mqtt.broker import MqttError
from tests.integration.mqtt.disorder import Disorder
from tests.mqtt_parts import (
    Register,
    administered,
    broker_for,
    broker_for_gateway,
    broker_of,
    device,
    until_it_connects,
)

STORE = "12"
LONG = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"


@asynccontextmanager
async def by_hand(server: MosquittoServer) -> AsyncIterator[BrokerControl]:
    """Somebody with the admin's password and a tool like mosquitto_ctrl."""
    control = BrokerControl(broker_of(server, ADMIN_USER, server.password_of_admin))
    await control.open()
    try:
        yield control
    finally:
        await control.close()


async def until_it_may_not_connect(server: MosquittoServer, identity: Identity) -> None:
    async with asyncio.timeout(30):
        with contextlib.suppress(MqttError):
            while True:
                async with device(broker_for(server, identity)):
                    await asyncio.sleep(0.05)


def cut(server: MosquittoServer, length: int) -> None:
    """Leave so much of the file of rights, as when it was killed while it wrote it."""
    rights = server._data / "dynamic-security.json"
    rights.write_bytes(rights.read_bytes()[:length])


@pytest.mark.parametrize("left", [0, 700])
async def test_a_broker_that_was_killed_while_it_wrote_its_rights_has_them_again(
    mosquitto: MosquittoServer, register: Register, left: int
) -> None:
    lamp = register.put(STORE, "lamp")
    async with administered(mosquitto, register):
        await until_it_connects(mosquitto, lamp)
        mosquitto.kill()
        cut(mosquitto, left)
        await asyncio.to_thread(mosquitto.start)
        await until_it_connects(mosquitto, lamp)
        async with device(broker_for_gateway(mosquitto), client_id="g"):
            pass


async def test_the_roles_of_many_printers_of_stores_with_long_names_are_read(
    mosquitto: MosquittoServer, register: Register
) -> None:
    printers = [
        register.put(LONG, f"kitchen-printer-{n}", star_mac=f"00:11:62:00:00:{n:02x}",
                     star_speaks=True)
        for n in range(180)
    ]  # fmt: skip
    for _ in range(2):  # what the first one made, the second one reads
        async with administered(mosquitto, register):
            await until_it_connects(mosquitto, printers[-1])


async def test_devices_that_the_broker_refuses_keep_no_other_out(
    mosquitto: MosquittoServer, register: Register
) -> None:
    for number in range(30):
        register.put(STORE, f"no-name-for-mqtt-\x01-{number}")
    others = [register.put(STORE, f"lamp-{n}") for n in range(60)]
    gone = register.put(STORE, "gone")
    admin_at_work = administered(mosquitto, register)
    working = asyncio.create_task(admin_at_work.__aenter__())
    try:
        await until_it_connects(mosquitto, others[-1])
        register.remove(gone)
        await until_it_may_not_connect(mosquitto, gone)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def test_a_rule_by_hand_that_denies_is_taken_out(
    mosquitto: MosquittoServer, register: Register
) -> None:
    lamp = register.put(STORE, "lamp")
    topic = f"yabam/v1/{STORE}/devices/lamp/events"
    async with administered(mosquitto, register), by_hand(mosquitto) as hand:
        rule = {"acltype": "publishClientSend", "topic": "#", "priority": 9, "allow": False}
        await hand.run([{"command": "addRoleACL", "rolename": role_of(lamp.user), **rule}])
    async with administered(mosquitto, register), device(broker_for(mosquitto, lamp)) as one:
        await one.connection.publish(topic, b"{}")


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_broker_lives_on_without_a_role_that_people_gave_to_others(
    mosquitto: MosquittoServer, register: Register, *, restarted: bool
) -> None:
    lamps = [register.put(STORE, f"lamp-{n}") for n in range(8)]
    roles = [{"rolename": role_of(lamp.user)} for lamp in lamps]
    person: dict[str, Any] = {"username": "waiter", "password": "w", "roles": roles}
    async with administered(mosquitto, register), by_hand(mosquitto) as hand:
        await hand.run([
            {"command": "createClient", **person},
            {"command": "createGroup", "groupname": "hall", "roles": roles},
            {"command": "addGroupClient", "groupname": "hall", "username": "waiter"},
        ])  # fmt: skip
    if restarted:
        mosquitto.kill()
        await asyncio.to_thread(mosquitto.start)
    waiter = broker_of(mosquitto, "waiter", "w")
    mark = f"yabam/v1/{STORE}/marks"
    for lamp in lamps:
        register.remove(lamp)
    for number in range(3):
        async with administered(mosquitto, register):
            await until_it_connects(mosquitto, register.put(STORE, "bell", generation=number + 1))
            async with device(waiter) as one:
                with pytest.raises(MqttError):
                    await one.connection.subscribe([mark])
        async with by_hand(mosquitto) as hand:
            present = await hand.present()
            assert present.holders["waiter"] == []
            assert present.groups == {"hall": []}
    assert mosquitto.process.running


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2))
async def test_the_broker_lives_and_lets_in_whom_it_should_whatever_is_done_to_it(
    mosquitto: MosquittoServer, register: Register, seed: int
) -> None:
    disorder = Disorder(seed, mosquitto, register)
    async with disorder.devices(), disorder.admins():
        for _ in range(25):
            await disorder.step()
        await disorder.settle()
    assert disorder.wrong == []
