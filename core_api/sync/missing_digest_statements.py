"""The statements that fill in a missing content digest.

A Core older than the content digest leaves `content_head` behind `head` when it writes an event.
The right digest is computed from a snapshot of the open orders, which may take long: meanwhile
every new event is XORed onto the column, so the difference between the right digest and the column
stays the same. The column is corrected by that difference, unless such an older Core has written
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from asyncpg import BitString

from client_sdk.contract.channel import Channel
from core_api.postgres.pool import Pool, mapped_errors

_BITS: Final = 128

# One snapshot: the column, and the open orders' views that it should be the digest of.
_READ: Final = """
SELECT h.content_digest, h.head - h.content_head,
       CASE WHEN $3::text IS NULL THEN ARRAY(
           SELECT o.owner_view FROM orders o
           WHERE o.store_id = $2 AND o.status NOT IN ('rejected', 'paid', 'cancelled')
       ) ELSE ARRAY(
           SELECT o.table_view FROM orders o
           WHERE o.store_id = $2 AND o.table_id = $3
             AND o.status NOT IN ('rejected', 'paid', 'cancelled')
       ) END
FROM channel_heads h WHERE h.channel = $1 AND h.content_head <> h.head
"""

# A row lock by primary key, for this statement alone.
_CORRECT: Final = """
UPDATE channel_heads
SET content_digest = content_digest # $2::bit(128), content_head = head
WHERE channel = $1 AND head - content_head = $3 AND content_head <> head
RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A channel without a valid content digest, as one snapshot saw it."""

    column: int
    """The value of the column."""
    behind: int
    """How many events no content digest was kept for."""
    orders: Sequence[str]
    """The open orders as the channel carries them."""


async def read_unknown(pool: Pool, channel: Channel) -> Unknown | None:
    """The channel; None: its content digest is known, or it has no events.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        rows = await pool.fetch(_READ, str(channel), channel.store_id, channel.table_id)
    if not rows:
        return None
    bits, behind, orders = rows[0]
    return Unknown(int.from_bytes(bits.bytes, "big"), behind, orders)


async def correct(pool: Pool, channel: Channel, seen: Unknown, digest: int) -> bool:
    """Store the right digest for the state that was read; False if it has changed since.

    Args:
        pool: the database.
        channel: without a valid content digest.
        seen: the state that was read.
        digest: the right one for that state.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    difference = BitString.from_int(seen.column ^ digest, _BITS)
    with mapped_errors():
        rows = await pool.fetch(_CORRECT, str(channel), difference, seen.behind)
    return bool(rows)
