"""Where the database comes from: the signs that it is not the one that its epoch began in.

The identity is that of the cluster, its timeline and the database in it. A dump that is loaded
anywhere makes another database; a recovery to a point in time and a promoted replica are on another
timeline. A file system's snapshot put back, and a dump loaded over the tables of the same database,
leave it as it was: those only what was published can show (`core_api/restore.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from core_api.restore import Lineage, Published

START_EPOCH: Final = """
UPDATE epoch SET epoch = :epoch, started_at = now(), born_in = concat_ws('/',
    (SELECT system_identifier FROM pg_control_system()),
    (SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT oid FROM pg_database WHERE datname = current_database()))
"""

_LINEAGE: Final = """
SELECT epoch, born_in, concat_ws('/',
    (SELECT system_identifier FROM pg_control_system()),
    (SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT oid FROM pg_database WHERE datname = current_database()))
FROM epoch
"""

# One probe of channel_heads and one of channel_log per channel.
_STORED: Final = """
SELECT q.channel, h.head, h.floor, l.order_id::text, l.order_version
FROM unnest($1::text[], $2::bigint[]) AS q(channel, seq)
     LEFT JOIN channel_heads h ON h.channel = q.channel
     LEFT JOIN channel_log l ON l.channel = q.channel AND l.seq = q.seq
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database has where something was published."""

    head: int
    floor: int
    order: tuple[str, int] | None
    """The order and its version; None: no such event."""


async def read_lineage(database_url: str) -> Lineage:
    """The database's epoch, and its identity then and now."""
    connection = await asyncpg.connect(database_url)
    try:
        row = await connection.fetchrow(_LINEAGE)
    finally:
        await connection.close()
    return Lineage("", None, "") if row is None else Lineage(*row)


async def read_stored(database_url: str, published: Mapping[str, Published]) -> dict[str, Stored]:
    """What the database has at the newest published event of each channel."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            _STORED, list(published), [newest.seq for newest in published.values()]
        )
    finally:
        await connection.close()
    return {
        channel: Stored(head or 0, floor or 0, None if order is None else (order, version))
        for channel, head, floor, order, version in rows
    }
