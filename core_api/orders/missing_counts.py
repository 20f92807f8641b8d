"""Counts open orders again where a channel's counter row has no count.

The writing statement keeps the count beside the head. A Core of a version before that moves the
head alone, so a row whose `counted` is not its `head` has none, as after a migration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from client_sdk.contract.channel import parse_channel
from core_api.postgres.pool import Pool, transaction
from server_common.logs import get_logger

_log = get_logger()

# Sorted, as writers lock these rows. A locked one is left for the next write to it.
_LOCK: Final = """
SELECT channel FROM channel_heads WHERE channel = ANY($1::text[]) AND counted <> head
ORDER BY channel FOR UPDATE SKIP LOCKED
"""
# A statement of its own, once the rows are locked: a writer of these channels holds them until its
# commit, so this sees all changes up to the head and none beyond it.
_COUNT: Final = """
UPDATE channel_heads h SET open_orders = o.orders, open_bytes = o.bytes, counted = h.head
FROM unnest($1::text[], $2::text[], $3::text[]) AS q(channel, store_id, table_id), LATERAL (
    SELECT count(*) AS orders, coalesce(sum(v.bytes), 0) AS bytes FROM (
        SELECT octet_length(o.owner_view) AS bytes FROM orders o
        WHERE q.table_id IS NULL AND o.store_id = q.store_id
          AND o.status NOT IN ('rejected', 'paid', 'cancelled')
        UNION ALL
        SELECT octet_length(o.table_view) FROM orders o
        WHERE o.store_id = q.store_id AND o.table_id = q.table_id
          AND o.status NOT IN ('rejected', 'paid', 'cancelled')
    ) AS v
) AS o
WHERE h.channel = q.channel
"""


async def count_open(pool: Pool, channels: Sequence[str]) -> None:
    """Count the open orders of those channels that have no count.

    If this fails, nothing else does: the next write to the channel asks for it again.
    """
    try:
        async with transaction(pool, isolation="read_committed") as connection:
            found = [parse_channel(row[0]) for row in await connection.fetch(_LOCK, channels)]
            if found:
                rows = [(str(c), c.store_id, c.table_id) for c in found]
                await connection.execute(_COUNT, *zip(*rows, strict=True))
    except Exception as error:
        # Any error: raising it would report finished writes as failed.
        _log.warning("open_orders_not_counted", reason=f"{type(error).__name__}: {error}")
