"""The writing statements: each command is one statement, so one transaction and one round trip.

Locks, in order: the order's row; the idempotency key's index entry; then the counter rows of the
channels, sorted by name (the store's always before its tables'), which are held only for the two
inserts and the commit that follow. Every writer takes them in this order, so none deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import asyncpg

from client_sdk.contract.order import Item
from core_api.log import LogWrite
from core_api.storage.pool import Pool, mapped_errors

# Each WITH term reads from the one before it, which fixes the order of the locks above: a term
# that nobody reads would run last, after the counter rows are taken.
_APPEND: Final = """
, claimed AS (
    -- A key that is there already fails the statement as a whole: nothing is written twice.
    INSERT INTO idempotency_keys (subject, key, request_hash, status, order_id, body)
    SELECT $2, $3, $4, $5, w.id, $6 FROM written w WHERE $3::text IS NOT NULL
    RETURNING 1
), items AS (
    INSERT INTO order_items (order_id, line, name, quantity, unit_price, note)
    SELECT w.id, i.line, i.name, i.quantity, i.unit_price, i.note
    FROM {items_source}
         unnest($7::text[], $8::int[], $9::bigint[], $10::text[]) WITH ORDINALITY
             AS i(name, quantity, unit_price, note, line)
    RETURNING 1
), heads AS (
    -- Row locks on channel_heads by primary key, in the sorted order of the arrays.
    INSERT INTO channel_heads AS h (channel, head, digest)
    SELECT e.channel, 1, e.delta
    FROM written w,
         (SELECT count(*) FROM claimed) AS after_claim,
         (SELECT count(*) FROM items) AS after_items,
         unnest($11::text[], $12::bigint[]) WITH ORDINALITY AS e(channel, delta, place)
    ORDER BY e.place
    ON CONFLICT (channel) DO UPDATE SET head = h.head + 1, digest = h.digest # excluded.digest
    RETURNING h.channel, h.head
), logged AS (
    INSERT INTO channel_log (channel, seq, order_id, order_version, type, occurred_at, body)
    SELECT h.channel, h.head, $1, $14, $15, $16, e.body
    FROM heads h JOIN unnest($11::text[], $13::text[]) AS e(channel, body) USING (channel)
    RETURNING channel, seq
), queued AS (
    INSERT INTO outbox (shard, store_id, channels, seqs)
    SELECT $17, $18, array_agg(channel ORDER BY channel), array_agg(seq ORDER BY channel)
    FROM logged HAVING count(*) > 0
    RETURNING seqs
)
SELECT seqs FROM queued
"""

_INSERT: Final = """
WITH written AS (
    INSERT INTO orders (id, store_id, table_id, status, version, currency, total, note, reference,
                        created_at, updated_at, owner_view, table_view)
    VALUES ($1, $18, $19, $20, $14, $21, $22, $23, $24, $16, $16, $25, $26)
    RETURNING id
)
""" + _APPEND.format(items_source="written w,")  # noqa: S608 (two constants of this module)

# By primary key; the version is checked again after the row lock is had, so of two writers that
# read the same version one writes and the other finds no row.
_UPDATE: Final = """
WITH written AS (
    UPDATE orders SET status = $19, version = $14, total = $20, note = $21, updated_at = $16,
                      owner_view = $22, table_view = $23
    WHERE id = $1 AND version = $14 - 1
    RETURNING id
), emptied AS (
    DELETE FROM order_items WHERE $24 AND order_id IN (SELECT id FROM written) RETURNING 1
)
""" + _APPEND.format(items_source="written w, (SELECT count(*) FROM emptied) AS after_delete,")  # noqa: S608

_KEYS: Final = "pk_idempotency_keys"


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """The idempotency key that a write claims, and the answer to keep under it."""

    subject: str
    key: str
    request_hash: bytes
    status: int
    body: str


Outcome = Literal["stale", "key-taken"]


async def insert_order(
    pool: Pool, write: LogWrite, shard: int, claim: KeyClaim | None
) -> Sequence[int] | Outcome:
    """Write a new order; the seqs it got in its channels, in the order of `write.entries`.

    Raises:
        UnavailableError: Postgres does not answer; whether it wrote is not known.
    """
    order = write.change.after
    return await _run(
        pool, _INSERT, write, shard, claim, order.items,
        order.table_id, order.status, order.currency, order.total, order.note, order.reference,
        write.owner_view, write.table_view,
    )  # fmt: skip


async def update_order(
    pool: Pool, write: LogWrite, shard: int, claim: KeyClaim | None
) -> Sequence[int] | Outcome:
    """Write an order's next version, unless another one is there already (`stale`).

    Raises:
        UnavailableError: Postgres does not answer; whether it wrote is not known.
    """
    before, order = write.change.before, write.change.after
    items_changed = before is None or before.items != order.items
    return await _run(
        pool, _UPDATE, write, shard, claim, order.items if items_changed else [],
        order.status, order.total, order.note, write.owner_view, write.table_view, items_changed,
    )  # fmt: skip


async def _run(
    pool: Pool,
    statement: str,
    write: LogWrite,
    shard: int,
    claim: KeyClaim | None,
    items: list[Item],
    *rest: object,
) -> Sequence[int] | Outcome:
    order = write.change.after
    entries = write.entries
    key = (
        (claim.subject, claim.key, claim.request_hash, claim.status, claim.body)
        if claim
        else (None, None, None, None, None)
    )
    try:
        with mapped_errors():
            seqs: Sequence[int] | None = await pool.fetchval(
                statement, UUID(order.id), *key,
                [i.name for i in items], [i.quantity for i in items],
                [i.unit_price for i in items], [i.note for i in items],
                [e.channel for e in entries], [e.digest_delta for e in entries],
                [e.body for e in entries],
                order.version, write.change.type, order.updated_at, shard, order.store_id, *rest,
            )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == _KEYS:
            return "key-taken"
        raise
    return "stale" if seqs is None else seqs
