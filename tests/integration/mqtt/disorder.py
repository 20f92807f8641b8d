"""A broker, its admins and its devices, with changes and faults in random order."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from core_api.broker_admin.admin import BrokerAdmin
from core_api.broker_admin.control import BrokerControl, BrokerControlError
from core_api.broker_admin.rights import ADMIN_USER, role_of
from deploy.mqtt.server import MosquittoServer
from server_common.devices.identity import Identity
from server_common.mqtt.broker import MqttError
from server_common.mqtt.connection import Will
from tests.mqtt_parts import (
    Register,
    admin_of,
    broker_for,
    broker_of,
    device,
    until,
    until_it_connects,
)
from tests.wiping import wipe_mosquitto

_NAMES = ("lamp", "bell", "star-1", "terminal-1", "pager", "till")
_PEOPLE = ("waiter", "cook")


class Disorder:
    """Makes one random change or fault per step. The broker must never end by itself.

    Args:
        seed: the seed of the random steps.
        server: the broker.
        register: its devices, empty at first.
    """

    def __init__(self, seed: int, server: MosquittoServer, register: Register) -> None:
        self._chance = random.Random(seed)
        self._server = server
        self._register = register
        self._admins: list[BrokerAdmin] = []
        self._generations: dict[str, int] = {}
        self._here: dict[str, Identity] = {}
        self.done: list[str] = []
        self.wrong: list[str] = []

    @asynccontextmanager
    async def admins(self) -> AsyncIterator[None]:
        """Run two admins at once."""
        self._admins = [admin_of(self._server, self._register) for _ in range(2)]
        async with _running(*(admin.run() for admin in self._admins)):
            await self._until_level()
            yield

    @asynccontextmanager
    async def devices(self) -> AsyncIterator[None]:
        """Run devices that connect, leave and return, and do what is allowed and what is not."""
        async with _running(*(self._device(name) for name in _NAMES)):
            yield

    async def step(self) -> None:
        """Make a random change or fault."""
        steps: list[Callable[[], Awaitable[None]]] = [
            self._registered, self._registered, self._registered, self._moved, self._moved,
            self._removed, self._killed, self._stopped, self._wiped, self._cut,
            self._person, self._group, self._role_given, self._rule_added, self._user_taken,
        ]  # fmt: skip
        step = self._chance.choice(steps)
        self.done.append(step.__name__)
        await step()
        await asyncio.sleep(self._chance.random())
        if not self._server.process.running:
            self.wrong.append(f"the broker ended: {self._server.process.log_tail()}")
            self.wrong += self.done
            await asyncio.to_thread(self._server.start)

    async def settle(self) -> None:
        """Wait until each device that should may connect, and check that no other may."""
        await self._until_level()
        # Once this last device may connect, all earlier changes were followed.
        await until_it_connects(self._server, self._register.put("12", "last"))
        for identity in self._here.values():
            await until_it_connects(self._server, identity)
        for name, generation in self._generations.items():
            former = Identity("12", name, generation)
            if self._here.get(name) != former:
                with contextlib.suppress(MqttError):
                    async with device(broker_for(self._server, former)):
                        self.wrong.append(f"{former.user} may connect")

    async def _registered(self) -> None:
        name = self._chance.choice(_NAMES)
        self._generations[name] = self._generations.get(name, 0) + 1
        self._put(name)

    async def _moved(self) -> None:
        if self._here:
            self._put(self._chance.choice(sorted(self._here)))

    def _put(self, name: str) -> None:
        mac = f"00:11:62:00:00:{self._chance.randrange(256):02x}"
        self._here[name] = self._register.put(
            "12", name, self._generations[name],
            table=self._chance.choice([None, "5", "6"]),
            star_mac=self._chance.choice([None, mac]),
            star_speaks=self._chance.random() < 0.5,
        )  # fmt: skip

    async def _removed(self) -> None:
        if self._here:
            name = self._chance.choice(sorted(self._here))
            self._register.remove(self._here.pop(name))

    async def _killed(self) -> None:
        self._server.kill()
        await self._started()

    async def _stopped(self) -> None:
        await asyncio.to_thread(self._server.stop)
        await self._started()

    async def _wiped(self) -> None:
        self._server.kill()
        wipe_mosquitto(self._server)
        await self._started()

    async def _cut(self) -> None:
        self._server.kill()
        rights = self._server._data / "dynamic-security.json"
        state = rights.read_bytes()
        rights.write_bytes(state[: self._chance.randrange(len(state))])
        await self._started()

    async def _started(self) -> None:
        await asyncio.to_thread(self._server.start)
        for admin in self._admins:
            await until(lambda admin=admin: admin.trouble is not None)  # type: ignore[misc]

    async def _person(self) -> None:
        roles = [{"rolename": role_of(one.user)} for one in self._here.values()]
        name = self._chance.choice(_PEOPLE)
        made = {"command": "createClient", "username": name, "password": "p", "roles": roles}
        await self._by_hand({"command": "deleteClient", "username": name}, made)

    async def _group(self) -> None:
        roles = [{"rolename": role_of(one.user)} for one in self._here.values()]
        member = {"groupname": "hall", "username": self._chance.choice(_PEOPLE)}
        await self._by_hand(
            {"command": "deleteGroup", "groupname": "hall"},
            {"command": "createGroup", "groupname": "hall", "roles": roles},
            {"command": "addGroupClient", **member},
        )

    async def _role_given(self) -> None:
        if self._here:
            held = role_of(self._chance.choice(list(self._here.values())).user)
            name = self._chance.choice([*_PEOPLE, *(one.user for one in self._here.values())])
            given = {"command": "addClientRole", "username": name, "rolename": held}
            await self._by_hand(given)

    async def _rule_added(self) -> None:
        if self._here:
            role = role_of(self._chance.choice(list(self._here.values())).user)
            rule = {"acltype": "subscribePattern", "topic": "a/#", "priority": 1, "allow": True}
            await self._by_hand({"command": "addRoleACL", "rolename": role, **rule})

    async def _user_taken(self) -> None:
        if self._here:
            user = self._chance.choice(list(self._here.values())).user
            await self._by_hand({"command": "deleteClient", "username": user})
            self._put(next(name for name, one in self._here.items() if one.user == user))

    async def _by_hand(self, *commands: dict[str, Any]) -> None:
        # While an admin compares, this role could be given to a user just before it is deleted.
        await self._until_level()
        control = BrokerControl(broker_of(self._server, ADMIN_USER, self._server.password_of_admin))
        try:
            await control.open()
            for command in commands:
                with contextlib.suppress(BrokerControlError):
                    await control.run([command])
        finally:
            await control.close()

    async def _until_level(self) -> None:
        for admin in self._admins:
            await until(lambda admin=admin: admin.trouble is None)  # type: ignore[misc]

    async def _device(self, name: str) -> None:
        number = 0
        while True:
            await asyncio.sleep(self._chance.random() * 0.3)
            if (one := self._here.get(name)) is None:
                continue
            own = f"yabam/v1/12/devices/{name}"
            will = Will(f"{own}/status", b"{}", retain=number % 2 == 0)
            number += 1
            with contextlib.suppress(MqttError, TimeoutError):
                async with device(broker_for(self._server, one), will=will) as connected:
                    for topic in (f"{own}/commands", "yabam/v1/12/state/+", "star/#"):
                        with contextlib.suppress(MqttError):
                            await connected.connection.subscribe([topic])
                    await connected.connection.publish(f"{own}/events", b"{}")
                    await asyncio.sleep(self._chance.random())


@asynccontextmanager
async def _running(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
