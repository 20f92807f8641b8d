"""The statements of retention: they delete in small batches, so that no lock is held for long.

Locked rows are left for later (docs/architecture.md, "Locks").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from core_api.documents.definitions import Definitions
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.trim_around_damage import ALL_TIME_S, UNDELETABLE, trim_by_age
from core_api.postgres.unreadable_rows import unreadable_rows
from server_common.logs import get_logger

_log = get_logger()

# Old rows are found by the BRIN index over their time, which is by Core's clock; unpublished events
# are kept by their seq in the channel, whatever their time. The counter rows are locked sorted, as
# writers do; a channel that is being written to is left for later, and so is one without rows to
# delete: both are returned, so that a round can go on with the others. The floor moves in the
# transaction that deletes, so a reader sees both or neither.
_TRIM_LOG: Final = """
WITH old AS MATERIALIZED (
    SELECT channel, max(seq) AS seq FROM (
        SELECT channel, seq FROM channel_log
        WHERE occurred_at < now() - make_interval(secs => $1) AND channel <> ALL($3::text[])
          AND ($4::text IS NULL OR channel = $4)
        LIMIT $2
    ) AS batch GROUP BY channel
), unsent AS MATERIALIZED (
    SELECT u.channel, min(u.seq) AS seq FROM outbox o, unnest(o.channels, o.seqs) AS u(channel, seq)
    WHERE EXISTS (SELECT FROM old)
    GROUP BY u.channel
), wanted AS (
    SELECT o.channel, least(o.seq, u.seq - 1) AS seq
    FROM old o LEFT JOIN unsent u ON u.channel = o.channel
), locked AS (
    SELECT h.channel, w.seq FROM channel_heads h JOIN wanted w ON w.channel = h.channel
    WHERE w.seq > h.floor
    ORDER BY h.channel FOR UPDATE OF h SKIP LOCKED
), floors AS (
    UPDATE channel_heads h SET floor = greatest(h.floor, l.seq)
    FROM locked l WHERE h.channel = l.channel
    RETURNING h.channel, h.floor
), gone AS (
    DELETE FROM channel_log c USING floors f WHERE c.channel = f.channel AND c.seq <= f.floor
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM old),
       ARRAY(SELECT o.channel FROM old o JOIN wanted w ON w.channel = o.channel
             WHERE w.seq < o.seq OR o.channel NOT IN (SELECT channel FROM floors))
"""
_OLD_CHANNELS: Final = """
SELECT DISTINCT channel FROM (
    SELECT channel FROM channel_log
    WHERE occurred_at < now() - make_interval(secs => $1) AND channel <> ALL($3::text[])
    LIMIT $2
) AS batch
"""
_BATCH: Final = 200
"""Events deleted at once: an order whose channel's row is locked waits for so many deletes."""


# The client's row is locked as by its edits, so none of them finds it half deleted.
_TRIM_CLIENTS: Final = """
WITH gone AS (
    DELETE FROM edit_clients WHERE client IN (
        SELECT client FROM edit_clients
        WHERE seen_at < now() - make_interval(secs => $1)
          AND seen_at >= now() - make_interval(secs => $3) ORDER BY seen_at LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
    RETURNING client
), outcomes AS (
    DELETE FROM edit_outcomes o USING gone g WHERE o.client = g.client
)
SELECT count(*) FROM gone
"""
CLIENTS_KEPT_S: Final = 90 * 86_400.0


async def trim_log_round(
    pool: Pool,
    older_than_s: float,
    batch: int = _BATCH,
    left: Callable[[str], None] = lambda _channel: None,
) -> int:
    """Delete all old events, batch by batch. Returns the number deleted.

    Left for the next round are channels that are being written to, unpublished events, and channels
    with an event whose deletion fails. A client whose cursor is below a channel's floor gets a
    reset and a snapshot.

    Args:
        pool: the database.
        older_than_s: the age in seconds.
        batch: about how many events at once.
        left: called for each channel with an event whose deletion fails.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    total, later = 0, set[str]()
    while True:
        try:
            gone, channels, stuck = await trim_log(pool, older_than_s, batch, later)
        except UNDELETABLE:
            gone, channels, stuck = await _trim_log_apart(pool, older_than_s, batch, later, left)
        total += gone
        later.update(stuck)
        if channels == 0:
            return total


async def _trim_log_apart(
    pool: Pool,
    older_than_s: float,
    batch: int,
    but: Collection[str],
    left: Callable[[str], None],
) -> tuple[int, int, Sequence[str]]:
    """Trim as `trim_log` does, one channel after the other.

    Raises:
        UnavailableError: Postgres does not answer, or cannot even list the channels.
    """
    with mapped_errors(), unreadable_rows():
        rows = await pool.fetch(_OLD_CHANNELS, older_than_s, batch, list(but))
    total, later = 0, list[str]()
    for (channel,) in rows:
        try:
            gone, _, stuck = await trim_log(pool, older_than_s, batch, but, channel)
        except UNDELETABLE as error:
            _log.error("log_not_trimmed", channel=channel, reason=str(error))
            left(channel)
            later.append(channel)
        else:
            total += gone
            later += stuck
    return total, len(rows), later


async def trim_log(
    pool: Pool,
    older_than_s: float,
    batch: int,
    but: Collection[str] = (),
    only: str | None = None,
) -> tuple[int, int, Sequence[str]]:
    """Delete about `batch` events older than `older_than_s`.

    Args:
        pool: connections to Postgres.
        older_than_s: the age, in seconds.
        batch: about how many.
        but: channels to leave out.
        only: this channel alone; None: any.

    Returns:
        How many events were deleted, how many channels had old ones, and which channels must wait.

    Raises:
        UnavailableError: Postgres does not answer.
        UnreadableRowError: one of the events is damaged.
    """
    with mapped_errors(), unreadable_rows():
        row = await pool.fetchrow(_TRIM_LOG, older_than_s, batch, list(but), only)
    return (row[0], row[1], row[2]) if row else (0, 0, ())


trim_keys: Final = trim_by_age("idempotency_keys", "subject, key", "created_at")
"""Deletes old idempotency keys."""


# Rows made for locking by an edit that was then refused or lost. A later edit makes them again.
trim_empty: Final = trim_by_age("documents", "channel, key", "updated_at", "version = 0")
"""Deletes old rows of documents that never existed."""


async def trim_clients(
    pool: Pool, older_than_s: float, batch: int, at_most_s: float = ALL_TIME_S
) -> int:
    """Delete clients of edits without a request for long, with their answers. Returns how many.

    A client that comes back later gets `edit-gap`, and starts with a new id.

    Args:
        pool: the database.
        older_than_s: those whose last request is so many seconds ago, or more.
        batch: how many at most.
        at_most_s: not those whose last request is more seconds ago.

    Raises:
        UnavailableError: Postgres does not answer.
        UnreadableRowError: one of the rows is damaged.
    """
    with mapped_errors(), unreadable_rows():
        gone: int = await pool.fetchval(_TRIM_CLIENTS, older_than_s, batch, at_most_s)
    return gone


def clients_kept_s(definitions: Definitions) -> float:
    """Seconds after which an inactive client is deleted. Pure.

    It is longer than any document's `max_age_s`: the old edits of a client that returns later are
    refused as `too-late`, so no edit with a time can be settled twice.
    """
    return max(CLIENTS_KEPT_S, *(float(one.max_age_s) for one in definitions.all), 0.0)
