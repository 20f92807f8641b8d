"""What is forgotten, and how: in small batches, so that no lock is held for long."""

from __future__ import annotations

from typing import Final

from core_api.storage.pool import Pool, mapped_errors

# Old rows are found by the BRIN index over their time. The counter rows are locked sorted, as
# writers do, and a channel that is being written to is skipped until the next time. What the relay
# has still to publish is not forgotten, however old it is. The floor moves
# in the transaction that deletes, so a reader sees both or neither.
_TRIM_LOG: Final = """
WITH old AS (
    SELECT channel, max(seq) AS seq FROM (
        SELECT channel, seq FROM channel_log
        WHERE occurred_at < least(
            now() - make_interval(secs => $1),
            (SELECT committed_after FROM outbox ORDER BY id LIMIT 1)
        ) LIMIT $2
    ) AS batch GROUP BY channel
), locked AS (
    SELECT h.channel, o.seq FROM channel_heads h JOIN old o ON o.channel = h.channel
    ORDER BY h.channel FOR UPDATE OF h SKIP LOCKED
), floors AS (
    UPDATE channel_heads h SET floor = greatest(h.floor, l.seq)
    FROM locked l WHERE h.channel = l.channel
    RETURNING h.channel, h.floor
)
DELETE FROM channel_log c USING floors f WHERE c.channel = f.channel AND c.seq <= f.floor
"""

# A range scan over the index on created_at.
_TRIM_KEYS: Final = """
DELETE FROM idempotency_keys WHERE (subject, key) IN (
    SELECT subject, key FROM idempotency_keys
    WHERE created_at < now() - make_interval(secs => $1) ORDER BY created_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
"""


async def trim_log(pool: Pool, older_than_s: float, batch: int) -> int:
    """Forget about `batch` events older than `older_than_s`; how many it were.

    A client whose cursor is below a channel's floor is answered with a reset and a snapshot.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    return await _run(pool, _TRIM_LOG, older_than_s, batch)


async def trim_keys(pool: Pool, older_than_s: float, batch: int) -> int:
    """Forget at most `batch` idempotency keys older than `older_than_s`; how many it were.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    return await _run(pool, _TRIM_KEYS, older_than_s, batch)


async def _run(pool: Pool, statement: str, older_than_s: float, batch: int) -> int:
    with mapped_errors():
        tag = await pool.execute(statement, older_than_s, batch)
    return int(tag.rpartition(" ")[2])
