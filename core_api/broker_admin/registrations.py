"""The registered devices, as the broker's admin reads them from Postgres."""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

from core_api.postgres.pool import Pool, mapped_errors
from server_common.devices.identity import Identity

_ALL: Final = """
SELECT d.store_id, d.device_id, d.generation, d.kid, d.table_id, d.removed_at IS NULL, d.change,
    s.mac
FROM device_registrations d
     LEFT JOIN star_printers s ON s.store_id = d.store_id AND s.device_id = d.device_id
WHERE d.change > $1 ORDER BY d.change LIMIT $2
"""
PAGE: Final = 500


class Registered(Struct, frozen=True):
    """A device as it was registered, or removed, last."""

    identity: Identity
    kid: str
    table: str | None
    may_connect: bool
    """Whether it was not removed."""
    change: int
    star_mac: str | None = None
    """Of a Star printer that is called over MQTT."""


class RegisteredDevices(Protocol):
    """Where the admin reads devices."""

    async def after(self, change: int) -> list[Registered]:
        """The next `PAGE` devices that were changed after this number, in the order of their
        changes; raises `UnavailableError`."""


class StoredRegistrations:
    """Reads them from Postgres.

    Args:
        pool: the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def after(self, change: int) -> list[Registered]:
        """See `RegisteredDevices`."""
        with mapped_errors():
            rows = await self._pool.fetch(_ALL, change, PAGE)
        return [
            Registered(Identity(store, device, generation), kid, table, may_connect, number, mac)
            for store, device, generation, kid, table, may_connect, number, mac in rows
        ]
