"""A device's own rows in a transaction: which messages have come, its connection, its picture."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core_api.devices.presence import DevicePresence
from core_api.devices.received import ReceivedNumbers as Numbers
from core_api.devices.received import take_of_boot
from core_api.devices.registrations import Registration
from core_api.edits.reading import Connection
from server_common.errors import DeviceMessageError

_READ_BOOTS: Final = """
SELECT boot, floor, newest, missing FROM device_received
WHERE store_id = $1 AND device_id = $2 AND generation = $3 ORDER BY boot FOR UPDATE
"""
_WRITE_BOOT: Final = """
INSERT INTO device_received (store_id, device_id, generation, boot, floor, newest, missing)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (store_id, device_id, generation, boot) DO UPDATE SET
    floor = excluded.floor, newest = excluded.newest, missing = excluded.missing
"""
_FORGET_BOOTS: Final = """
DELETE FROM device_received
WHERE store_id = $1 AND device_id = $2 AND generation = $3 AND boot = ANY($4::bigint[])
"""
_READ_PRESENCE: Final = """
SELECT connection, boot, at, online FROM device_presence
WHERE store_id = $1 AND device_id = $2 AND generation = $3 FOR UPDATE
"""
_WRITE_PRESENCE: Final = """
INSERT INTO device_presence
    (store_id, device_id, generation, connection, boot, at, online, heard_at, partition)
VALUES ($1, $2, $3, $4, $5, $6, $7, now(), $8)
ON CONFLICT (store_id, device_id) DO UPDATE SET
    generation = excluded.generation, connection = excluded.connection, boot = excluded.boot,
    at = excluded.at, online = excluded.online, heard_at = now(), partition = excluded.partition
"""
_STILL_THERE: Final = """
UPDATE device_presence SET heard_at = now(), partition = $3
WHERE store_id = $1 AND device_id = $2 AND online
"""
_WRITE_PICTURE: Final = """
INSERT INTO device_snapshots AS s (store_id, device_id, media_type, picture, sha256, at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (store_id, device_id) DO UPDATE SET
    media_type = excluded.media_type, picture = excluded.picture, sha256 = excluded.sha256,
    at = excluded.at
WHERE s.at < excluded.at OR s.sha256 <> excluded.sha256 AND s.at = excluded.at
RETURNING at
"""
_HEAD: Final = "SELECT head FROM channel_heads WHERE channel = $1"


class DeviceTransaction:
    """A device in a transaction.

    Args:
        connection: that of the transaction.
        device: its registration, which does not change meanwhile.
        partition: where its messages come from.
    """

    def __init__(self, connection: Connection, device: Registration, partition: int) -> None:
        self.connection = connection
        self.device = device
        self.channel = device.identity.channel
        self._partition = partition
        one = device.identity
        self._place = (one.store, one.device, one.generation)

    async def comes_first(self, boot: int, n: int) -> bool:
        """Note the number of a message; False: it has come before.

        Raises:
            DeviceMessageError: it is too old to tell.
        """
        rows = await self.connection.fetch(_READ_BOOTS, *self._place)
        boots = {row[0]: Numbers(row[1], row[2], tuple(row[3])) for row in rows}
        outcome, numbers, forgotten = take_of_boot(boots, boot, n)
        if outcome == "too-old":
            raise DeviceMessageError(
                f"message {n} of boot {boot} is too old to tell whether it was applied",
                "too-old",
            )
        if outcome == "applied":
            await self.connection.fetch(
                _WRITE_BOOT, *self._place, boot, numbers.floor, numbers.newest,
                list(numbers.missing),
            )  # fmt: skip
            if forgotten:
                await self.connection.fetch(_FORGET_BOOTS, *self._place, sorted(forgotten))
        return outcome == "applied"

    async def presence(self) -> DevicePresence | None:
        """What is known of its connection; the row is locked."""
        rows = await self.connection.fetch(_READ_PRESENCE, *self._place)
        return DevicePresence(*rows[0]) if rows else None

    async def keep_presence(self, presence: DevicePresence) -> None:
        """Note what is known of its connection."""
        await self.connection.fetch(
            _WRITE_PRESENCE, *self._place, presence.connection, presence.boot, presence.at,
            presence.online, self._partition,
        )  # fmt: skip

    async def is_still_there(self) -> None:
        """Note that it was heard."""
        await self.connection.fetch(_STILL_THERE, *self._place[:2], self._partition)

    async def keep_picture(
        self, media_type: str, picture: bytes, digest: str, at: datetime
    ) -> bool:
        """Keep its newest picture; False: it has this one or a newer one.

        Args:
            media_type: `image/jpeg` or `image/png`.
            picture: the file's content.
            digest: its SHA-256, in hexadecimal.
            at: when the gateway took it; not after now by the database's clock.
        """
        rows = await self.connection.fetch(
            _WRITE_PICTURE, *self._place[:2], media_type, picture, digest, at
        )
        return bool(rows)

    async def head_of(self, channel: str) -> int:
        """The newest seq of a channel."""
        rows = await self.connection.fetch(_HEAD, channel)
        return int(rows[0][0]) if rows else 0
