"""The last part of the SQL of every writing statement: events get their seqs, a row in the log, and
one in the outbox.

Orders and documents share it. The counter rows of the channels are locked last, sorted by name
(docs/architecture.md, "Locks"), and held only for the inserts that follow and the commit (promise
1: a seq is given under its channel's lock, so in commit order, and given back by a rollback, so
without a gap).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# `events` has a row for each event of each channel: channel; delta and content, what is XORed onto
# the two digests; orders and bytes, by which the open orders or the documents grow; body, id (of an
# order), key (of a document), version, type, at; place, the same for one change in all its
# channels; later, how many events of its channel come after it here; store_id and shard, null if a
# copy goes to every partition; rules, the store's that the change was decided on, null if it obeys
# none.
#
# The cost per event must stay the same, however many there are: terms that are only waited for are
# one value, which Postgres computes once, and events are joined to their heads by a FULL JOIN. A
# cached plan does not know how long an array is; another join could become a nested loop.
_APPEND: Final = """heads AS (
    -- Row locks on channel_heads by primary key, sorted. The content digest is true while
    -- content_head is the head: a Core from before it leaves content_head behind.
    INSERT INTO channel_heads AS h (channel, head, digest, content_head, content_digest,
                                    open_orders, open_bytes, counted, rules)
    SELECT e.channel, count(*), bit_xor(e.delta), count(*), bit_xor(e.content),
           {orders}, {bytes}, count(*), {rules}
    FROM events e WHERE {after}
    GROUP BY e.channel ORDER BY e.channel
    ON CONFLICT (channel) DO UPDATE
        SET head = {head},
            digest = h.digest # excluded.digest,
            content_head = h.content_head + excluded.content_head,
            content_digest = h.content_digest # excluded.content_digest,
            open_orders = {open_orders},
            open_bytes = {open_bytes},
            -- A count that was not kept at the last head is no count, and stays none.
            counted = h.counted + CASE WHEN h.counted = h.head THEN excluded.head ELSE 0 END
    RETURNING h.channel, h.head, h.counted
), numbered AS (
    SELECT e.*, h.head - e.later AS seq FROM events e FULL JOIN heads h ON h.channel = e.channel
), logged AS (
    INSERT INTO channel_log (channel, seq, order_id, order_version, type, occurred_at, body{key})
    SELECT channel, seq, id, version, type, at, body{key_of} FROM numbered
    RETURNING 1
), queued AS (
    -- The outbox's ids are given here, under the counter rows' locks: within a store they rise in
    -- commit order. Sorted by place, so that they do within this statement too.
    INSERT INTO outbox (shard, store_id, channels, seqs)
    {outbox}
    RETURNING 1
)"""

_BY_STORE: Final = """SELECT min(shard), min(store_id), array_agg(channel ORDER BY channel),
           array_agg(seq ORDER BY channel)
    FROM numbered WHERE (SELECT count(*) FROM logged) >= 0
    GROUP BY place ORDER BY place"""

_BY_STORE_OR_TO_ALL: Final = """SELECT s.shard, n.store_id, n.channels, n.seqs
    FROM (
        SELECT place, min(shard) AS shard, min(store_id) AS store_id,
               array_agg(channel ORDER BY channel) AS channels,
               array_agg(seq ORDER BY channel) AS seqs
        FROM numbered WHERE (SELECT count(*) FROM logged) >= 0
        GROUP BY place
    ) AS n, LATERAL generate_series(coalesce(n.shard, 0), coalesce(n.shard, {last_shard}))
              AS s(shard)
    ORDER BY n.place, s.shard"""

# -1: none of the events depends on rules; -2: they were decided on different rules.
_DECIDED_ON: Final = """CASE WHEN min(e.rules) IS NULL THEN -1
                WHEN min(e.rules) = max(e.rules) THEN min(e.rules) ELSE -2 END"""
# The column is NOT NULL: where others have changed the rules meanwhile, Postgres refuses the whole
# statement.
_HEAD_IF_RULES_HOLD: Final = """CASE WHEN excluded.rules NOT IN (-1, h.rules) THEN NULL
                        ELSE h.head + excluded.head END"""
RULES_CHANGED: Final = ("channel_heads", "head")
"""The table and the column of the NotNullViolationError by which a statement of `append_orders`
fails if a store's rules are not those that were read."""

NO_ROOM: Final = (("channel_heads", "open_orders"), ("channel_heads", "open_bytes"))
"""The table and the columns by which it fails if more would be open than `OpenRoom` allows."""

_ONCE_DONE: Final = "(SELECT count(*) FROM {}) >= 0"
_MORE: Final = "h.{column} + excluded.{column}"
# A count that was not kept at the last head is void. A write that only closes orders needs no room;
# the room that it frees counts for the channel, but not for a subject that places more.
_MORE_IF_ROOM: Final = """CASE WHEN h.counted = h.head AND h.{column} + excluded.{column} > {most}
                                  AND EXISTS (SELECT FROM events e WHERE e.channel = h.channel
                                              AND e.{added} > 0 AND e.type IN {growing})
                             THEN NULL ELSE h.{column} + excluded.{column} END"""
_GROWING: Final = "('order.placed', 'order.changed', 'order.recalled')"
_MOST: Final = "CASE WHEN {channel} LIKE 'table:%' THEN {table} ELSE {store} END"


@dataclass(frozen=True, slots=True)
class OpenRoom:
    """How much may be open in the channel of a table, and in that of a store."""

    table_orders: int
    table_bytes: int
    store_orders: int
    store_bytes: int


def append_orders(after: Sequence[str], room: OpenRoom | None) -> str:
    """The terms that append the events of orders, each in the shard of its store.

    Args:
        after: the terms that must have run before.
        room: the statement fails where more would be open afterwards, if it adds to that; None: it
            is not checked.
    """
    counts = _open_counts(room)
    return _APPEND.format(
        rules=_DECIDED_ON, head=_HEAD_IF_RULES_HOLD, after=once_done(after),
        key="", key_of="", outbox=_BY_STORE, **counts,
    )  # fmt: skip


def append_documents(after: Sequence[str], partitions: str) -> str:
    """The terms that append the events of documents; an event without a shard goes to all shards.

    Args:
        after: the terms that must have run before.
        partitions: SQL for the number of shards.
    """
    return _APPEND.format(
        rules="0", head="h.head + excluded.head", after=once_done(after),
        key=", document_key", key_of=", key",
        outbox=_BY_STORE_OR_TO_ALL.format(last_shard=f"{partitions} - 1"),
        **_open_counts(None),
    )  # fmt: skip


def once_done(terms: Sequence[str]) -> str:
    """SQL for a condition that waits for these terms, and is always true."""
    return " AND ".join(_ONCE_DONE.format(term) for term in terms)


def _open_counts(room: OpenRoom | None) -> dict[str, str]:
    """The SQL of a channel's growth, and of its new counts."""
    if room is None:
        return {
            "orders": "sum(e.orders)",
            "bytes": "sum(e.bytes)",
            "open_orders": _MORE.format(column="open_orders"),
            "open_bytes": _MORE.format(column="open_bytes"),
        }
    of_orders = _MOST.format(channel="{}", table=room.table_orders, store=room.store_orders)
    of_bytes = _MOST.format(channel="{}", table=room.table_bytes, store=room.store_bytes)
    return {
        # Also of the first event of a channel, which has no counter row yet.
        "orders": _sum_if_room("e.orders", of_orders.format("e.channel")),
        "bytes": _sum_if_room("e.bytes", of_bytes.format("e.channel")),
        "open_orders": _MORE_IF_ROOM.format(
            column="open_orders",
            added="orders",
            most=of_orders.format("h.channel"),
            growing=_GROWING,
        ),
        "open_bytes": _MORE_IF_ROOM.format(
            column="open_bytes",
            added="bytes",
            most=of_bytes.format("h.channel"),
            growing=_GROWING,
        ),
    }


def _sum_if_room(column: str, limit: str) -> str:
    return f"CASE WHEN sum({column}) > {limit} THEN NULL ELSE sum({column}) END"
