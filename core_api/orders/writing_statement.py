"""The text of the statement that writes commands, in one form per kind of batch.

Postgres initialises all parts of a plan each time it runs, so a form has only those that its
batches need: new orders have no rows to lock, and steps have no items. Nearly every batch has room
in its channels. So the usual forms only fail, with nothing written, where a channel would have more
open than it may (`NO_ROOM`), and other forms find the commands to refuse.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from functools import cache
from typing import Final

from core_api.event_log.append import OpenRoom, append_orders, once_done
from core_api.orders.admission import OpenLimits


class BatchKind(Enum):
    """What the commands of a batch are."""

    PLACED = "placed"
    """All are new orders."""
    STEPPED = "stepped"
    """All are steps of orders, which leave the items as they are."""
    MIXED = "mixed"
    """Anything."""


ITEM_COLUMNS: Final = 6

# Each WITH term reads from the one before it, or counts its rows, which fixes the order of the
# locks: a term that no other reads would run last, after the counter rows are locked.
_ASKED: Final = """
WITH asked AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
        $8::text[], $9::text[], $10::timestamptz[], $11::text[], $12::text[], $13::text[],
        $14::int[], $15::bool[], $16::text[], $17::text[], $18::bytea[], $19::int[], $20::text[],
        $21::text[], $22::bigint[], $23::bigint[], $24::bigint[], $25::text[], $26::text[],
        $27::bit(128)[], $28::bigint[], $29::text[], $30::text[], $31::bit(128)[], $32::bigint[]
    ) WITH ORDINALITY AS a(
        id, version, store_id, table_id, status, currency, total, note, reference, at,
        owner_view, table_view, type, shard, new_items, subject, key, request_hash, answer_status,
        answer, placed_by, rules, orders, delta, store_channel, store_body, store_content,
        store_bytes, table_channel, table_body, table_content, table_bytes, place
    )
)"""

_CURRENT: Final = """, locked AS (
    -- Row locks by primary key, sorted. The version is checked again once a lock is had: of two
    -- writers that read the same version one writes and the other finds no row.
    SELECT o.id FROM asked a JOIN orders o ON o.id = a.id AND o.version = a.version - 1
    WHERE a.version > 1 ORDER BY o.id FOR UPDATE OF o
), current AS (
    SELECT * FROM asked WHERE version = 1 OR id IN (SELECT id FROM locked)
)"""

# Only this form finds the commands without room. {current}: the commands whose orders are at the
# version that they were decided on.
_REFUSED: Final = """, growth AS (
    -- What each command adds to the open orders of its channels, and to their bytes.
    SELECT c.place, c.type, c.store_id, c.placed_by, c.orders, e.channel, e.of_table, e.bytes
    FROM {current} c CROSS JOIN LATERAL (
        VALUES (c.store_channel, false, c.store_bytes), (c.table_channel, true, c.table_bytes)
    ) AS e(channel, of_table, bytes)
    WHERE e.channel IS NOT NULL
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
    SELECT * FROM {current} WHERE place NOT IN (SELECT place FROM refused)
)"""

_GRANTED: Final = """, claimed AS (
    -- Waits for another transaction that claims the same key, by the primary key's index.
    INSERT INTO idempotency_keys (subject, key, request_hash, status, order_id, body)
    SELECT subject, key, request_hash, answer_status, id, answer FROM {ready}
    WHERE key IS NOT NULL ORDER BY subject, key
    ON CONFLICT DO NOTHING
    RETURNING subject, key
), granted AS (
    SELECT * FROM {ready} r
    WHERE r.key IS NULL OR (r.subject, r.key) IN (SELECT subject, key FROM claimed)
)"""

_INSERTED: Final = """, inserted AS (
    INSERT INTO orders (id, store_id, table_id, status, version, currency, total, note, reference,
                        created_at, updated_at, owner_view, table_view, placed_by)
    SELECT id, store_id, table_id, status, version, currency, total, note, reference,
           at, at, owner_view, table_view, placed_by
    FROM granted WHERE version = 1
    RETURNING 1
)"""

_UPDATED: Final = """, updated AS (
    -- By primary key, on rows that are locked already.
    UPDATE orders o SET status = g.status, version = g.version, total = g.total, note = g.note,
                        updated_at = g.at, owner_view = g.owner_view, table_view = g.table_view,
                        placed_by = g.placed_by,
                        -- An order that is taken back waits from then on.
                        placed_at = CASE WHEN g.type = 'order.recalled' AND g.status = 'placed'
                                         THEN now() ELSE o.placed_at END
    FROM granted g WHERE g.version > 1 AND o.id = g.id
    RETURNING 1
)"""

_EMPTIED: Final = """, emptied AS (
    DELETE FROM order_items i USING granted g
    WHERE g.version > 1 AND g.new_items AND i.order_id = g.id
    RETURNING 1
)"""

_ITEMS: Final = """, items AS (
    INSERT INTO order_items (order_id, line, name, quantity, unit_price, note)
    SELECT i.order_id, i.line, i.name, i.quantity, i.unit_price, i.note
    FROM unnest($33::uuid[], $34::int[], $35::text[], $36::int[], $37::bigint[], $38::text[])
             AS i(order_id, line, name, quantity, unit_price, note)
    -- So written, it is looked up in a hash: `IN` alone may be done by comparing each with each.
    WHERE (i.order_id IN (SELECT id FROM granted)) IS TRUE AND {after}
    RETURNING 1
)"""

_EVENTS: Final = """, events AS (
    SELECT e.channel, g.delta, e.content, e.body, g.id, g.version, g.type, g.at, g.shard,
           g.store_id, g.place, g.orders, e.bytes, e.rules,
           row_number() OVER (PARTITION BY e.channel ORDER BY g.place DESC) - 1 AS later
    FROM granted g CROSS JOIN LATERAL (
        VALUES (g.store_channel, g.store_body, g.store_content, g.store_bytes, g.rules),
               (g.table_channel, g.table_body, g.table_content, g.table_bytes, NULL)
    ) AS e(channel, body, content, bytes, rules)
    WHERE e.channel IS NOT NULL
), {append}
SELECT a.place - 1,
       CASE WHEN a.place IN (SELECT place FROM granted) THEN 'written'
            WHEN a.place IN (SELECT place FROM {ready}) THEN 'key-taken'
            {refused}ELSE 'stale' END,
       (SELECT array_agg(channel) FROM heads WHERE counted <> head),
       (SELECT epoch FROM epoch)
FROM asked a WHERE (SELECT count(*) FROM queued) >= 0
"""
_SAY_WHY: Final = """WHEN a.place IN (SELECT place FROM refused)
            THEN CASE WHEN EXISTS (SELECT FROM idempotency_keys k
                                   WHERE k.subject = a.subject AND k.key = a.key) THEN 'key-taken'
                      ELSE (SELECT r.scope FROM refused r WHERE r.place = a.place) END
            """


@dataclass(frozen=True, slots=True)
class _Form:
    current: str
    """The term of the commands whose orders are at the version that they were decided on."""
    writes: str
    """The terms that write the orders and their items."""
    last: tuple[str, ...]
    """Those of them that must have run before the counter rows are locked."""


_FORMS: Final = {
    BatchKind.PLACED: _Form(
        "asked", _INSERTED + _ITEMS.format(after=once_done(["inserted"])), ("items",)
    ),
    BatchKind.STEPPED: _Form("current", _UPDATED, ("updated",)),
    BatchKind.MIXED: _Form(
        "current",
        _INSERTED + _UPDATED + _EMPTIED + _ITEMS.format(after=once_done(["emptied", "inserted"])),
        ("items", "updated"),
    ),
}


@cache
def writing_statement(kind: BatchKind, limits: OpenLimits, room_is_certain: bool) -> str:
    """The statement that writes commands.

    Args:
        kind: of the batch.
        limits: how much may be open. As constants in the text they are known to the planner, and
            cost no parameters.
        room_is_certain: without room the statement fails; else it leaves out the commands.
    """
    form = _FORMS[kind]
    ready = form.current if room_is_certain else "ready"
    refused = _REFUSED.format(current=form.current, **asdict(limits))
    events = _EVENTS.format(
        append=append_orders(form.last, _room_of(limits) if room_is_certain else None),
        ready=ready,
        refused="" if room_is_certain else _SAY_WHY,
    )
    return "".join(
        (
            _ASKED,
            _CURRENT if form.current == "current" else "",
            "" if room_is_certain else refused,
            _GRANTED.format(ready=ready),
            form.writes,
            events,
        )
    )


def _room_of(limits: OpenLimits) -> OpenRoom:
    # Where the whole store is within the limit of one subject, so is each subject.
    return OpenRoom(
        limits.table_orders,
        limits.table_bytes,
        min(limits.store_orders, limits.subject_orders),
        min(limits.store_bytes, limits.subject_bytes),
    )
