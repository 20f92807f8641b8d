"""What Core answers about registered devices: registrations, commands, pictures."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from client_sdk.contract.channel import Channel
from client_sdk.contract.errors import DeviceError, StateValueError
from core_api.access.callers import Caller
from core_api.access.tokens import TokenKeys
from core_api.api.answers import done, json_answer
from core_api.api.gate import Gate
from core_api.api.request_parts import JsonBody, device_id_of, store_of
from core_api.devices.commands.lifecycle import CommandLifecycle, NewCommand
from core_api.devices.permissions import check_keeps, check_sees
from core_api.devices.registrations import (
    NewDevice,
    RegisterDevice,
    RegisteredDevice,
    Registration,
    Registrations,
)
from core_api.devices.snapshots import read_snapshot
from core_api.errors import InvalidError, UnauthorizedError
from core_api.orders.permissions import check_devices
from core_api.postgres.pool import Pool
from core_api.receipts.devices import Device, DeviceLog
from server_common.devices.identity import Identity, parse_user
from server_common.limits import DEVICE_COMMAND_BYTES

TOKEN_S: Final = 3600
"""The lifetime of a device's access token: it may outlive a removed registration by that much."""
_PICTURE: Final = {"cache-control": "private, no-cache", "x-content-type-options": "nosniff"}

REGISTER: Final = JsonBody(RegisterDevice)
COMMAND: Final = JsonBody(NewCommand, DEVICE_COMMAND_BYTES)


class Devices(Struct, frozen=True):
    """The answer of `GET /v1/stores/{id}/devices`."""

    devices: list[Device]
    """Devices that have received orders, the last seen first."""
    registered: list[RegisteredDevice]
    """Registered devices, which may connect, by name."""


class DeviceLogin(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/devices/token`."""

    user: Annotated[str, Meta(max_length=200)]
    password: Annotated[str, Meta(max_length=200)]


class DeviceToken(Struct, frozen=True):
    """The answer of `POST /v1/devices/token`."""

    token: str
    expires_in_s: int


LOGIN: Final = JsonBody(DeviceLogin)


class DevicesApi:
    """The handlers of devices.

    Args:
        registrations: the registered devices.
        commands: commands to them.
        log: which devices have received orders.
        pool: the database, for reading.
        tokens: signs access tokens of devices.
        gate: lets callers in.
    """

    def __init__(
        self,
        registrations: Registrations,
        commands: CommandLifecycle,
        log: DeviceLog,
        pool: Pool,
        tokens: TokenKeys,
        gate: Gate,
    ) -> None:
        self._registrations = registrations
        self._commands = commands
        self._log = log
        self._pool = pool
        self._tokens = tokens
        self._gate = gate

    async def list(self, request: Request) -> Response:
        """GET /v1/stores/{id}/devices: which have received orders, and which are registered."""
        caller = self._gate.caller_of(request)
        store_id = store_of(request)
        check_devices(caller, store_id)
        with self._gate.admit():
            seen = await self._gate.within_deadline(self._log.of_store(store_id))
            registered = await self._gate.within_deadline(self._registrations.list(store_id))
        return json_answer(Devices(seen, registered))

    async def put(self, request: Request) -> Response:
        """PUT /v1/stores/{id}/devices/{device}: register it, or change its registration."""
        caller, store_id, device_id = self._kept(request)
        wanted = await REGISTER.read(request)
        found, password, is_new = await self._gate.serve(
            caller, lambda: self._registrations.put(store_id, device_id, wanted)
        )
        return json_answer(self._new(found, password), 201 if is_new else 200)

    async def get(self, request: Request) -> Response:
        """GET /v1/stores/{id}/devices/{device}."""
        store_id, device_id = self._seen(request)
        found = await self._gate.bounded(lambda: self._registrations.get(store_id, device_id))
        return json_answer(found)

    async def remove(self, request: Request) -> Response:
        """DELETE /v1/stores/{id}/devices/{device}."""
        store_id, device_id = self._kept(request)[1:]
        await self._gate.bounded(lambda: self._registrations.remove(store_id, device_id))
        return done()

    async def ask(self, request: Request) -> Response:
        """POST /v1/stores/{id}/devices/{device}/commands.

        Raises:
            InvalidError: the arguments are not ones that a command may have.
        """
        caller, store_id, device_id = self._kept(request)
        wanted = await COMMAND.read(request)
        with self._gate.admit():
            await self._gate.check_stay(caller)
            try:
                command, is_new = await self._gate.within_deadline(
                    self._commands.ask(store_id, device_id, wanted, caller.subject)
                )
            except StateValueError as error:
                raise InvalidError(str(error)) from error
        return json_answer(command, 201 if is_new else 200)

    async def commands(self, request: Request) -> Response:
        """GET /v1/stores/{id}/devices/{device}/commands: the newest first."""
        store_id, device_id = self._seen(request)
        found = await self._gate.bounded(lambda: self._commands.list(store_id, device_id))
        return json_answer(found)

    async def snapshot(self, request: Request) -> Response:
        """GET /v1/stores/{id}/devices/{device}/snapshot: its newest picture."""
        store_id, device_id = self._seen(request)
        picture = await self._gate.bounded(lambda: read_snapshot(self._pool, store_id, device_id))
        headers = _PICTURE | {"etag": f'"{picture.sha256}"'}
        return Response(picture.content, 200, headers, picture.media_type)

    async def token(self, request: Request) -> Response:
        """POST /v1/devices/token: an access token for a device's user name and password.

        Raises:
            UnauthorizedError: no device has them now.
        """
        login = await LOGIN.read(request)
        identity = await self._gate.bounded(lambda: self._identity_of(login))
        caller = _caller(identity)
        self._gate.charge(caller, 1)
        return json_answer(DeviceToken(self._tokens.sign(caller, TOKEN_S), TOKEN_S))

    async def _identity_of(self, login: DeviceLogin) -> Identity:
        try:
            identity = parse_user(login.user)
        except DeviceError:
            identity = None
        if identity is None or not await self._registrations.is_current(identity, login.password):
            raise UnauthorizedError("no device has this user name and password now")
        return identity

    def _kept(self, request: Request) -> tuple[Caller, str, str]:
        caller = self._gate.caller_of(request)
        store_id, device_id = store_of(request), device_id_of(request)
        check_keeps(caller, store_id)
        return caller, store_id, device_id

    def _seen(self, request: Request) -> tuple[str, str]:
        caller = self._gate.caller_of(request)
        store_id, device_id = store_of(request), device_id_of(request)
        check_sees(caller, store_id, device_id)
        return store_id, device_id

    def _new(self, found: Registration, password: str | None) -> NewDevice:
        shown = msgspec.structs.asdict(found.shown)
        if password is None:
            return NewDevice(**shown)
        token = self._tokens.sign(_caller(found.identity), TOKEN_S)
        return NewDevice(**shown, password=password, token=token)


def _caller(identity: Identity) -> Caller:
    return Caller(
        identity.user,
        "device",
        device=Channel("device", identity.store, identity.device),
    )
