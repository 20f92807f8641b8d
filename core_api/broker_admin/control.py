"""Mosquitto's dynamic security over MQTT: commands to its control topic, and their answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from client_sdk.contract.json_decoding import decode
from core_api.broker_admin.rights import Allowed, ControlCommand, Present, role_of
from core_api.errors import UnavailableError
from server_common.mqtt.broker import Broker, MqttError
from server_common.mqtt.connection import BrokerConnection, Incoming

_COMMANDS: Final = "$CONTROL/dynamic-security/v1"
_ANSWERS: Final = f"{_COMMANDS}/response"
_ANSWER_WITHIN_S: Final = 20.0
PAGE: Final = 64
"""So many of the largest roles fit into a packet. One that is larger than we accept the broker
drops without a word."""
_KINDS: Final = frozenset({"publishClientSend", "subscribeLiteral", "subscribePattern"})


class BrokerControlError(UnavailableError):
    """The broker does not do what its admin asks; the text says why."""


class BrokerRefusalError(BrokerControlError):
    """The broker refuses a command; the text says which."""


class _Answer(Struct, frozen=True):
    command: str = ""
    error: str | None = None
    data: Any = None
    correlation: str | None = msgspec.field(default=None, name="correlationData")


class _Answers(Struct, frozen=True):
    responses: list[_Answer]


_decoder: Final = msgspec.json.Decoder(_Answers)


class BrokerControl:
    """One connection to the broker as its admin.

    Args:
        broker: its address, with the admin's name and password.
    """

    def __init__(self, broker: Broker) -> None:
        name = f"{broker.user}-{secrets.token_hex(4)}"
        self._connection = BrokerConnection(broker, name, self._heard)
        self._waiting: dict[str, asyncio.Future[_Answer]] = {}
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Connect.

        Raises:
            MqttError: the broker does not answer, or refuses.
        """
        await self._connection.open()
        await self._connection.subscribe([_ANSWERS])

    def check(self) -> None:
        """Check that the connection is open; raises `MqttError` if it is lost."""
        if self._connection.is_lost:
            raise MqttError("the connection to the MQTT broker is lost")

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    async def run(self, commands: Sequence[ControlCommand]) -> list[Any]:
        """Run these commands in order, in one piece: nobody else's comes in between.

        Returns:
            The data of each answer.

        Raises:
            BrokerRefusalError: one was refused. All others are done.
            BrokerControlError: they were not answered in time.
            MqttError: the connection is lost.
        """
        if not commands:
            return []
        async with self._turn:
            answers = await self._ask(commands)
        for command, answer in zip(commands, answers, strict=True):
            if answer.error is not None and not _is_no_fault(command, answer.error):
                raise BrokerRefusalError(f"the broker refuses {command['command']}: {answer.error}")
        return [answer.data for answer in answers]

    async def present(self) -> Present:
        """What the broker has now; raises as `run`."""
        return _present(
            await self._all("listClients", "clients", PAGE),
            await self._all("listRoles", "roles", PAGE),
            # With all their members, so one by one.
            await self._all("listGroups", "groups", 1),
        )

    async def present_of(self, users: Sequence[str]) -> Present:
        """What the broker has now of these users; raises as `run`."""
        clients = [{"command": "getClient", "username": user} for user in users]
        roles = [{"command": "getRole", "rolename": role_of(user)} for user in users]
        found = await self.run([*clients, *roles])
        return _present(
            [data["client"] for data in found[: len(users)] if data],
            [data["role"] for data in found[len(users) :] if data],
        )

    async def _all(self, command: str, what: str, at_once: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            asked = {"command": command, "verbose": True, "count": at_once, "offset": len(found)}
            (data,) = await self.run([asked])
            page = (data or {}).get(what, [])
            found += page
            if len(page) < at_once:
                return found

    async def _ask(self, commands: Sequence[ControlCommand]) -> list[_Answer]:
        loop = asyncio.get_running_loop()
        names = [secrets.token_hex(8) for _ in commands]
        waits = [self._waiting.setdefault(name, loop.create_future()) for name in names]
        named = [
            {**command, "correlationData": name}
            for command, name in zip(commands, names, strict=True)
        ]
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await self._connection.publish(_COMMANDS, msgspec.json.encode({"commands": named}))
                return [await wait for wait in waits]
        except TimeoutError as error:
            raise BrokerControlError("the broker does not answer a command of its admin") from error
        finally:
            for name, wait in zip(names, waits, strict=True):
                self._waiting.pop(name, None)
                wait.cancel()

    def _heard(self, message: Incoming) -> None:
        self._connection.acknowledge(message)
        try:
            answers = decode(_decoder, message.payload)
        except msgspec.DecodeError:
            return
        for answer in answers.responses:
            wait = self._waiting.get(answer.correlation or "")
            if wait is not None and not wait.done():
                wait.set_result(answer)


def _present(
    clients: Sequence[dict[str, Any]],
    roles: Sequence[dict[str, Any]],
    groups: Sequence[dict[str, Any]] = (),
) -> Present:
    return Present(
        {one["username"]: one.get("textname", "") for one in clients},
        {one["username"]: one.get("clientid", "") for one in clients},
        {one["rolename"]: _allowed(one.get("acls", [])) for one in roles},
        {one["username"]: [r["rolename"] for r in one.get("roles", [])] for one in clients},
        {one["groupname"]: [r["rolename"] for r in one.get("roles", [])] for one in groups},
    )


def _allowed(acls: Sequence[dict[str, Any]]) -> frozenset[Allowed]:
    """What a role permits. One with rules of other kinds, or that deny, counts as permitting
    nothing, so that it is written anew."""
    if not all(one.get("allow") and one.get("acltype") in _KINDS for one in acls):
        return frozenset()
    return frozenset(Allowed(one["acltype"], one["topic"]) for one in acls)


def _is_no_fault(command: ControlCommand, error: str) -> bool:
    """Whether the broker only says that what is asked for, or is to be taken away, is not there."""
    return command["command"].startswith(("delete", "get", "remove")) and error.endswith(
        "not found"
    )
