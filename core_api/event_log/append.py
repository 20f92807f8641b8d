"""The end of every writing statement: events get their seqs, stand in the log and in the outbox.

Orders and documents share it. The counter rows of the channels are locked last, sorted by name
(docs/architecture.md, "Locks"), and held only for the inserts that follow and the commit (promise
1: a seq is given under its channel's lock, so in commit order, and given back by a rollback, so
without a gap).
"""

from __future__ import annotations

from typing import Final

# `events` has a row for each event of each channel: channel; delta and content, what is XORed onto
# the two digests; orders and bytes, by which the open orders or the documents grow; body, id (of an
# order), key (of a document), version, type, at; place, the same for one change in all its
# channels; nth, the event's place among those of its channel; store_id and shard, null if a copy
# goes to every partition; rules, the store's that the change was decided on,
# null if it obeys none.
_APPEND: Final = """heads AS (
    -- Row locks on channel_heads by primary key, sorted. The content digest is true while
    -- content_head is the head: a Core from before it leaves content_head behind.
    INSERT INTO channel_heads AS h (channel, head, digest, content_head, content_digest,
                                    open_orders, open_bytes, counted, rules)
    SELECT e.channel, count(*), bit_xor(e.delta), count(*), bit_xor(e.content),
           sum(e.orders), sum(e.bytes), count(*), {rules}
    FROM events e{after}
    GROUP BY e.channel ORDER BY e.channel
    ON CONFLICT (channel) DO UPDATE
        SET head = {head},
            digest = h.digest # excluded.digest,
            content_head = h.content_head + excluded.content_head,
            content_digest = h.content_digest # excluded.content_digest,
            open_orders = h.open_orders + excluded.open_orders,
            open_bytes = h.open_bytes + excluded.open_bytes,
            -- A count that was not kept at the last head is no count, and stays none.
            counted = h.counted + CASE WHEN h.counted = h.head THEN excluded.head ELSE 0 END
    RETURNING h.channel, h.head, h.counted
), numbered AS (
    SELECT e.*, h.head - (count(*) OVER (PARTITION BY e.channel)) + e.nth AS seq
    FROM events e JOIN heads h ON h.channel = e.channel
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
    FROM numbered, (SELECT count(*) FROM logged) AS after_log
    GROUP BY place ORDER BY place"""

_BY_STORE_OR_TO_ALL: Final = """SELECT s.shard, n.store_id, n.channels, n.seqs
    FROM (
        SELECT place, min(shard) AS shard, min(store_id) AS store_id,
               array_agg(channel ORDER BY channel) AS channels,
               array_agg(seq ORDER BY channel) AS seqs
        FROM numbered, (SELECT count(*) FROM logged) AS after_log
        GROUP BY place
    ) AS n, LATERAL generate_series(coalesce(n.shard, 0), coalesce(n.shard, {last_shard}))
              AS s(shard)
    ORDER BY n.place, s.shard"""

# -1: none of the events obeys any; -2: they were decided on different ones.
_DECIDED_ON: Final = """CASE WHEN min(e.rules) IS NULL THEN -1
                WHEN min(e.rules) = max(e.rules) THEN min(e.rules) ELSE -2 END"""
# The column is never null: where others have changed the rules meanwhile, Postgres refuses the
# statement, and nothing of it is done.
_HEAD_IF_RULES_HOLD: Final = """CASE WHEN excluded.rules NOT IN (-1, h.rules) THEN NULL
                        ELSE h.head + excluded.head END"""
RULES_CHANGED: Final = ("channel_heads", "head")
"""The table and the column of the NotNullViolationError by which a statement of `append_orders`
fails if a store's rules are not those that were read."""


def append_orders(after: str) -> str:
    """The terms that append the events of orders, each in the shard of its store.

    Args:
        after: names, after a comma, the terms that must have run before.
    """
    return _APPEND.format(
        rules=_DECIDED_ON, head=_HEAD_IF_RULES_HOLD, after=after,
        key="", key_of="", outbox=_BY_STORE,
    )  # fmt: skip


def append_documents(after: str, partitions: str) -> str:
    """The terms that append the events of documents; what has no shard goes to every one.

    Args:
        after: names, after a comma, the terms that must have run before.
        partitions: SQL for the number of shards.
    """
    return _APPEND.format(
        rules="0", head="h.head + excluded.head", after=after, key=", document_key", key_of=", key",
        outbox=_BY_STORE_OR_TO_ALL.format(last_shard=f"{partitions} - 1"),
    )  # fmt: skip
