"""Printers in Postgres: which agent holds each, for how long, and its position in the store's log.

The maker of jobs, and every step of a job, lock the printer's row before its documents, and these
before the counter rows. The row that lets a Star printer be called is written last, after the
counter rows (docs/architecture.md, "Locks").
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from core_api.edits.reading import Connection
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.trim_around_damage import trim_by_age
from core_api.printing.planning import LogEvent
from core_api.system_edits.locked_rows import LockedRow

HELD_S: Final = 60.0
"""How long a silent agent keeps its printer, in seconds."""

# By the partial index on printing's documents. A new printer begins at the time of the document
# that names it: it prints no earlier order. A damaged document, which is no longer JSON, does not
# change its store's printers.
_ENTER: Final = """
WITH changed AS MATERIALIZED (
    SELECT substr(channel, 6) AS store_id, value, updated_at FROM documents
    WHERE key = 'printing' AND channel LIKE 'team:%' AND updated_at > $1
      AND (value IS NULL OR value IS JSON OBJECT)
), wanted AS MATERIALIZED (
    SELECT c.store_id, k.device_id, c.updated_at
    FROM changed c, LATERAL jsonb_object_keys((c.value::jsonb)->'printers') AS k(device_id)
    WHERE c.value IS NOT NULL
), left_out AS (
    UPDATE printers p SET seq = NULL, waiting_since = NULL FROM changed c
    WHERE p.store_id = c.store_id AND p.seq IS NOT NULL
      AND NOT EXISTS (SELECT FROM wanted w
                      WHERE w.store_id = p.store_id AND w.device_id = p.device_id)
    RETURNING 1
), entered AS (
    INSERT INTO printers (store_id, device_id, seq)
    SELECT w.store_id, w.device_id, coalesce(
        (SELECT min(l.seq) - 1 FROM channel_log l
         WHERE l.channel = 'store:' || w.store_id AND l.occurred_at > w.updated_at),
        (SELECT h.head FROM channel_heads h WHERE h.channel = 'store:' || w.store_id), 0)
    FROM wanted w
    WHERE NOT EXISTS (SELECT FROM printers p WHERE p.store_id = w.store_id
                      AND p.device_id = w.device_id AND p.seq IS NOT NULL)
    ORDER BY w.store_id, w.device_id
    ON CONFLICT (store_id, device_id) DO UPDATE SET seq = excluded.seq
    RETURNING 1
)
SELECT now(), (SELECT count(*) FROM left_out), (SELECT count(*) FROM entered)
"""

# Probes of primary keys, only for devices that print. Where a printer's channel is full, its jobs
# wait in the log until there is room.
_BEHIND: Final = """
SELECT p.store_id, p.device_id FROM printers p
     JOIN channel_heads h ON h.channel = 'store:' || p.store_id AND h.head > p.seq
     LEFT JOIN channel_heads d ON d.channel = 'device:' || p.store_id || '/' || p.device_id
WHERE coalesce(d.open_orders, 0) < $1 AND coalesce(d.open_bytes, 0) < $2
  AND (p.store_id, p.device_id) NOT IN (SELECT * FROM unnest($4::text[], $5::text[]))
ORDER BY p.store_id, p.device_id LIMIT $3
"""

_STORES: Final = "SELECT DISTINCT store_id FROM printers WHERE seq IS NOT NULL"

# A printer that another process has locked is skipped.
_LOCK: Final = """
SELECT p.seq, now() AS at, d.value, coalesce(h.open_orders, 0) AS jobs,
       coalesce(h.open_bytes, 0) AS size
FROM printers p
     LEFT JOIN documents d ON d.channel = 'team:' || p.store_id AND d.key = 'printing'
     LEFT JOIN channel_heads h ON h.channel = 'device:' || p.store_id || '/' || p.device_id
WHERE p.store_id = $1 AND p.device_id = $2 AND p.seq IS NOT NULL
FOR NO KEY UPDATE OF p SKIP LOCKED
"""

# A range of the primary key, and for each a probe of the index of orders' events.
_EVENTS: Final = """
SELECT l.seq, l.body, b.body AS before
FROM channel_log l
     LEFT JOIN channel_log b ON b.channel LIKE 'store:%' AND b.order_id = l.order_id
                            AND b.order_version = l.order_version - 1 AND b.channel = l.channel
WHERE l.channel = $1 AND l.seq > $2 ORDER BY l.seq LIMIT $3
"""

# A Star printer that is called over MQTT is called at once.
_RING: Final = """
UPDATE star_printers SET rung_at = NULL
WHERE store_id = $1 AND device_id = $2 AND rung_at IS NOT NULL
"""

_MOVE: Final = """
UPDATE printers SET seq = $3,
    waiting_since = CASE WHEN $4::bool THEN coalesce(waiting_since, now()) ELSE waiting_since END
WHERE store_id = $1 AND device_id = $2
"""

# A row that was renewed lately is not written: so most polls write nothing.
_HELD_STILL: Final = """
SELECT 1 FROM printers
WHERE store_id = $1 AND device_id = $2 AND agent = $3
  AND held_until > now() + make_interval(secs => $4::float8 * 2 / 3)
"""
_HOLD: Final = """
INSERT INTO printers AS p (store_id, device_id, agent, held_until)
VALUES ($1, $2, $3, now() + make_interval(secs => $4))
ON CONFLICT (store_id, device_id) DO UPDATE SET agent = excluded.agent,
    held_until = excluded.held_until
WHERE p.agent IS NULL OR p.agent = excluded.agent OR p.held_until < now()
RETURNING 1
"""
_LET_GO: Final = """
UPDATE printers SET agent = NULL, held_until = NULL
WHERE store_id = $1 AND device_id = $2 AND agent = $3
"""

# Rows that another process has locked at the same time are skipped.
_SILENT: Final = """
UPDATE printers p SET agent = NULL, held_until = NULL
FROM (
    SELECT store_id, device_id FROM printers WHERE held_until < now()
    ORDER BY store_id, device_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
) AS s
WHERE p.store_id = s.store_id AND p.device_id = s.device_id
RETURNING p.store_id, p.device_id, EXISTS (
    SELECT FROM device_presence d
    WHERE d.store_id = p.store_id AND d.device_id = p.device_id AND d.online
)
"""

_HOLDER: Final = """
SELECT agent = $3 AND held_until > now() FROM printers WHERE store_id = $1 AND device_id = $2
FOR NO KEY UPDATE
"""

_DOCUMENT: Final = """
SELECT channel, key, version, value, schema, made_at, now() FROM documents
WHERE channel = $1 AND key = $2
FOR NO KEY UPDATE
"""
_VALUE: Final = "SELECT value FROM documents WHERE channel = $1 AND key = $2"

# A range of the primary key; a channel holds a few jobs that are not done.
_JOBS: Final = """
SELECT channel, key, version, value, schema, made_at, now() FROM documents
WHERE channel = $1 AND key >= 'print.' AND key < 'print/' AND value IS NOT NULL
UNION ALL
SELECT '', '', 0, NULL, 0, now(), now()
"""

_EPOCH_BEGAN: Final = "SELECT started_at FROM epoch"
_IS_JOB: Final = "SELECT 1 FROM documents WHERE channel = $1 AND key = $2"

# The jobs that an agent may take without a person's request, as in `Job.is_ready`. A damaged one,
# which is no longer JSON, is none of them: it must not hold up the others of its printer.
_EARLIER: Final = """
SELECT 1 FROM documents,
    LATERAL (SELECT CASE WHEN value IS JSON OBJECT THEN value::jsonb END AS job) AS v
WHERE channel = $1 AND key >= 'print.' AND key < 'print/' AND value IS NOT NULL
  AND ((job->>'seq')::bigint, (job->>'copy')::bigint) < ($2::bigint, $3::bigint)
  AND (job->>'state' = 'queued'
       OR (job->>'state' IN ('sent', 'doubtful') AND job->>'waits' = 'false'))
LIMIT 1
"""

# A damaged job counts as waiting: a person has to look at it.
_COUNT_WAITING: Final = """
UPDATE printers p SET waiting_since = (
    SELECT min(d.made_at) FROM documents d
    WHERE d.channel = 'device:' || p.store_id || '/' || p.device_id
      AND d.key >= 'print.' AND d.key < 'print/' AND d.value IS NOT NULL
      AND CASE WHEN d.value IS JSON OBJECT
          THEN (d.value::jsonb)->>'state' IS DISTINCT FROM 'done' ELSE true END
)
WHERE p.store_id = $1 AND p.device_id = $2 AND p.waiting_since IS NOT NULL
"""

_WAITING: Final = """
SELECT count(*) FROM printers
WHERE waiting_since < now() - make_interval(secs => $1) AND seq IS NOT NULL
"""


class LockedPrinter(Struct, frozen=True):
    """A printer's row, locked, and the data for making its jobs."""

    seq: int
    now: datetime
    printing: str | None
    """The store's document; None: it was deleted."""
    jobs: int
    """How many documents are in its channel."""
    size: int
    """The bytes of them that a snapshot shows."""


async def enter_printers(pool: Pool, since: datetime) -> datetime:
    """Update the printers of documents changed since. Returns the database's time.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        row = await pool.fetchrow(_ENTER, since)
    at: datetime = row[0] if row else since
    return at


async def printing_stores(pool: Pool) -> frozenset[str]:
    """The stores that have a printer; raises as `enter_printers`."""
    with mapped_errors():
        return frozenset(row[0] for row in await pool.fetch(_STORES))


async def printers_behind(
    pool: Pool, max_jobs: int, max_bytes: int, limit: int, but: set[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Printers, as (store, device), whose store's log has events that they have not processed.

    Args:
        pool: the database.
        max_jobs: not those with so many jobs.
        max_bytes: not those whose jobs have so many bytes.
        limit: how many printers at most.
        but: printers to leave out.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    stores, devices = [one[0] for one in but], [one[1] for one in but]
    with mapped_errors():
        rows = await pool.fetch(_BEHIND, max_jobs, max_bytes, limit, stores, devices)
    return [(row[0], row[1]) for row in rows]


async def lock_printer(
    connection: Connection, store_id: str, device_id: str
) -> LockedPrinter | None:
    """Lock the printer's row; None: another process has locked it, or it no longer prints.

    Args:
        connection: with a transaction.
        store_id: the store.
        device_id: its printer.
    """
    rows = await connection.fetch(_LOCK, store_id, device_id)
    return LockedPrinter(*rows[0]) if rows else None


async def events_after(
    connection: Connection, store_id: str, seq: int, limit: int
) -> list[LogEvent]:
    """The next events of a store, in order.

    Args:
        connection: a connection or a pool.
        store_id: the store.
        seq: only those after this one.
        limit: how many at most.
    """
    rows = await connection.fetch(_EVENTS, f"store:{store_id}", seq, limit)
    return [LogEvent(*row) for row in rows]


async def move_printer(
    connection: Connection, store_id: str, device_id: str, seq: int, *, has_jobs: bool
) -> None:
    """Store up to where the printer's jobs are made, and whether there are new ones.

    Args:
        connection: in the transaction that makes the jobs.
        store_id: of the printer.
        device_id: its name.
        seq: of the store's log, up to which its jobs are made.
        has_jobs: whether there are new ones.
    """
    await connection.fetch(_MOVE, store_id, device_id, seq, has_jobs)
    if has_jobs:
        await connection.fetch(_RING, store_id, device_id)


async def hold_printer(
    pool: Pool | Connection, store_id: str, device_id: str, agent: str, s: float
) -> bool:
    """Assign the printer to the agent for `s` seconds; False: another agent holds it.

    Args:
        pool: the database.
        store_id: of the printer.
        device_id: its name.
        agent: the name of the agent.
        s: how many seconds.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        if await pool.fetch(_HELD_STILL, store_id, device_id, agent, s):
            return True
        return bool(await pool.fetch(_HOLD, store_id, device_id, agent, s))


async def let_go_printer(pool: Pool, store_id: str, device_id: str, agent: str) -> None:
    """Release the printer, if the agent holds it; raises as `hold_printer`.

    Args:
        pool, store_id, device_id, agent: as for `hold_printer`.
    """
    with mapped_errors():
        await pool.execute(_LET_GO, store_id, device_id, agent)


async def take_silent(connection: Connection, limit: int) -> tuple[int, list[tuple[str, str]]]:
    """How many printers have lost their holder, and those of them, as (store, device), that do not
    report over MQTT. Each is returned once."""
    rows = await connection.fetch(_SILENT, limit)
    return len(rows), [(row[0], row[1]) for row in rows if not row[2]]


async def is_held_by(connection: Connection, store_id: str, device_id: str, agent: str) -> bool:
    """Whether the agent holds the printer, whose row is locked until the transaction ends.

    Args:
        connection: with a transaction.
        store_id: the store.
        device_id: its printer.
        agent: the name of the agent.
    """
    rows = await connection.fetch(_HOLDER, store_id, device_id, agent)
    return bool(rows and rows[0][0])


async def lock_document(connection: Connection, channel: str, key: str) -> LockedRow | None:
    """The document's row, locked until the transaction ends; None: there never was one.

    Args:
        connection: with a transaction.
        channel: the document's channel, as text.
        key: the document's key in that channel.
    """
    rows = await connection.fetch(_DOCUMENT, channel, key)
    return LockedRow(*rows[0]) if rows else None


async def read_value(connection: Connection, channel: str, key: str) -> str | None:
    """A document's value as JSON, not locked; None: there is none.

    Args:
        connection: a connection or a pool.
        channel, key: as for `lock_document`.
    """
    rows = await connection.fetch(_VALUE, channel, key)
    return rows[0][0] if rows else None


async def read_jobs(connection: Connection, channel: str) -> tuple[list[LockedRow], datetime]:
    """The jobs of a printer, not locked, and the time."""
    rows = await connection.fetch(_JOBS, channel)
    return [LockedRow(*row) for row in rows if row[1]], rows[-1][6]


async def epoch_began(connection: Connection) -> datetime:
    """When the present epoch began: jobs of older events may have been printed before a restore."""
    ((at,),) = await connection.fetch(_EPOCH_BEGAN)
    began: datetime = at
    return began


async def is_job(connection: Connection, channel: str, key: str) -> bool:
    """Whether there is such a job, or was one lately.

    Args:
        connection: a connection or a pool.
        channel: the printer's, as text.
        key: the document's that the job would be.
    """
    return bool(await connection.fetch(_IS_JOB, channel, key))


async def has_earlier_job(connection: Connection, channel: str, seq: int, copy: int) -> bool:
    """Whether the printer must print another job before the one of this seq and copy.

    Args:
        connection: a connection or a pool.
        channel: the printer's, as text.
        seq: of the order's event that the job was made of.
        copy: from 1 to the number of copies.
    """
    return bool(await connection.fetch(_EARLIER, channel, seq, copy))


async def count_waiting(connection: Connection, store_id: str, device_id: str) -> None:
    """Update since when a job of the printer waits, after a job has changed.

    Args:
        connection: with the transaction that has changed the job.
        store_id: the store.
        device_id: its printer.
    """
    await connection.fetch(_COUNT_WAITING, store_id, device_id)
    await connection.fetch(_RING, store_id, device_id)


async def printers_waiting(pool: Pool, longer_than_s: float) -> int:
    """How many printers have a job that waits so long; raises as `hold_printer`."""
    with mapped_errors():
        count: int = await pool.fetchval(_WAITING, longer_than_s)
    return count


# A job's name is never used again, so its deleted row is not needed.
trim_jobs: Final = trim_by_age(
    "documents", "channel, key", "updated_at", "value IS NULL AND key LIKE 'print.%'"
)
"""Deletes the rows of jobs that ended long ago."""
