"""Events of channels of no store through the relay: a copy for each partition, each in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_sdk.contract.state.operations import Set
from core_api.access.callers import Caller
from core_api.relay.outbox import Outbox
from server_common.kafka_records.events import partition_of
from tests.integration.core_api.relaying import (
    PARTITIONS,
    Topic,
    commands,
    followed,
    place,
    started,
    until_empty,
    until_true,
)
from tests.integration.core_api.test_edits import Till, service

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

OPS = Caller("ops", "ops")
EVERY = range(PARTITIONS)


class Notices:
    """Who changes the notice to all stores."""

    def __init__(self, pool: Pool) -> None:
        self._till = Till(service(pool), OPS, "ops-1")

    async def post(self, count: int = 1) -> None:
        """So many changes, one event each."""
        for _ in range(count):
            base = self._till.n
            value = {"text": f"notice {base + 1}", "level": "info"}
            outcome = await self._till.do("global", "notice", Set(value), base)
            assert outcome.outcome == "applied"


def copies(seen: Topic) -> dict[int, int]:
    """How many records without a key each partition has had."""
    return {partition: count for (key, partition), count in seen.keys.items() if key is None}


async def shards(pool: Pool) -> list[tuple[int, str | None, int]]:
    rows = await pool.fetch("SELECT shard, store_id, seqs[1] FROM outbox ORDER BY id")
    return [tuple(row) for row in rows]


async def test_each_partition_has_every_event_in_order_and_without_a_key(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    notices = Notices(pool)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await notices.post(5)
        await seen.until(lambda: copies(seen) == dict.fromkeys(EVERY, 5))
        await until_empty(pool)
    in_order = [f"global@{seq}" for seq in range(1, 6)]
    assert seen.ids == dict.fromkeys(EVERY, in_order)
    assert {record.type for record in seen.records} == {"document.changed"}


async def test_a_shard_whose_relay_is_dead_holds_up_no_other(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    notices = Notices(pool)
    await pool.execute(
        "INSERT INTO relay_leases (shard, owner, fence, expires_at, renewed_at)"
        " VALUES (2, 'dead', 7, now() + interval '1 h', now())"
    )
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await notices.post(3)
        await seen.until(lambda: copies(seen) == {0: 3, 1: 3, 3: 3})
        # What is published is deleted a moment later.
        await until_true(pool, "SELECT NOT EXISTS (SELECT FROM outbox WHERE shard <> 2)")
        assert [(shard, seq) for shard, _, seq in await shards(pool)] == [(2, 1), (2, 2), (2, 3)]
        await pool.execute("UPDATE relay_leases SET expires_at = now() WHERE owner = 'dead'")
        await seen.until(lambda: copies(seen) == dict.fromkeys(EVERY, 3))
        await until_empty(pool)


async def test_the_copies_of_shards_that_are_no_more_are_dropped_and_orders_move(
    pool: Pool,
) -> None:
    await Notices(pool).post(2)
    of_shard = {partition_of(str(n), PARTITIONS): str(n) for n in range(40)}
    await place(commands(pool), of_shard[3], table=None)
    await Outbox(pool, "a", 5.0).rehome(2)
    store = of_shard[3]
    assert sorted(await shards(pool), key=str) == sorted(
        [
            *((shard, None, seq) for shard in (0, 1) for seq in (1, 2)),
            (partition_of(store, 2), store, 1),
        ],
        key=str,
    )


async def test_copies_of_shards_that_there_are_stay_where_they_are(pool: Pool) -> None:
    await Notices(pool).post(2)
    before = await shards(pool)
    await Outbox(pool, "a", 5.0).rehome(PARTITIONS)
    await Outbox(pool, "a", 5.0).rehome(PARTITIONS * 2)
    assert await shards(pool) == before
