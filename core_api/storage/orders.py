"""The statements that read one order, and what an idempotency key has kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core_api.storage.pool import Pool, mapped_errors


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer that an idempotency key has kept."""

    request_hash: bytes
    status: int
    order_id: str
    body: str


# Two probes of primary keys, no lock: the order as it stands, and the key's answer if it has one.
_READ: Final = """
SELECT o.owner_view, k.request_hash, k.status, k.order_id, k.body
FROM (SELECT 1) AS one
     LEFT JOIN orders o ON o.id = $1
     LEFT JOIN idempotency_keys k ON k.subject = $2 AND k.key = $3
"""


async def read_order(
    pool: Pool, order_id: str | None, subject: str | None = None, key: str | None = None
) -> tuple[str | None, Kept | None]:
    """The order's owner view as JSON (None: no such order), and the key's kept answer.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        (row,) = await pool.fetch(_READ, UUID(order_id) if order_id else None, subject, key)
    if row["request_hash"] is None:
        return row["owner_view"], None
    kept = Kept(row["request_hash"], row["status"], str(row["order_id"]), row["body"])
    return row["owner_view"], kept


# A range scan over the index on created_at, in small batches so that no lock is held for long.
_TRIM_KEYS: Final = """
DELETE FROM idempotency_keys WHERE (subject, key) IN (
    SELECT subject, key FROM idempotency_keys
    WHERE created_at < now() - make_interval(secs => $1) ORDER BY created_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
"""


async def trim_keys(pool: Pool, older_than_s: float, batch: int) -> int:
    """Forget at most `batch` idempotency keys older than `older_than_s`; how many it were.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        tag = await pool.execute(_TRIM_KEYS, older_than_s, batch)
    return int(tag.rpartition(" ")[2])
