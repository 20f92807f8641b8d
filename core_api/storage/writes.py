"""The writing statement: many commands at once, one transaction, one round trip.

Concurrent commands go out together (`core_api/gather.py`); one alone is a batch of one. Locks are
taken in one order by every writer, so none deadlock: the orders' rows by id; the idempotency keys'
index entries by key; last the counter rows of the channels, sorted by name, which are held only for
the inserts into the log and the outbox and the commit that follow (promise 1: a seq is given under
its channel's lock, so in commit order, and given back by a rollback, so without a gap).

A command whose condition is gone (another writer was first, the key is taken) is left out by the
statement itself and harms none of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final
from uuid import UUID

import asyncpg

from core_api.errors import UnavailableError
from core_api.log import LogWrite
from core_api.storage.pool import Pool, mapped_errors

MAX_CLASHES: Final = 4
"""A batch that has met a deadlock or a serialisation failure so often is given up."""

# Each WITH term reads from the one before it, which fixes the order of the locks: a term that
# nobody reads would run last, after the counter rows are taken.
_WRITE: Final = """
WITH asked AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
        $8::text[], $9::text[], $10::timestamptz[], $11::text[], $12::text[], $13::text[],
        $14::int[], $15::bool[], $16::text[], $17::text[], $18::bytea[], $19::int[], $20::text[]
    ) WITH ORDINALITY AS a(
        id, version, store_id, table_id, status, currency, total, note, reference, at,
        owner_view, table_view, type, shard, new_items, subject, key, request_hash, answer_status,
        answer, place
    )
), locked AS (
    -- Row locks by primary key, sorted. The version is checked again once a lock is had: of two
    -- writers that read the same version one writes and the other finds no row.
    SELECT o.id FROM asked a JOIN orders o ON o.id = a.id AND o.version = a.version - 1
    WHERE a.version > 1 ORDER BY o.id FOR UPDATE OF o
), ready AS (
    SELECT a.* FROM asked a WHERE a.version = 1 OR a.id IN (SELECT id FROM locked)
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
                        created_at, updated_at, owner_view, table_view)
    SELECT id, store_id, table_id, status, version, currency, total, note, reference,
           at, at, owner_view, table_view
    FROM granted WHERE version = 1
    RETURNING 1
), updated AS (
    -- By primary key, on rows that are locked already.
    UPDATE orders o SET status = g.status, version = g.version, total = g.total, note = g.note,
                        updated_at = g.at, owner_view = g.owner_view, table_view = g.table_view
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
           g.store_id, g.place, row_number() OVER (PARTITION BY e.channel ORDER BY g.place) AS nth
    FROM unnest($27::uuid[], $28::text[], $29::bigint[], $30::bit(128)[], $31::text[])
             AS e(order_id, channel, delta, content, body)
         JOIN granted g ON g.id = e.order_id
), heads AS (
    -- Row locks on channel_heads by primary key, sorted. The content digest is true while
    -- content_head is the head: a Core from before it leaves content_head behind.
    INSERT INTO channel_heads AS h (channel, head, digest, content_head, content_digest)
    SELECT e.channel, count(*), bit_xor(e.delta), count(*), bit_xor(e.content)
    FROM events e,
         (SELECT count(*) FROM items) AS after_items,
         (SELECT count(*) FROM updated) AS after_update
    GROUP BY e.channel ORDER BY e.channel
    ON CONFLICT (channel) DO UPDATE
        SET head = h.head + excluded.head, digest = h.digest # excluded.digest,
            content_head = h.content_head + excluded.content_head,
            content_digest = h.content_digest # excluded.content_digest
    RETURNING h.channel, h.head
), numbered AS (
    SELECT e.*, h.head - (count(*) OVER (PARTITION BY e.channel)) + e.nth AS seq
    FROM events e JOIN heads h ON h.channel = e.channel
), logged AS (
    INSERT INTO channel_log (channel, seq, order_id, order_version, type, occurred_at, body)
    SELECT channel, seq, id, version, type, at, body FROM numbered
    RETURNING 1
), queued AS (
    -- The outbox's ids are given here, under the counter rows' locks: within a store they rise in
    -- commit order. Sorted by place, so that they do within this statement too.
    INSERT INTO outbox (shard, store_id, channels, seqs)
    SELECT min(shard), min(store_id), array_agg(channel ORDER BY channel),
           array_agg(seq ORDER BY channel)
    FROM numbered, (SELECT count(*) FROM logged) AS after_log
    GROUP BY place ORDER BY place
    RETURNING 1
)
SELECT a.place - 1,
       CASE WHEN EXISTS (SELECT FROM granted g WHERE g.place = a.place) THEN 'written'
            WHEN EXISTS (SELECT FROM ready r WHERE r.place = a.place) THEN 'key-taken'
            ELSE 'stale' END
FROM asked a, (SELECT count(*) FROM queued) AS after_all
"""


class Outcome(Enum):
    """What became of one command of a batch."""

    WRITTEN = "written"
    STALE = "stale"
    """The order is not at the version that the command was decided on."""
    KEY_TAKEN = "key-taken"
    """The idempotency key has an answer already."""


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """The idempotency key that a command claims, and the answer to keep under it."""

    subject: str
    key: str
    request_hash: bytes
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Write:
    """One command of a batch."""

    rows: LogWrite
    shard: int
    claim: KeyClaim | None

    @property
    def order_id(self) -> str:
        """The order that it is about."""
        return self.rows.change.after.id

    @property
    def store_id(self) -> str:
        """The order's store."""
        return self.rows.change.after.store_id

    @property
    def identities(self) -> tuple[object, ...]:
        """What no two commands of one batch may share: the order, and the key."""
        order_id = self.order_id
        return (order_id, (self.claim.subject, self.claim.key)) if self.claim else (order_id,)


async def write_batch(pool: Pool, writes: Sequence[Write]) -> list[Outcome]:
    """Write commands, all in one transaction; what became of each, in their order.

    No two may share an order or an idempotency key. Writers do not clash with each other; where one
    clashes with somebody else's transaction, Postgres has undone it whole, and it is done again.

    Raises:
        UnavailableError: Postgres does not answer, and whether it wrote is not known; or others
            clashed with it `MAX_CLASHES` times, and nothing is written.
    """
    arguments = (
        *_columns([_order_row(write) for write in writes], 20),
        *_columns([row for write in writes for row in _item_rows(write)], 6),
        *_columns([row for write in writes for row in _event_rows(write)], 5),
    )
    rows = await _fetch(pool, arguments)
    outcomes = [Outcome.STALE] * len(writes)
    for place, outcome in rows:
        outcomes[place] = Outcome(outcome)
    return outcomes


async def _fetch(pool: Pool, arguments: Sequence[object]) -> Sequence[asyncpg.Record]:
    clash: Exception | None = None
    with mapped_errors():
        for _ in range(MAX_CLASHES):
            try:
                return await pool.fetch(_WRITE, *arguments)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
                clash = error
    raise UnavailableError(f"other transactions kept clashing with it: {clash}") from clash


async def write_each(pool: Pool, writes: Sequence[Write]) -> tuple[None, list[Outcome | Exception]]:
    """`write_batch`; if Postgres refuses the batch, each by itself, so that one harms only itself.

    Raises:
        LockedError: the batch met a lock that is held; nothing is written.
        UnavailableError: as `write_batch`.
    """
    try:
        return None, [*await write_batch(pool, writes)]
    except asyncpg.PostgresError as error:
        if len(writes) == 1:
            return None, [error]
    outcomes: list[Outcome | Exception] = []
    for write in writes:
        try:
            outcomes += (await write_each(pool, [write]))[1]
        except UnavailableError as error:
            outcomes.append(error)  # of this one alone: others of the batch are written by now
    return None, outcomes


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[tuple[object, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _order_row(write: Write) -> tuple[object, ...]:
    change, claim = write.rows.change, write.claim
    before, order = change.before, change.after
    return (
        UUID(order.id), order.version, order.store_id, order.table_id, order.status,
        order.currency, order.total, order.note, order.reference, order.updated_at,
        write.rows.owner_view, write.rows.table_view, change.type, write.shard,
        before is None or before.items != order.items,
        *(
            (claim.subject, claim.key, claim.request_hash, claim.status, claim.body)
            if claim
            else (None,) * 5
        ),
    )  # fmt: skip


def _item_rows(write: Write) -> list[tuple[object, ...]]:
    before, order = write.rows.change.before, write.rows.change.after
    if before is not None and before.items == order.items:
        return []
    return [
        (UUID(order.id), line, item.name, item.quantity, item.unit_price, item.note)
        for line, item in enumerate(order.items, 1)
    ]


def _event_rows(write: Write) -> list[tuple[object, ...]]:
    order_id = UUID(write.rows.change.after.id)
    return [
        (
            order_id,
            entry.channel,
            entry.digest_delta,
            asyncpg.BitString.from_int(entry.content_delta, 128),
            entry.body,
        )
        for entry in write.rows.entries
    ]
