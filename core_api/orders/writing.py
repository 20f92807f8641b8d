"""The writing statement: many commands at once, one transaction, one round trip.

Concurrent commands go out together (`core_api/postgres/query_batching.py`); one alone is a batch of
one. Locks are taken in one order by every writer of orders, so none deadlock: the orders' rows by
id; the idempotency keys' index entries by key; last the counter rows of the channels, sorted by
name (docs/architecture.md, "Locks", has the order of all writers). These are held only for the
inserts into the log and the outbox and the commit that follow (promise 1: a seq is given under its
channel's lock, so in commit order, and given back by a rollback, so without a gap).

A command whose condition no longer holds (another writer was first, the key is taken, there is no
room for more open orders) is left out by the statement; the others are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from core_api.errors import UnavailableError
from core_api.event_log.append import NO_ROOM, RULES_CHANGED
from core_api.orders.admission import DEFAULT_OPEN_LIMITS, OpenLimits
from core_api.orders.channel_entries import ChannelEntry
from core_api.orders.missing_counts import count_open
from core_api.orders.writes import OrderWrite, WriteOutcome, WriteResult
from core_api.orders.writing_statement import ITEM_COLUMNS, BatchKind, writing_statement
from core_api.postgres.errors import Meaning, means
from core_api.postgres.pool import Pool, mapped_errors

MAX_CLASHES: Final = 4
"""How many deadlocks or serialisation failures a batch may meet before it fails."""

_RULES: Final = """
SELECT q.store_id, h.rules FROM unnest($1::text[]) AS q(store_id)
     JOIN channel_heads h ON h.channel = 'store:' || q.store_id
"""
_OUTDATED: Final = WriteResult(WriteOutcome.RULES_CHANGED, "")
_ROUNDS_IN_DETAIL: Final = 100
"""For so many batches after a batch without room the statement finds the commands to refuse: a
batch that fails and is written again costs twice, so at most a hundredth of them may."""


class OrderWriter:
    """Writes commands.

    Args:
        pool: the database.
        limits: how much may be open at once.
    """

    def __init__(self, pool: Pool, limits: OpenLimits = DEFAULT_OPEN_LIMITS) -> None:
        self._pool = pool
        self._limits = limits
        self._in_detail = 0

    async def write_each(
        self, writes: Sequence[OrderWrite]
    ) -> tuple[None, list[WriteResult | Exception]]:
        """Write commands, all in one transaction; if Postgres refuses it, each in its own, so that
        a faulty one does not affect the others. No two may share an order or an idempotency key.

        Returns:
            The result of each, in their order.

        Raises:
            LockedError: the batch met a lock that is held; nothing is written.
            UnavailableError: Postgres does not answer, and it may have written; or the statement
                failed in `MAX_CLASHES` conflicts with other transactions, and nothing is written.
        """
        try:
            return None, [*await self._write_batch(writes)]
        except asyncpg.PostgresError as error:
            if _place_of(error) == RULES_CHANGED:
                return None, await self._write_unless_outdated(writes)
            if len(writes) == 1:
                return None, [error]
        outcomes: list[WriteResult | Exception] = []
        for write in writes:
            try:
                outcomes += (await self.write_each([write]))[1]
            except UnavailableError as error:
                outcomes.append(error)  # the failure of this command; the others are written by now
        return None, outcomes

    async def _write_batch(self, writes: Sequence[OrderWrite]) -> list[WriteResult]:
        kind = _kind_of(writes)
        arguments = _arguments(writes, kind)
        if not self._in_detail:
            try:
                return await self._run(kind, arguments, room_is_certain=True)
            except asyncpg.NotNullViolationError as error:
                if _place_of(error) not in NO_ROOM:
                    raise
            self._in_detail = _ROUNDS_IN_DETAIL
        self._in_detail -= 1
        return await self._run(kind, arguments, room_is_certain=False)

    async def _run(
        self, kind: BatchKind, arguments: Sequence[Sequence[object]], *, room_is_certain: bool
    ) -> list[WriteResult]:
        statement = writing_statement(kind, self._limits, room_is_certain)
        rows = await _fetch(self._pool, statement, arguments)
        outcomes = [_OUTDATED] * len(rows)
        uncounted: list[str] = []
        for place, outcome, channels, epoch in rows:
            outcomes[place] = WriteResult(WriteOutcome(outcome), epoch)
            uncounted = channels or uncounted
        if uncounted:
            await count_open(self._pool, uncounted)
        return outcomes

    async def _write_unless_outdated(
        self, writes: Sequence[OrderWrite]
    ) -> list[WriteResult | Exception]:
        """Write the commands of a batch whose store's rules have not changed since the decision."""
        stores = sorted({write.store_id for write in writes if write.rules is not None})
        with mapped_errors():
            rows = await self._pool.fetch(_RULES, stores)
        numbers = {row[0]: row[1] for row in rows}
        outdated = [
            write.rules is not None and write.rules != numbers.get(write.store_id, 0)
            for write in writes
        ]
        if not any(outdated):
            # The rules keep changing: each command is decided again.
            return [_OUTDATED] * len(writes)
        going = [write for write, is_old in zip(writes, outdated, strict=True) if not is_old]
        written = iter((await self.write_each(going))[1] if going else ())
        return [_OUTDATED if is_old else next(written) for is_old in outdated]


async def _fetch(
    pool: Pool, statement: str, arguments: Sequence[Sequence[object]]
) -> Sequence[asyncpg.Record]:
    # Writers do not conflict with each other; after a conflict with another transaction, which
    # Postgres rolls back whole, the batch is written again.
    clash: Exception | None = None
    with mapped_errors():
        for _ in range(MAX_CLASHES):
            try:
                return await pool.fetch(statement, *arguments)
            except asyncpg.PostgresError as error:
                if not means(error, Meaning.CLASHED):
                    raise
                clash = error
    raise UnavailableError(f"other transactions kept conflicting with it: {clash}") from clash


def _place_of(error: asyncpg.PostgresError) -> tuple[str | None, str | None]:
    return error.table_name, error.column_name


def _kind_of(writes: Sequence[OrderWrite]) -> BatchKind:
    changes = [write.rows.change for write in writes]
    if all(change.before is None for change in changes):
        return BatchKind.PLACED
    if all(
        change.before is not None and change.before.items == change.after.items
        for change in changes
    ):
        return BatchKind.STEPPED
    return BatchKind.MIXED


def _arguments(writes: Sequence[OrderWrite], kind: BatchKind) -> list[Sequence[object]]:
    # Each id is read once, though several rows name it.
    numbered = [(write, UUID(write.order_id)) for write in writes]
    rows = [_order_row(write, n) for write, n in numbered]
    columns = [_column(values) for values in zip(*rows, strict=True)]
    if kind is BatchKind.STEPPED:
        return columns
    items = [row for write, n in numbered for row in _item_rows(write, n)]
    return columns + ([*zip(*items, strict=True)] if items else [()] * ITEM_COLUMNS)


def _column(values: Sequence[object]) -> Sequence[object]:
    # unnest() fills shorter arrays with nulls, and the driver encodes each value that is sent.
    return values if any(value is not None for value in values) else ()


def _order_row(write: OrderWrite, order_id: UUID) -> tuple[object, ...]:
    change, claim = write.rows.change, write.claim
    before, order = change.before, change.after
    entry, *others = write.rows.entries
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
        order.placed_by or None, write.rules, write.rows.opened, entry.digest_delta,
        *_event_columns(entry), *(_event_columns(others[0]) if others else (None,) * 4),
    )  # fmt: skip


def _event_columns(entry: ChannelEntry) -> tuple[object, ...]:
    content = asyncpg.BitString.frombytes(entry.content_delta.to_bytes(16, "big"))
    return entry.channel, entry.body, content, entry.open_bytes


def _item_rows(write: OrderWrite, order_id: UUID) -> list[tuple[object, ...]]:
    before, order = write.rows.change.before, write.rows.change.after
    if before is not None and before.items == order.items:
        return []
    return [
        (order_id, line, item.name, item.quantity, item.unit_price, item.note)
        for line, item in enumerate(order.items, 1)
    ]
