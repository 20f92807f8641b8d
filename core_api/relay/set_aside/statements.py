"""Statements for the events that could not be published: list them, and try them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core_api.postgres.pool import Pool, mapped_errors

_LIST: Final = """
SELECT id, shard, store_id, channels, seqs, reason, at FROM outbox_set_aside ORDER BY id LIMIT $1
"""

# One statement, so the row is always in one of the two tables. It gets a new id; readers that have
# the event drop it by its seq.
_RETRY: Final = """
WITH again AS (
    DELETE FROM outbox_set_aside WHERE id = ANY($1::bigint[])
    RETURNING shard, store_id, channels, seqs, committed_after
)
INSERT INTO outbox (shard, store_id, channels, seqs, committed_after)
SELECT shard, store_id, channels, seqs, committed_after FROM again
"""


@dataclass(frozen=True, slots=True)
class SetAsideEvent:
    """An event that Kafka will never take."""

    id: int
    shard: int
    store_id: str | None
    """None: of a channel that belongs to no store."""
    channels: tuple[str, ...]
    seqs: tuple[int, ...]
    reason: str
    at: datetime
    """When it was set aside, by the database's clock."""


async def list_set_aside(pool: Pool, limit: int) -> list[SetAsideEvent]:
    """The oldest of them.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        rows = await pool.fetch(_LIST, limit)
    return [
        SetAsideEvent(row[0], row[1], row[2], tuple(row[3]), tuple(row[4]), row[5], row[6])
        for row in rows
    ]


async def retry_set_aside(pool: Pool, ids: Sequence[int]) -> int:
    """Put these back into the outbox. Returns the number put back.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        done = await pool.execute(_RETRY, list(ids))
    return int(done.rpartition(" ")[2])
