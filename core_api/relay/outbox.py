"""The outbox and its leases, for one relay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from client_sdk.contract.channel import event_id
from core_api.errors import UnavailableError
from core_api.postgres.errors import Meaning, means
from core_api.postgres.pool import Pool, any_error_mapped
from core_api.postgres.unreadable_rows import unreadable_rows
from core_api.relay.cycle import OutboxReading, OutboxRow
from core_api.relay.leases import Lease
from core_api.relay.outbox_statements import (
    BEAT,
    CLAIM,
    DELETE,
    DELETE_FREE,
    DEPTH,
    DROP_COPIES,
    FIRST,
    LEAVE,
    LOOK,
    MAX_LEFT,
    READ,
    REHOME,
    RELEASE,
    SET_ASIDE,
    STRAYS,
    STRAYS_AT_ONCE,
)
from server_common.kafka_records.events import partition_of


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is waiting in the whole outbox."""

    rows: int
    age_s: float


class Outbox:
    """The outbox and its leases, for one relay.

    Each method raises `UnavailableError` when Postgres does not answer, or answers with an error
    (tables not migrated yet, say): the relay retries in either case.

    Args:
        pool: the database.
        relay_id: the name that leases are held under; no two processes share one.
        lease_ttl_s: how long a lease holds without being renewed.
    """

    def __init__(self, pool: Pool, relay_id: str, lease_ttl_s: float) -> None:
        self._pool = pool
        self._relay_id = relay_id
        self._ttl_s = lease_ttl_s
        self._left: set[int] = set()

    async def read(self, fences: Mapping[int, int], rows_per_shard: int) -> OutboxReading | None:
        """The first rows of each shard whose lease still holds; None if none does.

        Raises:
            UnreadableRowError: Postgres cannot read one of the rows.
            UnavailableError: Postgres does not answer, or was promoted and is not checked yet.
        """
        with any_error_mapped(), unreadable_rows():
            rows = await self._pool.fetch(
                READ, self._relay_id, list(fences), list(fences.values()), rows_per_shard
            )
        if not rows:
            return None
        _check_judged(rows[0][0])
        shards: dict[int, list[OutboxRow]] = {}
        age = 0.0
        for _, _, shard, id_, store_id, age_s, type_, occurred_at, channels, seqs, lines in rows:
            of_shard = shards.setdefault(shard, [])
            if id_ is not None:
                age = max(age, age_s)
                of_shard.append(
                    OutboxRow(
                        id_,
                        store_id,
                        type_ or "",
                        occurred_at or "",
                        tuple(map(event_id, channels, seqs)),
                        tuple(line.encode() for line in lines or ()),
                    )
                )
        return OutboxReading(rows[0][0], rows[0][1], age, shards)

    async def name_first(self, fence: Mapping[int, int], fault: str) -> OutboxReading | None:
        """The first row of one shard without its event, which cannot be read: `fault` says why.
        None: the lease does not hold, or there is no row.

        Raises:
            UnavailableError: as for `read`.
        """
        with any_error_mapped():
            row = await self._pool.fetchrow(
                FIRST, self._relay_id, list(fence), list(fence.values())
            )
        if row is None:
            return None
        epoch, unix_s, shard, id_, store_id, age_s, channels, seqs = row
        _check_judged(epoch)
        ids = tuple(map(event_id, channels, seqs))
        first = OutboxRow(id_, store_id, "", "", ids, (), fault)
        return OutboxReading(epoch, unix_s, age_s, {shard: [first]})

    async def delete(self, fences: Mapping[int, int], ids: Sequence[int], epoch: str) -> int:
        """Delete published rows of shards whose lease is still ours. Returns the number; locked
        rows are left.

        Args:
            fences, ids, epoch: as for `OutboxPort.delete`.
        """
        arguments = self._relay_id, list(fences), list(fences.values()), ids, epoch
        with any_error_mapped():
            try:
                # The second statement skips the locked rows, so that none is waited for twice.
                statement = DELETE if self._left.isdisjoint(ids) else DELETE_FREE
                tag = await self._pool.execute(statement, *arguments)
            except asyncpg.PostgresError as error:
                if not means(error, Meaning.LOCKED):
                    raise
                tag = await self._pool.execute(DELETE_FREE, *arguments)
        count = int(tag.rpartition(" ")[2])
        self._left.difference_update(ids)
        if count < len(ids):
            self._left.update(ids[:MAX_LEFT])
        if len(self._left) > MAX_LEFT:
            self._left.clear()
        return count

    async def set_aside(
        self, fences: Mapping[int, int], reasons: Mapping[int, str], epoch: str
    ) -> int:
        """Set aside the rows that cannot be published, with the reasons. Returns the number.

        Args:
            fences, reasons, epoch: as for `OutboxPort.set_aside`.
        """
        with any_error_mapped():
            tag = await self._pool.execute(
                SET_ASIDE,
                self._relay_id,
                list(fences),
                list(fences.values()),
                list(reasons),
                list(reasons.values()),
                epoch,
            )
        return int(tag.rpartition(" ")[2])

    async def rehome(self, partitions: int) -> int:
        """Move rows of shards that no longer exist to the shards that their stores have now.

        Their ids stay, so they come before all later unpublished events of their stores.
        """
        with any_error_mapped():
            strays = await self._pool.fetch(STRAYS, partitions, STRAYS_AT_ONCE)
            rows = [row for row in strays if row[1] is not None]
            if len(rows) < len(strays):
                await self._pool.execute(DROP_COPIES, partitions, STRAYS_AT_ONCE)
            if rows:
                shards = [partition_of(row[1], partitions) for row in rows]
                await self._pool.execute(REHOME, [row[0] for row in rows], shards, partitions)
        return len(rows)

    async def beat(self, fences: Mapping[int, int]) -> set[int]:
        """Report that this relay is alive and renew its leases. Returns the shards that it still
        owns."""
        with any_error_mapped():
            rows = await self._pool.fetch(
                BEAT, self._relay_id, self._ttl_s, list(fences), list(fences.values())
            )
        return {row[0] for row in rows}

    async def look(self) -> tuple[set[str], list[Lease]]:
        """The relays that are alive, and all leases."""
        with any_error_mapped():
            rows = await self._pool.fetch(LOOK, self._ttl_s)
        members = {row[1] for row in rows if row[0] is None}
        return members, [Lease(*row) for row in rows if row[0] is not None]

    async def claim(self, shards: Sequence[int]) -> dict[int, int]:
        """Claim those of the shards that are free; the fence of each that was claimed."""
        with any_error_mapped():
            rows = await self._pool.fetch(CLAIM, self._relay_id, self._ttl_s, shards)
        return {row[0]: row[1] for row in rows}

    async def release(self, fences: Mapping[int, int]) -> None:
        """Release leases at once, instead of letting them expire."""
        with any_error_mapped():
            await self._pool.execute(RELEASE, self._relay_id, list(fences), list(fences.values()))

    async def leave(self) -> None:
        """Leave the list of relays that are alive."""
        with any_error_mapped():
            await self._pool.execute(LEAVE, self._relay_id)

    async def depth(self) -> Depth:
        """How much waits in the outbox, whoever owns its shards."""
        with any_error_mapped():
            row = await self._pool.fetchrow(DEPTH)
        return Depth(row[0], row[1] or 0.0) if row else Depth(0, 0.0)


def _check_judged(epoch: str | None) -> None:
    if epoch is None:
        raise UnavailableError("the database was promoted: checking which events it lacks")
