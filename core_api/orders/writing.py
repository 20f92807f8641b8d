"""The writing statement: many commands at once, one transaction, one round trip.

Concurrent commands go out together (`core_api/postgres/query_batching.py`); one alone is a batch of
one. Locks are taken in one order by every writer of orders, so none deadlock: the orders' rows by
id; the idempotency keys' index entries by key; last the counter rows of the channels, sorted by
name (docs/architecture.md, "Locks", has the order of all writers). These are held only for the
inserts into the log and the outbox and the commit that follow (promise 1: a seq is given under its
channel's lock, so in commit order, and given back by a rollback, so without a gap).

A command whose condition is gone (another writer was first, the key is taken, there is no room for
more open orders) is left out by the statement itself and harms none of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Final
from uuid import UUID

import asyncpg

from core_api.errors import UnavailableError
from core_api.event_log.append import RULES_CHANGED, append_orders
from core_api.orders.admission import DEFAULT_OPEN_LIMITS, OpenLimits
from core_api.orders.missing_counts import count_open
from core_api.orders.writes import Write, WriteOutcome
from core_api.postgres.pool import Pool, mapped_errors

MAX_CLASHES: Final = 4
"""How often a batch may meet a deadlock or a serialisation failure before it is given up."""

# Each WITH term reads from the one before it, which fixes the order of the locks: a term that
# nobody reads would run last, after the counter rows are taken.
_WRITE: Final = """
WITH asked AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
        $8::text[], $9::text[], $10::timestamptz[], $11::text[], $12::text[], $13::text[],
        $14::int[], $15::bool[], $16::text[], $17::text[], $18::bytea[], $19::int[], $20::text[],
        $32::text[], $33::bigint[]
    ) WITH ORDINALITY AS a(
        id, version, store_id, table_id, status, currency, total, note, reference, at,
        owner_view, table_view, type, shard, new_items, subject, key, request_hash, answer_status,
        answer, placed_by, rules, place
    )
), locked AS (
    -- Row locks by primary key, sorted. The version is checked again once a lock is had: of two
    -- writers that read the same version one writes and the other finds no row.
    SELECT o.id, o.status NOT IN ('rejected', 'paid', 'cancelled') AS is_open,
           octet_length(o.owner_view) AS owner_bytes, octet_length(o.table_view) AS table_bytes
    FROM asked a JOIN orders o ON o.id = a.id AND o.version = a.version - 1
    WHERE a.version > 1 ORDER BY o.id FOR UPDATE OF o
), current AS (
    SELECT a.*, a.status NOT IN ('rejected', 'paid', 'cancelled') AS is_open,
           coalesce(l.is_open, false) AS was_open, l.owner_bytes, l.table_bytes
    FROM asked a LEFT JOIN locked l ON l.id = a.id WHERE a.version = 1 OR l.id IS NOT NULL
), growth AS (
    -- What each command adds to the open orders of its channels, and to their bytes.
    SELECT c.place, c.type, c.store_id, c.placed_by, e.channel,
           e.channel LIKE 'table:%' AS of_table,
           c.is_open::int - c.was_open::int AS orders,
           CASE WHEN NOT c.is_open THEN 0 WHEN e.channel LIKE 'table:%'
                THEN octet_length(c.table_view) ELSE octet_length(c.owner_view) END
           - CASE WHEN NOT c.was_open THEN 0 WHEN e.channel LIKE 'table:%'
                  THEN c.table_bytes ELSE c.owner_bytes END AS bytes
    FROM unnest($27::uuid[], $28::text[]) AS e(order_id, channel)
         JOIN current c ON c.id = e.order_id
), wanted AS (
    -- What makes more or larger orders: steps never do, and are never refused for lack of room;
    -- nor are steps back, unless they open what was closed.
    SELECT g.*, coalesce(h.open_orders, 0) AS open_orders, coalesce(h.open_bytes, 0) AS open_bytes
    FROM growth g LEFT JOIN LATERAL (
        -- Read without a lock: what others write at this moment may come on top. A row that a Core
        -- of an older version has written to has no count; it is counted after this statement.
        SELECT open_orders, open_bytes, counted = head AS is_counted
        FROM channel_heads WHERE channel = g.channel LIMIT 1
    ) AS h ON true
    WHERE (g.type IN ('order.placed', 'order.changed') AND (g.orders > 0 OR g.bytes > 0)
           OR g.type = 'order.recalled' AND g.orders > 0)
      AND coalesce(h.is_counted, true)
), full_tables AS (
    SELECT place FROM (
        SELECT place, orders, bytes, open_orders + sum(orders) OVER earlier AS all_orders,
               open_bytes + sum(bytes) OVER earlier AS all_bytes
        FROM wanted WHERE of_table WINDOW earlier AS (PARTITION BY channel ORDER BY place)
    ) AS s
    WHERE orders > 0 AND all_orders > {table_orders} OR bytes > 0 AND all_bytes > {table_bytes}
), summed AS (
    -- Of a store's channel: what a table had no room for takes no room from others.
    SELECT *, open_orders + sum(orders) OVER earlier AS all_orders,
           open_bytes + sum(bytes) OVER earlier AS all_bytes,
           sum(orders) OVER own AS own_orders, sum(bytes) OVER own AS own_bytes
    FROM wanted WHERE NOT of_table AND place NOT IN (SELECT place FROM full_tables)
    WINDOW earlier AS (PARTITION BY channel ORDER BY place),
           own AS (PARTITION BY channel, placed_by ORDER BY place)
), owned AS (
    -- Subjects are counted only where the whole store has more than one of them may have.
    SELECT n.store_id, n.placed_by, o.orders, o.bytes
    FROM (
        SELECT DISTINCT store_id, placed_by FROM summed
        WHERE all_orders > {subject_orders} OR all_bytes > {subject_bytes}
    ) AS n, LATERAL (
        SELECT count(*) AS orders, coalesce(sum(octet_length(o.owner_view)), 0) AS bytes
        FROM orders o
        WHERE o.store_id = n.store_id AND o.placed_by = n.placed_by
          AND o.status NOT IN ('rejected', 'paid', 'cancelled')
    ) AS o
), refused AS (
    SELECT place, min(scope) AS scope FROM (
        SELECT place, 'table' AS scope FROM full_tables
        UNION ALL
        SELECT place, 'store' FROM summed
        WHERE orders > 0 AND all_orders > {store_orders} OR bytes > 0 AND all_bytes > {store_bytes}
        UNION ALL
        SELECT s.place, 'subject' FROM summed s JOIN owned o USING (store_id, placed_by)
        WHERE s.orders > 0 AND o.orders + s.own_orders > {subject_orders}
           OR s.bytes > 0 AND o.bytes + s.own_bytes > {subject_bytes}
    ) AS s GROUP BY place
), ready AS (
    SELECT c.* FROM current c WHERE c.place NOT IN (SELECT place FROM refused)
), claimed AS (
    -- Waits for another transaction that claims the same key, by the primary key's index.
    INSERT INTO idempotency_keys (subject, key, request_hash, status, order_id, body)
    SELECT subject, key, request_hash, answer_status, id, answer FROM ready
    WHERE key IS NOT NULL ORDER BY subject, key
    ON CONFLICT DO NOTHING
    RETURNING subject, key
), granted AS (
    SELECT r.* FROM ready r
    WHERE r.key IS NULL OR (r.subject, r.key) IN (SELECT subject, key FROM claimed)
), inserted AS (
    INSERT INTO orders (id, store_id, table_id, status, version, currency, total, note, reference,
                        created_at, updated_at, owner_view, table_view, placed_by)
    SELECT id, store_id, table_id, status, version, currency, total, note, reference,
           at, at, owner_view, table_view, placed_by
    FROM granted WHERE version = 1
    RETURNING 1
), updated AS (
    -- By primary key, on rows that are locked already.
    UPDATE orders o SET status = g.status, version = g.version, total = g.total, note = g.note,
                        updated_at = g.at, owner_view = g.owner_view, table_view = g.table_view,
                        placed_by = g.placed_by,
                        -- An order that is taken back waits from then on.
                        placed_at = CASE WHEN g.type = 'order.recalled' AND g.status = 'placed'
                                         THEN now() ELSE o.placed_at END
    FROM granted g WHERE g.version > 1 AND o.id = g.id
    RETURNING 1
), emptied AS (
    DELETE FROM order_items i USING granted g
    WHERE g.version > 1 AND g.new_items AND i.order_id = g.id
    RETURNING 1
), items AS (
    INSERT INTO order_items (order_id, line, name, quantity, unit_price, note)
    SELECT i.order_id, i.line, i.name, i.quantity, i.unit_price, i.note
    FROM (SELECT count(*) FROM emptied) AS after_delete,
         (SELECT count(*) FROM inserted) AS after_insert,
         unnest($21::uuid[], $22::int[], $23::text[], $24::int[], $25::bigint[], $26::text[])
             AS i(order_id, line, name, quantity, unit_price, note)
    WHERE i.order_id IN (SELECT id FROM granted)
    RETURNING 1
), events AS (
    SELECT e.channel, e.delta, e.content, e.body, g.id, g.version, g.type, g.at, g.shard,
           g.store_id, g.place, w.orders, w.bytes,
           CASE WHEN e.channel LIKE 'store:%' THEN g.rules END AS rules,
           row_number() OVER (PARTITION BY e.channel ORDER BY g.place) AS nth
    FROM unnest($27::uuid[], $28::text[], $29::bigint[], $30::bit(128)[], $31::text[])
             AS e(order_id, channel, delta, content, body)
         JOIN granted g ON g.id = e.order_id
         JOIN growth w ON w.place = g.place AND w.channel = e.channel
), {append}
SELECT a.place - 1,
       CASE WHEN EXISTS (SELECT FROM granted g WHERE g.place = a.place) THEN 'written'
            WHEN EXISTS (SELECT FROM ready r WHERE r.place = a.place) THEN 'key-taken'
            WHEN EXISTS (SELECT FROM refused r WHERE r.place = a.place)
                 AND EXISTS (SELECT FROM idempotency_keys k
                             WHERE k.subject = a.subject AND k.key = a.key) THEN 'key-taken'
            ELSE coalesce((SELECT r.scope FROM refused r WHERE r.place = a.place), 'stale') END,
       (SELECT array_agg(channel) FROM heads WHERE counted <> head)
FROM asked a, (SELECT count(*) FROM queued) AS after_all
"""


_RULES: Final = """
SELECT q.store_id, h.rules FROM unnest($1::text[]) AS q(store_id)
     JOIN channel_heads h ON h.channel = 'store:' || q.store_id
"""
_APPEND: Final = append_orders(
    """,
         (SELECT count(*) FROM items) AS after_items,
         (SELECT count(*) FROM updated) AS after_update"""
)


async def write_batch(
    pool: Pool, writes: Sequence[Write], limits: OpenLimits = DEFAULT_OPEN_LIMITS
) -> list[WriteOutcome]:
    """Write commands, all in one transaction. Returns the result of each, in their order.

    No two may share an order or an idempotency key. Writers do not clash with each other; where one
    clashes with somebody else's transaction, Postgres has undone it whole, and it is done again.

    Raises:
        UnavailableError: Postgres does not answer, and whether it wrote is not known; or others
            clashed with it `MAX_CLASHES` times, and nothing is written.
    """
    # Each id is read once, though several rows name it.
    numbered = [(write, UUID(write.order_id)) for write in writes]
    arguments = (
        *_columns([_order_row(write, n) for write, n in numbered], 20),
        *_columns([row for write, n in numbered for row in _item_rows(write, n)], 6),
        *_columns([row for write, n in numbered for row in _event_rows(write, n)], 5),
        _column([write.rows.change.after.placed_by or None for write in writes]),
        _column([write.rules for write in writes]),
    )
    rows = await _fetch(pool, _statement(limits), arguments)
    outcomes = [WriteOutcome.STALE] * len(writes)
    uncounted: list[str] = []
    for place, outcome, channels in rows:
        outcomes[place] = WriteOutcome(outcome)
        uncounted = channels or uncounted
    if uncounted:
        await count_open(pool, uncounted)
    return outcomes


@cache
def _statement(limits: OpenLimits) -> str:
    # As constants in the text the limits are known to the planner, and cost no parameters.
    return _WRITE.format(append=_APPEND, **asdict(limits))


async def _fetch(
    pool: Pool, statement: str, arguments: Sequence[object]
) -> Sequence[asyncpg.Record]:
    clash: Exception | None = None
    with mapped_errors():
        for _ in range(MAX_CLASHES):
            try:
                return await pool.fetch(statement, *arguments)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
                clash = error
    raise UnavailableError(f"other transactions kept conflicting with it: {clash}") from clash


async def write_each(
    pool: Pool, writes: Sequence[Write], limits: OpenLimits = DEFAULT_OPEN_LIMITS
) -> tuple[None, list[WriteOutcome | Exception]]:
    """`write_batch`; if Postgres refuses the batch, each by itself, so that one harms only itself.

    Raises:
        LockedError: the batch met a lock that is held; nothing is written.
        UnavailableError: as `write_batch`.
    """
    try:
        return None, [*await write_batch(pool, writes, limits)]
    except asyncpg.PostgresError as error:
        if (error.table_name, error.column_name) == RULES_CHANGED:
            return None, await _write_unless_outdated(pool, writes, limits)
        if len(writes) == 1:
            return None, [error]
    outcomes: list[WriteOutcome | Exception] = []
    for write in writes:
        try:
            outcomes += (await write_each(pool, [write], limits))[1]
        except UnavailableError as error:
            outcomes.append(error)  # of this one alone: others of the batch are written by now
    return None, outcomes


async def _write_unless_outdated(
    pool: Pool, writes: Sequence[Write], limits: OpenLimits
) -> list[WriteOutcome | Exception]:
    """Write those of a batch whose store's rules are still those that they were decided on."""
    stores = sorted({write.store_id for write in writes if write.rules is not None})
    with mapped_errors():
        rows = await pool.fetch(_RULES, stores)
    numbers = {row[0]: row[1] for row in rows}
    outdated = [
        write.rules is not None and write.rules != numbers.get(write.store_id, 0)
        for write in writes
    ]
    if not any(outdated):
        # They have changed again, back and forth: each decides anew.
        return [WriteOutcome.RULES_CHANGED] * len(writes)
    going = [write for write, is_old in zip(writes, outdated, strict=True) if not is_old]
    written = iter((await write_each(pool, going, limits))[1] if going else ())
    return [WriteOutcome.RULES_CHANGED if is_old else next(written) for is_old in outdated]


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[Sequence[object]]:
    return [_column(values) for values in zip(*rows, strict=True)] if rows else [()] * width


def _column(values: Sequence[object]) -> Sequence[object]:
    # unnest() fills what is shorter with nulls, and the driver looks at each value that is sent.
    return values if any(value is not None for value in values) else ()


def _order_row(write: Write, order_id: UUID) -> tuple[object, ...]:
    change, claim = write.rows.change, write.claim
    before, order = change.before, change.after
    return (
        order_id, order.version, order.store_id, order.table_id, order.status,
        order.currency, order.total, order.note, order.reference, order.updated_at,
        write.rows.owner_view, write.rows.table_view, change.type, write.shard,
        before is None or before.items != order.items,
        *(
            (claim.subject, claim.key, claim.request_hash, claim.status, claim.body)
            if claim
            else (None,) * 5
        ),
    )  # fmt: skip


def _item_rows(write: Write, order_id: UUID) -> list[tuple[object, ...]]:
    before, order = write.rows.change.before, write.rows.change.after
    if before is not None and before.items == order.items:
        return []
    return [
        (order_id, line, item.name, item.quantity, item.unit_price, item.note)
        for line, item in enumerate(order.items, 1)
    ]


def _event_rows(write: Write, order_id: UUID) -> list[tuple[object, ...]]:
    return [
        (
            order_id,
            entry.channel,
            entry.digest_delta,
            asyncpg.BitString.frombytes(entry.content_delta.to_bytes(16, "big")),
            entry.body,
        )
        for entry in write.rows.entries
    ]
