"""The statements that read one order, and what an idempotency key has kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core_api.orders.channel_entries import Views
from core_api.orders.idempotency import KeptResponse
from core_api.postgres.pool import Pool, mapped_errors

# Two probes of primary keys, no lock: the order as it stands, and the key's answer if it has one.
_READ: Final = """
SELECT o.owner_view, o.table_view, k.request_hash, k.status, k.order_id, k.body,
       (SELECT epoch FROM epoch) AS epoch
FROM (SELECT 1) AS one
     LEFT JOIN orders o ON o.id = $1
     LEFT JOIN idempotency_keys k ON k.subject = $2 AND k.key = $3
"""


@dataclass(frozen=True, slots=True)
class OrderRead:
    """An order as it stood at one moment."""

    views: Views | None
    """None: there was no such order."""
    kept: KeptResponse | None
    """The answer of an idempotency key; None: it had none yet."""
    epoch: str
    """The epoch of the order's version."""


async def read_order(
    pool: Pool, order_id: str | None, subject: str | None = None, key: str | None = None
) -> OrderRead:
    """The order as it stands, and what an idempotency key has kept.

    Args:
        pool: connections to Postgres.
        order_id: which order; None: a new one is being placed.
        subject: whose key.
        key: the request's; None: it has none.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        (row,) = await pool.fetch(_READ, UUID(order_id) if order_id else None, subject, key)
    views = None if row["owner_view"] is None else Views(row["owner_view"], row["table_view"])
    kept = None
    if row["request_hash"] is not None:
        kept = KeptResponse(row["request_hash"], row["status"], str(row["order_id"]), row["body"])
    return OrderRead(views, kept, row["epoch"])
