"""Finds which of the rows that a write needs are locked by other transactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from core_api.orders.writes import OrderWrite
from core_api.postgres.pool import Pool, mapped_errors

# It waits for no lock, and releases its own at its end.
_HELD: Final = """
WITH free_heads AS MATERIALIZED (
    SELECT channel FROM channel_heads WHERE channel = ANY($1::text[])
    ORDER BY channel FOR NO KEY UPDATE SKIP LOCKED
), free_orders AS MATERIALIZED (
    SELECT id FROM orders WHERE id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
SELECT
    ARRAY(SELECT channel FROM channel_heads WHERE channel = ANY($1::text[])
          EXCEPT SELECT channel FROM free_heads),
    ARRAY(SELECT id FROM orders WHERE id = ANY($2::uuid[]) EXCEPT SELECT id FROM free_orders)
"""


async def held_by_others(pool: Pool, writes: Sequence[OrderWrite]) -> list[str | None]:
    """The lock that delays each write: its store's name or its order's id; None: neither.

    Raises:
        LockedError: a whole table is locked.
        UnavailableError: Postgres does not answer.
    """
    channels = {entry.channel for write in writes for entry in write.rows.entries}
    with mapped_errors():
        ((held_channels, held_orders),) = await pool.fetch(
            _HELD, list(channels), [UUID(write.order_id) for write in writes]
        )
    locked_channels = frozenset(held_channels)
    locked_orders = frozenset(str(order_id) for order_id in held_orders)
    return [_held(write, locked_channels, locked_orders) for write in writes]


def _held(
    write: OrderWrite, locked_channels: frozenset[str], locked_orders: frozenset[str]
) -> str | None:
    if any(entry.channel in locked_channels for entry in write.rows.entries):
        return write.store_id
    return write.order_id if write.order_id in locked_orders else None
