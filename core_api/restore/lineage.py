"""The identity of the database, by which `epoch_guard.py` decides whether a new epoch begins.

It shows whether the database is the one that its epoch began in.

The identity is that of the cluster, its timeline and the database in it. A dump that is loaded
anywhere makes another database; a recovery to a point in time and a promoted standby are on another
timeline. A file system's snapshot put back, and a dump loaded over the tables of the same database,
leave it as it was. The former is detected by the end of the WAL, if a process has looked before;
the latter only by comparing published events (`core_api/restore/detection.py`).

A witness beside it shows how far the database has got, and whether commits waited for a standby.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

import asyncpg

from core_api.errors import UnavailableError
from core_api.restore.detection import (
    EventIdentity,
    LastPublished,
    Lineage,
    StoredLineage,
    Witness,
)

PostgresConnection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)

TIMELINE: Final = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
"""SQL for the timeline of a database that takes writes. It stands in the name of the log's file
from the promotion on; the control file has it only after the next checkpoint, which may be minutes
later."""
IDENTITY: Final = f"""
concat_ws('/',
    (SELECT system_identifier FROM pg_control_system()),
    CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
        ELSE {TIMELINE} END,
    (SELECT oid FROM pg_database WHERE datname = current_database()))
"""  # noqa: S608 (of constants only)
"""SQL for the identity of the database that answers."""

_START_EPOCH: Final = f"""
UPDATE epoch SET epoch = $1, started_at = now(), born_in = {IDENTITY}
"""  # noqa: S608
# These settings keep their values after the recovery.
_IS_CUT: Final = """concat(
    current_setting('recovery_target'), current_setting('recovery_target_lsn'),
    current_setting('recovery_target_name'), current_setting('recovery_target_time'),
    current_setting('recovery_target_xid')) <> ''"""
# The flushed position: a crash may undo bytes only written, though no commit is lost.
_FLUSHED: Final = """CASE WHEN NOT pg_is_in_recovery()
    THEN (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint END"""
_LINEAGE: Final = f"""
SELECT epoch, born_in, {IDENTITY}, extract(epoch FROM now())::float8,
       extract(epoch FROM w.at)::float8, extract(epoch FROM w.until)::float8, w.replicated,
       {_IS_CUT}, {_FLUSHED}
FROM epoch LEFT JOIN epoch_witness w ON true
"""  # noqa: S608
# The time is the start of the statement: all earlier commits are in this database.
_WITNESS: Final = f"""
WITH written AS (
    INSERT INTO epoch_witness AS w (at, until, replicated)
    SELECT now(), now() + make_interval(secs => $1),
           current_setting('synchronous_standby_names') <> ''
           AND current_setting('synchronous_commit') IN ('on', 'remote_apply', 'remote_write')
    FROM epoch WHERE born_in = {IDENTITY}
    ON CONFLICT (singleton) DO UPDATE
        SET at = excluded.at, until = greatest(w.until, excluded.until),
            replicated = excluded.replicated
) {_LINEAGE}
"""  # noqa: S608
# Each statement checks the identity itself: while an old primary still answers beside a new one,
# connections may lead to either.
_ADOPT: Final = f"""
UPDATE epoch SET born_in = $3 WHERE epoch = $1 AND born_in = $2 AND {IDENTITY} = $3 RETURNING true
"""  # noqa: S608 (of constants only)
_PRESENT: Final = f"SELECT epoch, born_in, {IDENTITY} FROM epoch FOR UPDATE"  # noqa: S608

# One probe of channel_heads and one of channel_log per channel.
_STORED: Final = f"""
SELECT (SELECT {IDENTITY}), q.channel, h.head, h.floor,
       l.order_id::text, l.document_key, l.order_version, l.occurred_at
FROM unnest($1::text[], $2::bigint[]) AS q(channel, seq)
     LEFT JOIN channel_heads h ON h.channel = q.channel
     LEFT JOIN channel_log l ON l.channel = q.channel AND l.seq = q.seq
"""  # noqa: S608 (of constants only)


async def start_epoch(
    connection: PostgresConnection,
    following: Callable[[str], str],
    judged: str | None = None,
    moved: Lineage | None = None,
) -> str | None:
    """Begin a new epoch of the log: every cursor of the old one gets a reset.

    Args:
        connection: no transaction is open on it.
        following: makes the new name from the present one, which is locked meanwhile.
        judged: begin only if this is the present epoch; None: in any case.
        moved: begin only in the database of this lineage, and only if the epoch was not kept there
            meanwhile; None: in any.

    Returns:
        The new epoch; None: `judged` or `moved` does not hold.
    """
    async with connection.transaction():
        ((present, born_in, identity),) = await connection.fetch(_PRESENT)
        if judged is not None and present != judged:
            return None
        if moved is not None and (born_in, identity) != (moved.born_in, moved.identity):
            return None
        epoch = following(present)
        await connection.execute(_START_EPOCH, epoch)
    return epoch


async def read_lineage(connection: PostgresConnection) -> Lineage:
    """The database's epoch, and its identity at the epoch's start and now."""
    return _lineage(await connection.fetchrow(_LINEAGE))


async def leave_witness(connection: PostgresConnection, good_for_s: float) -> Lineage:
    """`read_lineage`, and write a new witness, if this is the database that its epoch began in.

    Args:
        connection: to the database.
        good_for_s: for how many seconds events may be published before the next look.

    Returns:
        The lineage with the previous witness.
    """
    return _lineage(await connection.fetchrow(_WITNESS, good_for_s))


async def adopt(connection: PostgresConnection, lineage: Lineage) -> bool:
    """Keep the epoch in the database that it has moved to; False: this is another one, or another
    relay was first."""
    return (
        await connection.fetchval(_ADOPT, lineage.epoch, lineage.born_in, lineage.identity)
        is not None
    )


async def read_stored(
    connection: PostgresConnection, published: Mapping[str, LastPublished], identity: str
) -> dict[str, StoredLineage]:
    """What the database of this identity has at the newest published event of each channel.

    Args:
        connection: to the database.
        published: the newest published event of each channel.
        identity: the database that was asked for.

    Raises:
        UnavailableError: another database answers.
    """
    rows = await connection.fetch(
        _STORED, list(published), [newest.seq for newest in published.values()]
    )
    if any(row[0] != identity for row in rows):
        raise UnavailableError(f"database {rows[0][0]} answers, and {identity} was asked")
    return {
        channel: StoredLineage(head or 0, floor or 0, _identity(order, key, version, at))
        for _, channel, head, floor, order, key, version, at in rows
    }


def _lineage(row: asyncpg.Record | None) -> Lineage:
    if row is None:
        return Lineage("", None, "")
    epoch, born_in, identity, now, at, until, is_replicated, is_cut, flushed = row
    witness = None if at is None else Witness(at, until, is_replicated)
    return Lineage(epoch, born_in, identity, witness, now, is_cut, flushed)


def _identity(
    order: str | None, key: str | None, version: int, at: datetime
) -> EventIdentity | None:
    if order is not None:
        return EventIdentity(order, version)
    return None if key is None else EventIdentity(key, version, at)
