"""The statement that writes settled edits: one transaction, one round trip, for many clients.

Edits that share a client or a document are one component: it is written whole or, if one of its
documents or clients has changed since the read, not at all, and its edits are settled again. Locks
are taken in one order by every writer of edits: documents, clients, and last the counter rows of
channels (docs/architecture.md, "Locks", has the order of all writers).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from core_api.edits.reading import Connection
from core_api.edits.rows import PlanRows
from core_api.edits.what_was_read import DocumentName
from core_api.errors import UnavailableError
from core_api.event_log.append import append_documents
from core_api.postgres.errors import Meaning, means
from core_api.postgres.pool import mapped_errors
from server_common.limits import ANSWERS_KEPT, ANSWERS_UNTOLD

MAX_CLASHES: Final = 4
_CONTENT: Final = 5
"""The place of the digest's change in the row of an event."""

# Rows not visible to readers: a document of version 0, a client without a settled edit. They give
# the writing statement a row to lock for everything that it writes.
_ENSURE: Final = """
WITH made AS (
    INSERT INTO documents (channel, key, version, schema, facts, made_at, updated_at)
    SELECT channel, key, 0, 1, '', now(), now()
    FROM unnest($1::text[], $2::text[]) AS d(channel, key)
    ORDER BY channel, key ON CONFLICT DO NOTHING
)
INSERT INTO edit_clients (client, subject, settled)
SELECT client, subject, 0 FROM unnest($3::text[], $4::text[]) AS c(client, subject)
ORDER BY client ON CONFLICT DO NOTHING
"""

# Each WITH term reads from the one before it, which fixes the order of the locks.
_WRITE_FORM: Final = """
WITH docs AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::int[], $7::text[], $8::text[],
        $9::timestamptz[], $10::timestamptz[], $11::timestamptz[]
    ) AS d(channel, key, component, before, version, schema, facts, value, made_at, at, ends_at)
), clients AS (
    SELECT * FROM unnest($12::text[], $13::int[], $14::bigint[], $15::bigint[], $16::bigint[])
        AS c(client, component, before, settled, answered)
), locked_docs AS (
    SELECT d.channel, d.key FROM docs a
         JOIN documents d ON d.channel = a.channel AND d.key = a.key AND d.version = a.before
    ORDER BY d.channel, d.key FOR NO KEY UPDATE OF d
), locked_clients AS (
    SELECT c.client FROM clients a
         JOIN edit_clients c ON c.client = a.client AND c.settled = a.before,
         (SELECT count(*) FROM locked_docs) AS after_docs
    ORDER BY c.client FOR NO KEY UPDATE OF c
), stale AS (
    SELECT component FROM docs
    WHERE (channel, key) NOT IN (SELECT channel, key FROM locked_docs)
    UNION
    SELECT component FROM clients WHERE client NOT IN (SELECT client FROM locked_clients)
), set_docs AS (
    UPDATE documents d
    SET version = a.version, schema = a.schema, facts = a.facts, value = a.value,
        made_at = a.made_at, updated_at = a.at, ends_at = a.ends_at
    FROM docs a
    WHERE d.channel = a.channel AND d.key = a.key AND a.component NOT IN (TABLE stale)
    RETURNING 1
), set_clients AS (
    -- Left as it is within a minute: a row of which no index changes is updated in its place. A
    -- time to come, from before the clock was set back, would keep the client until then.
    UPDATE edit_clients c
    SET settled = a.settled,
        seen_at = CASE WHEN c.seen_at BETWEEN now() - interval '1 minute' AND now()
                       THEN c.seen_at ELSE now() END
    FROM clients a
    WHERE c.client = a.client AND a.component NOT IN (TABLE stale)
    RETURNING 1
), kept AS (
    INSERT INTO document_history (channel, key, version, client, n, took_effect, at, made_at,
                                  entry, diff, value, schema)
    SELECT channel, key, version, client, n, took_effect, at, made_at, entry, diff, value, schema
    FROM unnest(
        $17::int[], $18::text[], $19::text[], $20::int[], $21::text[], $22::bigint[], $23::bool[],
        $24::timestamptz[], $25::timestamptz[], $26::text[], $27::text[], $28::text[], $29::int[]
    ) AS h(component, channel, key, version, client, n, took_effect, at, made_at, entry, diff,
           value, schema)
    WHERE component NOT IN (TABLE stale)
    RETURNING 1
), told AS (
    INSERT INTO edit_outcomes (client, n, request_hash, outcome, result)
    SELECT client, n, request_hash, outcome, result
    FROM unnest($30::int[], $31::text[], $32::bigint[], $33::bytea[], $34::text[], $35::text[])
        AS o(component, client, n, request_hash, outcome, result)
    WHERE component NOT IN (TABLE stale)
    RETURNING 1
), forgotten AS (
    DELETE FROM edit_outcomes o USING clients a
    WHERE o.client = a.client AND o.n <= greatest(a.answered, a.settled - {untold}) - $36::bigint
      AND a.component NOT IN (TABLE stale)
    RETURNING 1
), events AS (
    SELECT e.*, 0::bigint AS delta, NULL::uuid AS id, 'document.changed' AS type,
           row_number() OVER (PARTITION BY channel ORDER BY place DESC) - 1 AS later
    FROM unnest(
        $37::int[], $38::text[], $39::text[], $40::int[], $41::timestamptz[], $42::bit(128)[],
        $43::bigint[], $44::bigint[], $45::text[], $46::int[], $47::text[]
    ) WITH ORDINALITY AS e(component, channel, key, version, at, content, orders, bytes, body,
                           shard, store_id, place)
    WHERE component NOT IN (TABLE stale)
), {append}, rules AS (
    -- Orders of these stores that were decided on the documents as they were before are refused by
    -- their statement, which locks the same row.
    INSERT INTO channel_heads AS h (channel, head, digest, rules)
    SELECT DISTINCT s.channel, 0, 0, (extract(epoch FROM clock_timestamp()) * 1e6)::bigint
    FROM unnest($49::int[], $50::text[]) AS s(component, channel)
    WHERE s.component NOT IN (TABLE stale) AND (SELECT count(*) FROM queued) >= 0
    ORDER BY s.channel
    ON CONFLICT (channel) DO UPDATE SET rules = greatest(excluded.rules, h.rules + 1)
    RETURNING 1
)
SELECT component, (SELECT count(*) FROM rules) FROM stale
"""
_WRITE: Final = _WRITE_FORM.format(
    untold=ANSWERS_UNTOLD,
    append=append_documents(
        ("set_docs", "set_clients", "kept", "told", "forgotten"),
        "$48::int",
    ),
)

# Sorted, as every writer locks them.
_LOCK: Final = """
WITH docs AS MATERIALIZED (
    SELECT d.channel FROM documents d
         JOIN unnest($1::text[], $2::text[]) AS q(channel, key)
              ON q.channel = d.channel AND q.key = d.key
    ORDER BY d.channel, d.key FOR NO KEY UPDATE OF d
)
SELECT c.client, (SELECT count(*) FROM docs) FROM edit_clients c WHERE c.client = ANY($3::text[])
ORDER BY c.client FOR NO KEY UPDATE OF c
"""

# It waits for no lock, and releases its own at its end.
_HELD: Final = """
WITH wanted AS (
    SELECT d.channel, d.key FROM documents d
         JOIN unnest($1::text[], $2::text[]) AS q(channel, key)
              ON q.channel = d.channel AND q.key = d.key
), free_docs AS MATERIALIZED (
    SELECT d.channel, d.key FROM documents d
         JOIN wanted w ON w.channel = d.channel AND w.key = d.key
    FOR NO KEY UPDATE OF d SKIP LOCKED
), free_heads AS MATERIALIZED (
    SELECT channel FROM channel_heads WHERE channel = ANY($3::text[])
    ORDER BY channel FOR NO KEY UPDATE SKIP LOCKED
), free_clients AS MATERIALIZED (
    SELECT client FROM edit_clients WHERE client = ANY($4::text[])
    ORDER BY client FOR NO KEY UPDATE SKIP LOCKED
)
SELECT
    ARRAY(SELECT channel || ' ' || key FROM wanted
          EXCEPT SELECT channel || ' ' || key FROM free_docs),
    ARRAY(SELECT channel FROM channel_heads WHERE channel = ANY($3::text[])
          EXCEPT SELECT channel FROM free_heads),
    ARRAY(SELECT client FROM edit_clients WHERE client = ANY($4::text[])
          EXCEPT SELECT client FROM free_clients)
"""


async def ensure_rows(
    connection: Connection, names: Sequence[DocumentName], clients: Sequence[tuple[str, str]]
) -> None:
    """Insert the rows that edits of these documents and clients will lock, where there are none
    yet.

    Args:
        connection: a connection or a pool.
        names: which documents.
        clients: each client's id, with the subject that it belongs to.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        await connection.fetch(
            _ENSURE,
            [name[0] for name in names],
            [name[1] for name in names],
            [c[0] for c in clients],
            [c[1] for c in clients],
        )


async def write_plan(connection: Connection, rows: PlanRows, partitions: int) -> frozenset[int]:
    """Write what was settled, all in one transaction.

    Args:
        connection: a connection or a pool; it is one statement.
        rows: what is to be written, by table.
        partitions: how many shards the outbox has.

    Returns:
        The components that were not written, because others were first.

    Raises:
        LockedError: another transaction holds a lock for too long; nothing is written.
        UnavailableError: Postgres does not answer, and it may have written; or the statement failed
            in `MAX_CLASHES` conflicts with other transactions, and nothing is written.
    """
    arguments = (
        *_columns(rows.documents, 11),
        *_columns(rows.clients, 5),
        *_columns(rows.history, 13),
        *_columns(rows.outcomes, 6),
        ANSWERS_KEPT,
        *_event_columns(rows.events),
        partitions,
        *_columns(rows.rules, 2),
    )
    clash: Exception | None = None
    with mapped_errors():
        for _ in range(MAX_CLASHES):
            try:
                return frozenset(row[0] for row in await connection.fetch(_WRITE, *arguments))
            except asyncpg.PostgresError as error:
                if not means(error, Meaning.CLASHED):
                    raise
                clash = error
    raise UnavailableError(f"other transactions kept conflicting with it: {clash}") from clash


async def lock_rows(
    connection: Connection, names: Sequence[DocumentName], clients: Sequence[str]
) -> None:
    """Lock these rows until the transaction of the connection ends.

    Args:
        connection: with a transaction.
        names: which documents; one without a row is not locked.
        clients: the ids of clients of edits; one without a row is not locked.

    Raises:
        UnavailableError: Postgres does not answer.
        LockedError: another transaction holds one of them.
    """
    with mapped_errors():
        await connection.fetch(
            _LOCK, [name[0] for name in names], [name[1] for name in names], clients
        )


async def held_by_others(
    connection: Connection,
    names: Sequence[DocumentName],
    channels: Sequence[str],
    clients: Sequence[str],
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Which of these rows another transaction locks.

    Args:
        connection: a pool, so that what the query itself locks is free again at once.
        names: documents.
        channels: of these the counter rows.
        clients: the ids of clients of edits.

    Returns:
        The documents (`channel key`), the channels of counter rows, and the clients that are
        locked.

    Raises:
        LockedError: a whole table is locked.
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        ((documents, heads, held_clients),) = await connection.fetch(
            _HELD, [name[0] for name in names], [name[1] for name in names], channels, clients
        )
    return frozenset(documents), frozenset(heads), frozenset(held_clients)


def _event_columns(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    columns = _columns(rows, 11)
    columns[_CONTENT] = tuple(asyncpg.BitString.from_int(delta, 128) for delta in columns[_CONTENT])
    return columns


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width
