"""Registered devices in Postgres: made, changed, given another password, removed.

A password does not expire: it is good until another one is given or the device is removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import asyncpg
from msgspec import UNSET, Meta, Struct, UnsetType

from client_sdk.contract.channel import NAME_FORM, Channel
from client_sdk.contract.text import MEDIA_PATTERN, whole
from core_api.devices.presence import offline_value
from core_api.edits.reading import Connection
from core_api.errors import ForbiddenError, NotFoundError, TooManyDevicesError
from core_api.postgres.patience import despite_locks
from core_api.postgres.pool import mapped_errors, transaction
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.in_transaction import SystemChange, change_documents
from server_common.devices.identity import DeviceKeys, Identity
from server_common.limits import STORE_DEVICE_NAMES, STORE_DEVICES

# One at a time, so that a reader that follows the change numbers misses none.
_ALONE: Final = "LOCK TABLE device_registrations IN SHARE ROW EXCLUSIVE MODE"
_FIND: Final = """
SELECT store_id, device_id, generation, kid, media, table_id, created_at, removed_at, now()
FROM device_registrations WHERE store_id = $1 AND device_id = $2
"""
# One at a time for each device: for a moment two members of a group may hold its partition.
_KEPT: Final = f"{_FIND} FOR NO KEY UPDATE"
_LIST: Final = """
SELECT store_id, device_id, generation, kid, media, table_id, created_at, removed_at, now()
FROM device_registrations WHERE store_id = $1 AND removed_at IS NULL ORDER BY device_id
"""
_COUNT: Final = """
SELECT count(*) FILTER (WHERE removed_at IS NULL), count(*) FROM device_registrations
WHERE store_id = $1
"""
_PUT: Final = """
INSERT INTO device_registrations AS d
    (store_id, device_id, generation, kid, media, table_id, change)
VALUES ($1, $2, $3, $4, $5, $6, (SELECT coalesce(max(change), 0) + 1 FROM device_registrations))
ON CONFLICT (store_id, device_id) DO UPDATE SET
    generation = excluded.generation, kid = excluded.kid, media = excluded.media,
    table_id = excluded.table_id, change = excluded.change, removed_at = NULL,
    created_at = CASE WHEN d.removed_at IS NULL THEN d.created_at ELSE now() END
RETURNING store_id, device_id, generation, kid, media, table_id, created_at, removed_at, now()
"""
_REMOVE: Final = """
UPDATE device_registrations SET removed_at = now(),
    change = (SELECT coalesce(max(change), 0) + 1 FROM device_registrations)
WHERE store_id = $1 AND device_id = $2 AND removed_at IS NULL RETURNING generation
"""
_FORGET: Final = (
    "DELETE FROM device_presence WHERE store_id = $1 AND device_id = $2",
    "DELETE FROM device_received WHERE store_id = $1 AND device_id = $2",
)
_FORGET_MAC: Final = "DELETE FROM star_printers WHERE store_id = $1 AND device_id = $2"
"""Locked after its documents, as in every step of a print job (docs/architecture.md, "Locks")."""
_FORGET_PICTURE: Final = "DELETE FROM device_snapshots WHERE store_id = $1 AND device_id = $2"
_END_COMMANDS: Final = """
UPDATE device_commands SET state = 'expired', detail = 'the device was removed', told_at = now()
WHERE store_id = $1 AND device_id = $2 AND state = 'sent'
"""
_KEYS: Final = "SELECT key FROM documents WHERE channel = $1 AND value IS NOT NULL ORDER BY key"

_Id = Annotated[str, Meta(pattern=NAME_FORM)]
_Media = Annotated[str, Meta(max_length=100, pattern=whole(MEDIA_PATTERN))]


class RegisterDevice(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/stores/{id}/devices/{device}`; what is left out stays as it is."""

    rotate: bool = False
    """Whether it gets another password: its next generation. The one before ends."""
    media: Annotated[list[_Media], Meta(max_length=16)] | UnsetType = UNSET
    """The media types that it can print, the best first."""
    table: _Id | UnsetType | None = UNSET
    """The table whose bell it rings; null: none."""


class RegisteredDevice(Struct, frozen=True):
    """A registered device."""

    store: str
    device: str
    generation: int
    client_id: str
    """Its MQTT client id."""
    user: str
    """Its MQTT user name: the same."""
    media: list[str]
    table: str | None
    created_at: datetime


class NewDevice(RegisteredDevice, frozen=True, omit_defaults=True):
    """The answer to a registration."""

    password: str | UnsetType = UNSET
    """Shown with a new generation, and never again."""
    token: str | UnsetType = UNSET
    """An access token of the device; with its password it gets others."""


class Registration(Struct, frozen=True):
    """A row."""

    identity: Identity
    kid: str
    media: list[str]
    table: str | None
    created_at: datetime
    removed_at: datetime | None
    now: datetime
    """By the database's clock."""

    @property
    def shown(self) -> RegisteredDevice:
        """As the API shows it."""
        one = self.identity
        return RegisteredDevice(
            one.store, one.device, one.generation, one.user, one.user, self.media, self.table,
            self.created_at,
        )  # fmt: skip


class Registrations:
    """Registers, changes and removes devices.

    Args:
        documents: those that it changes.
        keys: passwords are derived with these; None: no device can be registered.
    """

    def __init__(
        self,
        documents: DocumentAccess,
        keys: DeviceKeys | None,
    ) -> None:
        self._documents = documents
        self._keys = keys

    async def put(
        self, store_id: str, device_id: str, wanted: RegisterDevice
    ) -> tuple[Registration, str | None, bool]:
        """Register a device, or change its registration.

        Args:
            store_id: the store of the device.
            device_id: the device's name in that store.
            wanted: what is asked for; of a registered device, what is left out stays as it is.

        Returns:
            The device, its password if it has a new one, and whether the device is new.

        Raises:
            ForbiddenError: this installation has no device keys.
            TooManyDevicesError: the store has no room for another one.
            UnavailableError: Postgres does not answer.
        """
        keys = self._keys
        if keys is None:
            raise ForbiddenError("this installation has no keys of devices: YABAM_DEVICES_KEYS")
        return await despite_locks(lambda: self._put(keys, store_id, device_id, wanted))

    async def _put(
        self, keys: DeviceKeys, store_id: str, device_id: str, wanted: RegisterDevice
    ) -> tuple[Registration, str | None, bool]:
        channels: Sequence[str] = []
        async with transaction(self._documents.pool) as connection:
            await connection.execute(_ALONE)
            before = await find(connection, store_id, device_id)
            is_new = before is None or before.removed_at is not None
            if is_new:
                await _check_room(connection, store_id, is_known=before is not None)
            after = _changed(before, wanted, keys.newest)
            (row,) = await connection.fetch(_PUT, store_id, device_id, *after)
            found = _registration(row)
            begins = before is None or before.identity != found.identity
            if begins:
                channels = await self._begin_anew(connection, found.identity.channel)
        self._documents.committed(channels)
        password = keys.password(found.identity, found.kid) if begins else None
        return found, password, is_new

    async def remove(self, store_id: str, device_id: str) -> None:
        """End a registration: its documents are deleted, its commands end.

        Raises:
            NotFoundError: there is none.
            UnavailableError: Postgres does not answer.
        """
        await despite_locks(lambda: self._remove(store_id, device_id))

    async def _remove(self, store_id: str, device_id: str) -> None:
        channel = Channel("device", store_id, device_id)
        async with transaction(self._documents.pool) as connection:
            await connection.execute(_ALONE)
            if not await connection.fetch(_REMOVE, store_id, device_id):
                raise NotFoundError(f"no device {device_id} is registered in store {store_id}")
            for statement in (*_FORGET, _FORGET_PICTURE, _END_COMMANDS):
                await connection.execute(statement, store_id, device_id)
            keys = [key for (key,) in await connection.fetch(_KEYS, str(channel))]
            changes = [SystemChange(channel, key, lambda _value, _now: None) for key in keys]
            defined = self._documents.rules.definitions
            channels = await change_documents(
                connection,
                [one for one in changes if defined.of(channel.kind, one.key) is not None],
                self._documents.rules,
            )
            await connection.execute(_FORGET_MAC, store_id, device_id)
        self._documents.committed(channels)

    async def list(self, store_id: str) -> list[RegisteredDevice]:
        """The registered devices of a store.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        with mapped_errors():
            rows = await self._documents.pool.fetch(_LIST, store_id)
        return [_registration(row).shown for row in rows]

    async def get(self, store_id: str, device_id: str) -> RegisteredDevice:
        """A registered device.

        Raises:
            NotFoundError: there is none.
            UnavailableError: Postgres does not answer.
        """
        with mapped_errors():
            found = await find(self._documents.pool, store_id, device_id)
        if found is None or found.removed_at is not None:
            raise NotFoundError(f"no device {device_id} is registered in store {store_id}")
        return found.shown

    async def is_current(self, identity: Identity, password: str) -> bool:
        """Whether it is the password of the generation that may connect now.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        # First checked without the database, so that guessed passwords put no load on it.
        kid = None if self._keys is None else self._keys.kid_of(identity, password)
        if kid is None:
            return False
        with mapped_errors():
            found = await find(self._documents.pool, identity.store, identity.device)
        return (
            found is not None
            and found.removed_at is None
            and (found.identity, found.kid) == (identity, kid)
        )

    async def _begin_anew(self, connection: Connection, channel: Channel) -> Sequence[str]:
        """Forget the message numbers of the previous generation, which is no longer in use."""
        for statement in _FORGET:
            await connection.fetch(statement, channel.root, channel.part)
        gone = SystemChange(channel, "status", offline_value)
        channels = await change_documents(connection, [gone], self._documents.rules)
        await connection.fetch(_FORGET_MAC, channel.root, channel.part)
        return channels


async def find(connection: Connection, store_id: str, device_id: str) -> Registration | None:
    """The row of a device, a removed one's too; None: there never was one.

    Args:
        connection: with or without a transaction: nothing is locked.
        store_id: the store of the device.
        device_id: which device.
    """
    rows = await connection.fetch(_FIND, store_id, device_id)
    return _registration(rows[0]) if rows else None


async def find_kept(connection: Connection, store_id: str, device_id: str) -> Registration | None:
    """The registration, locked until the transaction ends; None: there is none.

    Args:
        connection: with a transaction.
        store_id: the store of the device.
        device_id: which device.
    """
    rows = await connection.fetch(_KEPT, store_id, device_id)
    found = _registration(rows[0]) if rows else None
    return found if found is not None and found.removed_at is None else None


async def _check_room(connection: Connection, store_id: str, *, is_known: bool) -> None:
    """Whether the store may have one more device; `is_known`: its name has a row already.

    The row of a removed device stays, so that no generation is used twice.
    """
    ((devices, names),) = await connection.fetch(_COUNT, store_id)
    if devices >= STORE_DEVICES:
        raise TooManyDevicesError(f"a store may have {STORE_DEVICES} devices")
    if names >= STORE_DEVICE_NAMES and not is_known:
        raise TooManyDevicesError(
            f"a store may have named {STORE_DEVICE_NAMES} devices: use the name of a removed device"
        )


def _changed(
    before: Registration | None, wanted: RegisterDevice, kid: str
) -> tuple[int, str, list[str], str | None]:
    """Generation, key, media types and table after a registration."""
    media = [] if before is None or before.removed_at is not None else before.media
    table = None if before is None or before.removed_at is not None else before.table
    if wanted.media is not UNSET:
        media = wanted.media
    if wanted.table is not UNSET:
        table = wanted.table
    if before is None:
        return 1, kid, media, table
    if wanted.rotate or before.removed_at is not None:
        return before.identity.generation + 1, kid, media, table
    return before.identity.generation, before.kid, media, table


def _registration(row: asyncpg.Record) -> Registration:
    store, device, generation, kid, media, table, created_at, removed_at, now = row
    identity = Identity(store, device, generation)
    return Registration(identity, kid, list(media), table, created_at, removed_at, now)
