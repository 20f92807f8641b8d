"""Devices' messages over Kafka: applied once, in order, answered after the commit."""

from __future__ import annotations

import asyncio
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from server_common.devices.messages import Outbound
from server_common.limits import SNAPSHOT_BYTES
from tests.children import child
from tests.integration.core_api.device_reading import Topics
from tests.integration.core_api.device_shop import BELL, PNG, STORE, Shop
from tests.integration.core_api.relaying import until_true

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def shop(pool: Pool) -> Shop:
    made = Shop(pool)
    await made.register(table="5")
    return made


@pytest.fixture
async def topics(bootstrap: str) -> AsyncIterator[Topics]:
    async with Topics.made(bootstrap) as made:
        yield made


def press(n: int, **more: Any) -> dict[str, Any]:
    return {"boot": 1, "n": n, "name": "bell", "reason": str(n)} | more


async def test_each_message_is_applied_in_order_and_answered(
    shop: Shop, topics: Topics, pool: Pool
) -> None:
    command = await shop.ask()
    for n in range(1, 11):
        await topics.say("event", press(n))
    await topics.say("result", {"boot": 1, "n": 11, "id": command.id, "outcome": "done"})
    await topics.say("status", {"connection": "a", "online": True, "at": 1})
    async with topics.read(pool):
        answers = await topics.answers(11)
        await topics.until_committed(12)
    assert answers == [Outbound(STORE, BELL, 1, n, "applied") for n in range(1, 12)]
    bell = await shop.document("bell", f"party:{STORE}/5")
    assert bell == {"rung": 10, "answered": 0, "reason": "10"}
    assert (await shop.document(f"command.{command.id}"))["state"] == "done"
    assert (await shop.document("status"))["online"] is True


async def test_what_is_delivered_again_is_answered_again_and_changes_nothing(
    shop: Shop, topics: Topics, pool: Pool
) -> None:
    for n in (1, 2):
        await topics.say("event", press(n))
    async with topics.read(pool):
        await topics.until_committed(2)
    # The whole topic once more, as after a crash before the offsets were committed.
    topics.group += "-again"
    async with topics.read(pool):
        answers = await topics.answers(4)
    assert [one.outcome for one in answers] == ["applied"] * 2 + ["repeated"] * 2
    assert (await shop.document("bell", f"party:{STORE}/5"))["rung"] == 2


async def test_what_does_not_fit_lies_aside_and_what_follows_is_applied(
    shop: Shop, topics: Topics, pool: Pool
) -> None:
    await topics.send(b"{nope", b"12/bell-1")
    await topics.send(None, b"12/bell-1")
    await topics.say("event", press(0))
    await topics.say("result", {"boot": 1, "n": 5, "id": "none", "outcome": "done"})
    await topics.say("event", press(1), "stranger")
    await topics.say("event", press(6))
    async with topics.read(pool):
        letters = await topics.dead_letters(5)
        answers = await topics.answers(2)
        await topics.until_committed(6)
    reasons = sorted(letter.reason for letter in letters)
    assert reasons == ["bad-json", "bad-json", "invalid", "unknown-command", "unknown-device"]
    assert {(one.n, one.outcome, one.problem) for one in answers} == {
        (5, "refused", "unknown-command"),
        (6, "applied", None),
    }
    assert (await shop.document("bell", f"party:{STORE}/5"))["rung"] == 1


async def test_the_largest_picture_passes_through_kafka(
    shop: Shop, topics: Topics, pool: Pool
) -> None:
    picture = PNG + b"x" * (SNAPSHOT_BYTES - len(PNG))
    data = b64encode(picture).decode()
    await topics.say("snapshot", {"media_type": "image/png", "data": data})
    async with topics.read(pool):
        await topics.until_committed(1)
    assert await shop.pool.fetchval("SELECT picture FROM device_snapshots") == picture


async def test_a_partition_counts_as_listened_to_only_while_it_is_read_to_its_end(
    shop: Shop, topics: Topics, pool: Pool
) -> None:
    await topics.say("status", {"connection": "a", "online": True, "at": 1})
    async with topics.read(pool) as ingest:
        assert ingest.listened(0.0) == frozenset()
        async with asyncio.timeout(30):
            while ingest.listened(0.0) != frozenset(range(4)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert ingest.listened(3600.0) == frozenset()
    assert ingest.listened(0.0) == frozenset()
    assert (await shop.document("status"))["online"] is True


async def test_a_message_whose_reader_is_killed_before_it_answers_is_applied_once_and_answered(
    shop: Shop, topics: Topics, pool: Pool, database_url: str
) -> None:
    await topics.say("event", press(1))
    await topics.say("event", press(2))
    async with child(
        sys.executable,
        "-m",
        "tests.integration.core_api.device_ingest_process",
        database_url,
        topics.bootstrap,
        topics.inbound,
        topics.outbound,
        topics.dead,
        topics.group,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            async for line in process.stdout:
                if line.startswith(b"committed 1"):
                    break
    bell = "SELECT value::jsonb ->> 'rung' FROM documents WHERE key = 'bell'"
    before = await pool.fetchval(bell)
    async with topics.read(pool):
        # The broker gives the partition of the dead member to another one after its session.
        answers = await topics.answers(2)
    assert [one.n for one in answers] == [1, 2]
    assert answers[0].outcome == "repeated"
    assert int(before) in (1, 2)
    await until_true(pool, f"SELECT ({bell}) = '2'")


async def test_a_message_waits_for_the_database_and_no_offset_passes_it(
    shop: Shop, topics: Topics, pool: Pool
) -> None:
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM device_registrations FOR UPDATE")
        await topics.say("event", press(1))
        async with topics.read(pool):
            held = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await until_true(pool, held, 30)
            await other.execute("ROLLBACK; BEGIN")
            (answer,) = await topics.answers(1)
    assert answer == Outbound(STORE, BELL, 1, 1, "applied")
