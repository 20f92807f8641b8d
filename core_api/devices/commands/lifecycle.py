"""Commands to devices: stored before they are sent, answered once, expired by the database's clock.

The row is authoritative; a retry of the request finds it for as long as commands are kept. The
document `command.{id}` is what the gateway sends and what screens show; it ends soon after the
answer, so that the channel has room for others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import asyncpg
import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.channel import Channel
from client_sdk.contract.errors import YabamError
from client_sdk.contract.json_decoding import decode_any
from client_sdk.contract.state.values import Value, check_value
from client_sdk.contract.text import TEXT_PATTERN, id_pattern, whole
from core_api.devices.registrations import find_kept
from core_api.devices.times import rfc3339
from core_api.edits.reading import Connection
from core_api.errors import (
    ConflictError,
    IdempotencyMismatchError,
    NotFoundError,
    TooManyCommandsError,
    UnavailableError,
)
from core_api.postgres.patience import despite_locks
from core_api.postgres.pool import mapped_errors, transaction
from core_api.postgres.trim_around_damage import trim_by_age
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.in_transaction import SystemChange, change_documents
from server_common.devices.identity import Identity
from server_common.devices.messages import Result
from server_common.errors import DeviceMessageError
from server_common.limits import DEVICE_OPEN_COMMANDS

CommandState = Literal["sent", "done", "failed", "expired"]
COMMAND_ID_PATTERN: Final = id_pattern(56)
"""The longest id for which `command.{id}` is still a valid document key."""
LONGEST_S: Final = 86_400
KEPT_S: Final = 600.0
"""How long a command's document stays after its answer, in seconds."""
LISTED: Final = 100

_READ: Final = """
SELECT id, name, arguments, state, detail, asked_by, created_at, expires_at, now()
FROM device_commands WHERE store_id = $1 AND device_id = $2 AND id = $3
"""
_LIST: Final = """
SELECT id, name, arguments, state, detail, asked_by, created_at, expires_at, now()
FROM device_commands WHERE store_id = $1 AND device_id = $2
ORDER BY created_at DESC, id LIMIT $3
"""
_OPEN: Final = """
SELECT count(*) FROM device_commands WHERE store_id = $1 AND device_id = $2 AND state = 'sent'
"""
_INSERT: Final = """
INSERT INTO device_commands
    (store_id, device_id, id, name, arguments, state, detail, asked_by, expires_at)
VALUES ($1, $2, $3, $4, $5, 'sent', '', $6, now() + make_interval(secs => $7))
RETURNING id, name, arguments, state, detail, asked_by, created_at, expires_at, now()
"""
# A late answer still replaces `expired`.
_ANSWER: Final = """
UPDATE device_commands SET state = $4, detail = $5
WHERE store_id = $1 AND device_id = $2 AND id = $3 AND state IN ('sent', 'expired')
RETURNING id, name, arguments, state, detail, asked_by, created_at, expires_at, now()
"""
_EXPIRE: Final = """
UPDATE device_commands SET state = 'expired' WHERE (store_id, device_id, id) IN (
    SELECT store_id, device_id, id FROM device_commands
    WHERE state = 'sent' AND expires_at <= now()
        AND store_id || '/' || device_id || '/' || id <> ALL($1::text[])
    ORDER BY expires_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
) RETURNING store_id, device_id, id, name, arguments, state, detail, asked_by, created_at,
    expires_at, now()
"""
_ARGUMENTS: Final = "arguments"
"""Where a command's document has them."""
_Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=whole(TEXT_PATTERN))]


class NewCommand(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/stores/{id}/devices/{device}/commands`."""

    name: _Word
    arguments: dict[str, Any] = {}
    """Values that a document may hold: no fractions."""
    id: Annotated[str, Meta(pattern=whole(COMMAND_ID_PATTERN))] | None = None
    """The command's id, by which a retry is recognised; None: Core makes one."""
    expires_in_s: Annotated[int, Meta(ge=1, le=LONGEST_S)] = 60
    """A command without an answer after this time becomes `expired`, and is reported."""


class DeviceCommand(Struct, frozen=True):
    """A command and its outcome."""

    id: str
    name: str
    arguments: dict[str, Any]
    state: CommandState
    detail: str
    """The device's answer."""
    by: str
    """Who asked for it."""
    created_at: datetime
    expires_at: datetime


class DeviceCommands(Struct, frozen=True):
    """The answer of `GET /v1/stores/{id}/devices/{device}/commands`."""

    commands: list[DeviceCommand]
    """The newest first, at most `LISTED`."""


class CommandLifecycle:
    """Commands that people send to devices.

    Args:
        documents: those that it changes.
        new_id: makes an id.
    """

    def __init__(
        self,
        documents: DocumentAccess,
        new_id: Callable[[], str],
    ) -> None:
        self._documents = documents
        self._new_id = new_id

    async def ask(
        self, store_id: str, device_id: str, wanted: NewCommand, by: str
    ) -> tuple[DeviceCommand, bool]:
        """Store a command. Returns it as it stands, and whether it is new.

        Args:
            store_id: the store of the device.
            device_id: which device.
            wanted: the command; with an `id` that is stored already it is a retry.
            by: the subject that asks for it.

        Raises:
            NotFoundError: no such device is registered.
            IdempotencyMismatchError: another command has this id.
            TooManyCommandsError: the device has too many without an answer.
            TooManyDocumentsError: the device's channel has no room for the command's document.
            StateValueError: its arguments are not values that its document may hold.
            UnavailableError: Postgres does not answer, or somebody holds a lock.
        """
        check_value(wanted.arguments, (_ARGUMENTS,))
        id_ = wanted.id or self._new_id()
        return await despite_locks(lambda: self._ask(store_id, device_id, id_, wanted, by))

    async def list(self, store_id: str, device_id: str) -> DeviceCommands:
        """The newest commands of a device.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        with mapped_errors():
            rows = await self._documents.pool.fetch(_LIST, store_id, device_id, LISTED)
        return DeviceCommands([_command(row) for row in rows])

    async def _ask(
        self, store_id: str, device_id: str, id_: str, wanted: NewCommand, by: str
    ) -> tuple[DeviceCommand, bool]:
        async with transaction(self._documents.pool) as connection:
            if await find_kept(connection, store_id, device_id) is None:
                raise NotFoundError(f"no device {device_id} is registered in store {store_id}")
            for row in await connection.fetch(_READ, store_id, device_id, id_):
                return _known(_command(row), wanted), False
            if await connection.fetchval(_OPEN, store_id, device_id) >= DEVICE_OPEN_COMMANDS:
                raise TooManyCommandsError(
                    f"the device has not answered {DEVICE_OPEN_COMMANDS} commands: wait until "
                    "it does, or they expire"
                )
            arguments = msgspec.json.encode(wanted.arguments).decode()
            (row,) = await connection.fetch(
                _INSERT, store_id, device_id, id_, wanted.name, arguments, by,
                wanted.expires_in_s,
            )  # fmt: skip
            made = _command(row)
            channel = Channel("device", store_id, device_id)
            ends_at = made.expires_at + timedelta(seconds=KEPT_S)
            change = document_of(channel, made, ends_at)
            channels = await change_documents(connection, [change], self._documents.rules)
        self._documents.committed(channels)
        return made, True


def document_of(channel: Channel, command: DeviceCommand, ends_at: datetime) -> SystemChange:
    """The edit that brings the command's document up to date with the command.

    Args:
        channel: the device's.
        command: as it stands now.
        ends_at: when the document is deleted; in UTC.

    Returns:
        The change to write; its value replaces the whole document.
    """
    value: Value = {
        "name": command.name,
        _ARGUMENTS: command.arguments,
        "state": command.state,
        "detail": command.detail,
        "expires_at": rfc3339(command.expires_at),
        "by": command.by,
    }
    return SystemChange(channel, f"command.{command.id}", lambda _old, _now: value, ends_at)


async def take_result(
    connection: Connection, identity: Identity, result: Result
) -> list[SystemChange] | None:
    """Note a device's answer in the caller's transaction.

    Args:
        connection: with the caller's transaction.
        identity: the device that answers.
        result: its answer; `id` is the command's.

    Returns:
        The changes to documents: empty if it has answered before; None: there is no such command.

    Raises:
        DeviceMessageError: a command has no such outcome.
    """
    place = (identity.store, identity.device, result.id)
    if result.outcome not in ("done", "failed"):
        if await connection.fetch(_READ, *place):
            raise DeviceMessageError("the outcome of a command is done or failed", "invalid")
        return None
    rows = await connection.fetch(_ANSWER, *place, result.outcome, result.detail)
    if not rows:
        return [] if await connection.fetch(_READ, *place) else None
    ends_at = rows[0]["now"] + timedelta(seconds=KEPT_S)
    return [document_of(identity.channel, _command(rows[0]), ends_at)]


class Expired(Struct, frozen=True):
    """A command that has expired."""

    name: str
    channels: list[str]
    """Those that got an event."""


class ExpiringError(YabamError):
    """The named command could not expire; others can."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


async def expire_one(documents: DocumentAccess, but: Sequence[str]) -> Expired | None:
    """Let one overdue command expire; None: there is none.

    Args:
        documents: those that it changes.
        but: the names of commands to skip.

    Raises:
        ExpiringError: it was this command that could not expire.
        UnavailableError: Postgres does not answer.
    """
    async with transaction(documents.pool) as connection:
        row = await connection.fetchrow(_EXPIRE, but)
        if row is None:
            return None
        command = _command(row)
        channel = Channel("device", row["store_id"], row["device_id"])
        name = f"{channel.root}/{channel.part}/{command.id}"
        ends_at = row["now"] + timedelta(seconds=KEPT_S)
        change = document_of(channel, command, ends_at)
        try:
            return Expired(name, await change_documents(connection, [change], documents.rules))
        except (ConflictError, UnavailableError):
            raise
        except Exception as error:
            raise ExpiringError(name) from error


trim_commands: Final = trim_by_age(
    "device_commands", "store_id, device_id, id", "created_at", "state <> 'sent'"
)
"""Deletes old commands."""


def _known(command: DeviceCommand, wanted: NewCommand) -> DeviceCommand:
    if (command.name, command.arguments) != (wanted.name, wanted.arguments):
        raise IdempotencyMismatchError(f"the id {command.id} was another command's")
    return command


def _command(row: asyncpg.Record) -> DeviceCommand:
    return DeviceCommand(
        row["id"], row["name"], decode_any(row["arguments"]), row["state"],
        row["detail"], row["asked_by"], row["created_at"], row["expires_at"],
    )  # fmt: skip
