"""The newest picture of a device."""

from __future__ import annotations

from typing import Final, NamedTuple

from core_api.errors import NotFoundError
from core_api.postgres.pool import Pool, mapped_errors

_READ: Final = """
SELECT media_type, sha256, picture FROM device_snapshots WHERE store_id = $1 AND device_id = $2
"""


class Picture(NamedTuple):
    """A picture as it was sent."""

    media_type: str
    sha256: str
    content: bytes


async def read_snapshot(pool: Pool, store_id: str, device_id: str) -> Picture:
    """The newest picture.

    Args:
        pool: the database.
        store_id: the store of the device.
        device_id: which device.

    Raises:
        NotFoundError: there is none.
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        row = await pool.fetchrow(_READ, store_id, device_id)
    if row is None:
        raise NotFoundError(f"there is no picture of device {device_id} of store {store_id}")
    return Picture(*row)
