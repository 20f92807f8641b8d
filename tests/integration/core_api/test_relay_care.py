"""What a relay must not be stopped by: clocks set back, shards that are gone, tasks that die."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import structlog

from core_api.kafka.topics import ensure_topics, events_topic
from core_api.postgres import migrate
from core_api.postgres.commit_hints import Hints
from core_api.postgres.pool import open_pool
from core_api.receipts.alarm import ReceiptAlarm
from core_api.relay.leases import plan_leases
from core_api.relay.outbox import Outbox
from core_api.relay.relay import Relay
from tests.integration.core_api.relaying import (
    PARTITIONS,
    all_arrive,
    commands,
    followed,
    place,
    started,
    until_empty,
    until_true,
)
from tests.parts import make_database

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool
    from deploy.local.postgres import EmbeddedPostgres

TTL_S = 5.0
# What a clock that is set back leaves of what was written before.
SET_BACK = """
WITH leases AS (
    UPDATE relay_leases SET expires_at = expires_at + make_interval(secs => $1),
        renewed_at = renewed_at + make_interval(secs => $1)
)
UPDATE relay_members SET seen_at = seen_at + make_interval(secs => $1)
"""


@pytest.mark.parametrize("by_s", [20.0, 120.0])
async def test_the_leases_of_a_dead_relay_do_not_outlive_a_clock_that_is_set_back(
    pool: Pool, by_s: float
) -> None:
    dead, peer = Outbox(pool, "dead", TTL_S), Outbox(pool, "peer", TTL_S)
    fences = await dead.claim([0, 1, 2, 3])
    await dead.beat(fences)
    await pool.execute(SET_BACK, by_s)
    await peer.beat({})
    members, leases = await peer.look()
    plan = plan_leases("peer", members, PARTITIONS, leases)
    assert plan.claim == (0, 1, 2, 3), "the dead one counts no more"
    assert await peer.claim(plan.claim) == dict.fromkeys(range(4), 2)
    assert await dead.delete(fences, [1], "any") == 0


async def test_a_relay_that_lives_keeps_its_leases_when_the_clock_is_set_back(pool: Pool) -> None:
    alive, peer = Outbox(pool, "alive", TTL_S), Outbox(pool, "peer", TTL_S)
    fences = await alive.claim([0, 1])
    await alive.beat(fences)
    await pool.execute(SET_BACK, 120.0)
    assert await alive.beat(fences) == {0, 1}
    assert await peer.claim([0, 1]) == {}
    assert (await peer.look())[0] == {"alive"}


async def test_rows_of_shards_that_are_gone_are_published_where_their_stores_are_now(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    on = commands(pool)
    for number in range(30):
        await place(on, str(number % 10))
    await pool.execute("UPDATE outbox SET shard = shard + $1 WHERE id % 2 = 0", PARTITIONS)
    await pool.execute("UPDATE outbox SET shard = shard + $1 WHERE id % 2 = 1", 7 * PARTITIONS)
    async with (
        started(pool, database_url, bootstrap, topic),
        followed(bootstrap, topic) as seen,
    ):
        await all_arrive(pool, seen, 60)
        await until_empty(pool, 60)
        assert seen.repeated == 0


async def test_a_relay_whose_topic_has_other_partitions_waits_and_leaves_the_shards_to_others(
    pool: Pool, database_url: str, bootstrap: str, topic: str
) -> None:
    await ensure_topics(bootstrap, [events_topic(topic, PARTITIONS)], 10)
    with structlog.testing.capture_logs() as logs:
        async with started(pool, database_url, bootstrap, topic, partitions=PARTITIONS + 1):
            await place(commands(pool), "12")
            async with asyncio.timeout(60):
                while not any("YABAM_PARTITIONS" in line.get("reason", "") for line in logs):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert not await pool.fetchval(
                "SELECT count(*) FROM relay_leases WHERE expires_at > now()"
            )
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 1


@pytest.mark.parametrize(
    ("task", "of", "method"),
    [("relay", Relay, "_cycle"), ("reach", ReceiptAlarm, "look"), ("hints", Hints, "_listen_once")],
)
async def test_a_task_that_dies_of_a_bug_is_started_again(
    pool: Pool,
    database_url: str,
    bootstrap: str,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    of: type,
    method: str,
) -> None:
    works, died = getattr(of, method), asyncio.Event()
    again = asyncio.Event()

    async def dies_once(self: object) -> object:
        if not died.is_set():
            died.set()
            raise ZeroDivisionError("a bug")
        again.set()
        return await works(self)

    monkeypatch.setattr(of, method, dies_once)
    with structlog.testing.capture_logs() as logs:
        async with (
            started(pool, database_url, bootstrap, topic),
            followed(bootstrap, topic) as seen,
        ):
            async with asyncio.timeout(60):
                await again.wait()
            await place(commands(pool), "12")
            await all_arrive(pool, seen, 60)
    failed = [line["task"] for line in logs if line["event"] == "background_task_failed"]
    assert failed == [task]


async def test_a_relay_that_is_there_before_the_tables_raises_alarms_once_they_are(
    postgres: EmbeddedPostgres, bootstrap: str, topic: str
) -> None:
    url = await make_database(postgres)
    pool = await open_pool(url, size=4, command_timeout_s=30, name="test")
    alerts = f"{topic}-alerts"
    with structlog.testing.capture_logs() as logs:
        async with started(pool, url, bootstrap, topic, alerts=alerts, every_s=0.1):
            async with asyncio.timeout(60):
                while not any(  # noqa: ASYNC110
                    line.get("task") == "reach" or line["event"] == "reach_waits" for line in logs
                ):
                    await asyncio.sleep(0.02)
            await migrate.upgrade(url)
            await place(commands(pool), "12")
            await pool.execute("UPDATE orders SET placed_at = now() - interval '1 hour'")
            await until_true(
                pool,
                "SELECT EXISTS (SELECT FROM unreached WHERE told_at IS NOT NULL)",
                60,
            )
    assert [line["kind"] for line in logs if line["event"] == "store_unreached"]
    pool.terminate()
