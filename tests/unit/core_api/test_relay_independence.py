"""What stops one shard of a relay leaves the others as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from core_api.errors import UnavailableError, UnreadableRowError
from core_api.kafka.messages import Message, PublishResult
from core_api.kafka.topics import BrokerError
from core_api.relay.cycle import OutboxReading, OutboxRow
from core_api.relay.leases import Lease
from core_api.relay.metrics import RelayMetrics
from core_api.relay.outbox import Depth
from core_api.relay.relay import Relay
from core_api.restore.epoch_guard import SharedTopicError
from tests.unit.core_api.test_relay import Answers, Parts

SLOW, OTHER = 0, 1


def row(number: int, store: str | None, fault: str | None = None) -> OutboxRow:
    lines = () if fault else (b"{}",)
    return OutboxRow(
        number, store, "order.placed", "now", (f"store:{store}@{number}",), lines, fault
    )


class Database:
    """Two shards with the rows that are put there, and a way to hold some."""

    def __init__(self) -> None:
        self.rows: dict[int, list[OutboxRow]] = {SLOW: [], OTHER: []}
        self.damaged: set[int] = set()
        self.locked: set[int] = set()
        self.set_asides: dict[int, str] = {}
        self.epoch = "E1"
        self.changed = asyncio.Condition()
        self.claimed: dict[int, int] = {}
        self.read_rows = 0

    async def put(self, shard: int, *numbers: int) -> None:
        self.rows[shard] += [row(number, str(shard)) for number in numbers]

    async def until_gone(self, *numbers: int) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(
                lambda: not {r.id for of in self.rows.values() for r in of} & set(numbers)
            )

    async def beat(self, fences: Mapping[int, int]) -> set[int]:
        return set(fences)

    async def look(self) -> tuple[set[str], list[Lease]]:
        return {"me"}, [Lease(shard, "me", f, 5.0) for shard, f in self.claimed.items()]

    async def claim(self, shards: Sequence[int]) -> dict[int, int]:
        self.claimed = dict.fromkeys(shards, 1)
        return self.claimed

    async def depth(self) -> Depth:
        return Depth(0, 0.0)

    async def read(self, fences: Mapping[int, int], rows_per_shard: int) -> OutboxReading | None:
        found = {shard: self.rows[shard][:rows_per_shard] for shard in fences}
        if self.damaged & {r.id for rows in found.values() for r in rows}:
            raise UnreadableRowError("a value is damaged")
        self.read_rows += sum(map(len, found.values()))
        return OutboxReading(self.epoch, 1000.0, 0.0, found)

    async def name_first(self, fence: Mapping[int, int], fault: str) -> OutboxReading | None:
        (shard,) = fence
        first = self.rows[shard][0]
        return OutboxReading(
            self.epoch, 1000.0, 0.0, {shard: [row(first.id, first.store_id, fault)]}
        )

    async def _take_out(self, ids: Sequence[int]) -> int:
        free = set(ids) - self.locked
        count = 0
        async with self.changed:
            for shard, rows in self.rows.items():
                count += sum(r.id in free for r in rows)
                self.rows[shard] = [r for r in rows if r.id not in free]
            self.changed.notify_all()
        return count

    async def delete(self, fences: Mapping[int, int], ids: Sequence[int], epoch: str) -> int:
        return await self._take_out(ids)

    async def set_aside(
        self, fences: Mapping[int, int], reasons: Mapping[int, str], epoch: str
    ) -> int:
        self.set_asides |= reasons
        return await self._take_out(list(reasons))

    async def rehome(self, partitions: int) -> int:
        return 0

    async def release(self, fences: Mapping[int, int]) -> None:
        return None

    async def leave(self) -> None:
        return None


class Kafka:
    """Takes all; a partition that is slow answers when it is told to."""

    def __init__(self) -> None:
        self.slow: set[int] = set()
        self.waiting: dict[int, asyncio.Future[PublishResult]] = {}
        self.taken: list[tuple[int, bytes | None, dict[str, Any]]] = []

    async def open(self) -> None:
        return None

    async def send(self, parts: Parts) -> Answers:
        answers: Answers = {}
        for shard, messages in parts.items():
            answers[shard] = asyncio.get_running_loop().create_future()
            self._take(shard, messages)
            if shard in self.slow:
                self.waiting[shard] = answers[shard]
            else:
                answers[shard].set_result(PublishResult({shard: len(messages)}))
        await asyncio.sleep(0)
        return answers

    def _take(self, shard: int, messages: Sequence[Message]) -> None:
        self.taken += [(shard, one.value, dict(one.headers)) for one in messages]

    def events(self, shard: int) -> list[str]:
        """The ids of the events that were sent to a partition, or announced there."""
        named = [h.get("ids") or h.get("omitted") for at, _, h in self.taken if at == shard]
        return [name.decode() for name in named if name is not None]

    def marks(self, shard: int) -> int:
        """How many watermarks were sent to a partition."""
        return sum(at == shard and "watermark" in headers for at, _, headers in self.taken)

    async def close(self) -> None:
        return None


class Guard:
    """A database that never went back; a partition that is not there is waited for."""

    def __init__(self) -> None:
        self.silent: set[int] = set()
        self.refuses: set[int] = set()

    async def check_identity(self) -> None:
        return None

    async def check_published(self, shards: Sequence[int]) -> None:
        if self.refuses & set(shards):
            raise BrokerError("no leader")
        if self.silent & set(shards):
            await asyncio.Event().wait()


class World:
    def __init__(self) -> None:
        self.database, self.kafka, self.guard = Database(), Kafka(), Guard()
        self.metrics = RelayMetrics(CollectorRegistry())
        self.relay = Relay(
            self.database,
            self.kafka,
            self.guard,
            relay_id="me",
            partitions=2,
            lease_ttl_s=0.5,
            clock=asyncio.get_running_loop().time,
            metrics=self.metrics,
        )

    async def __aenter__(self) -> World:
        self._running = asyncio.create_task(self.relay.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        for answer in self.kafka.waiting.values():
            if not answer.done():
                answer.set_exception(BrokerError("it ends"))
        self.relay.stop()
        await self._running

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 (the relay tells nobody)
                await asyncio.sleep(0.001)


@pytest.fixture
async def world() -> World:
    return World()


async def test_a_partition_that_never_answers_delays_no_other_shard(world: World) -> None:
    world.kafka.slow = {SLOW}
    await world.database.put(SLOW, 1)
    async with world:
        for number in range(10, 30):
            await world.database.put(OTHER, number)
            await world.database.until_gone(number)
        assert world.kafka.events(SLOW) == ["store:0@1"], "one batch at a time"
        assert [r.id for r in world.database.rows[SLOW]] == [1]


async def test_watermarks_of_other_shards_go_on_meanwhile(world: World) -> None:
    world.kafka.slow = {SLOW}
    async with world:
        await world.until(lambda: world.kafka.marks(OTHER) >= 3)
        assert world.kafka.marks(SLOW) == 1


async def test_a_partition_that_answers_late_is_settled_and_goes_on(world: World) -> None:
    world.kafka.slow = {SLOW}
    await world.database.put(SLOW, 1)
    async with world:
        await world.until(lambda: SLOW in world.kafka.waiting)
        await world.database.put(SLOW, 2)
        world.kafka.slow = set()
        world.kafka.waiting[SLOW].set_result(PublishResult({SLOW: 2}))
        await world.database.until_gone(1, 2)
        assert world.kafka.events(SLOW) == ["store:0@1", "store:0@2"]
        assert world.relay.trouble is None


async def test_a_partition_that_does_not_answer_is_named(world: World) -> None:
    world.kafka.slow = {SLOW}
    async with world:
        await world.until(lambda: "partition 0" in (world.relay.trouble or ""))
        assert f"partition {OTHER}" not in (world.relay.trouble or "")


async def test_a_partition_that_fails_is_tried_again_and_nothing_of_it_is_lost(
    world: World,
) -> None:
    world.kafka.slow = {SLOW}
    await world.database.put(SLOW, 1)
    async with world:
        await world.until(lambda: SLOW in world.kafka.waiting)
        world.kafka.slow = set()
        world.kafka.waiting[SLOW].set_exception(BrokerError("no leader"))
        await world.database.put(OTHER, 10)
        await world.database.until_gone(1, 10)
        assert world.kafka.events(SLOW) == ["store:0@1", "store:0@1"]
        runs = {h["sent"].partition(b".")[0] for s, _, h in world.kafka.taken if s == SLOW}
        assert len(runs) == 2, "it is not certain what is stored"


async def test_a_topic_that_another_installation_writes_to_is_left_to_a_person(
    world: World,
) -> None:
    async def shared(_shards: Sequence[int]) -> None:
        raise SharedTopicError("another installation writes to this topic")

    world.guard.check_published = shared  # type: ignore[assignment]
    await world.database.put(OTHER, 10)
    async with world:
        await world.until(lambda: "another installation" in (world.relay.trouble or ""))
        assert world.kafka.taken == []
        assert world.metrics.failures.labels("settings")._value.get() == 1


@pytest.mark.parametrize("how", ["silent", "refuses"])
async def test_a_partition_that_cannot_be_looked_at_keeps_only_its_own_shard_waiting(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core_api.relay.restore_checks.TOGETHER_WITHIN_S", 0.05)
    setattr(world.guard, how, {SLOW})
    await world.database.put(SLOW, 1)
    await world.database.put(OTHER, 10)
    async with world:
        await world.database.until_gone(10)
        assert world.kafka.events(SLOW) == [], "nothing is published before it is proven"
        world.guard.silent = world.guard.refuses = set()
        if how == "refuses":
            await world.database.until_gone(1)


async def test_a_row_that_somebody_holds_is_published_once_and_the_others_go_on(
    world: World,
) -> None:
    world.database.locked = {1}
    await world.database.put(SLOW, 1, 2)
    async with world:
        for number in range(10, 20):
            await world.database.put(OTHER, number)
            await world.database.until_gone(number)
        await world.database.put(SLOW, 3)
        await world.database.until_gone(2, 3)
        assert world.kafka.events(SLOW) == ["store:0@1", "store:0@2", "store:0@3"]
        world.database.locked = set()
        await world.database.until_gone(1)


async def test_what_was_stored_in_an_epoch_that_is_over_is_published_in_the_new_one(
    world: World,
) -> None:
    world.database.locked = {1}
    await world.database.put(SLOW, 1)
    async with world:
        await world.until(lambda: world.kafka.events(SLOW))
        world.database.epoch = "E2"
        await world.until(lambda: len(world.kafka.events(SLOW)) == 2)
    assert world.kafka.events(SLOW) == ["store:0@1", "store:0@1"]


async def test_a_row_that_the_database_cannot_give_is_announced_and_set_aside(
    world: World,
) -> None:
    world.database.damaged = {3}
    await world.database.put(SLOW, 1, 2, 3, 4, 5)
    await world.database.put(OTHER, 10, 11)
    async with world:
        await world.database.until_gone(1, 2, 3, 4, 5, 10, 11)
    assert world.database.set_asides == {3: "a value is damaged"}
    assert world.kafka.events(SLOW) == [f"store:0@{n}" for n in range(1, 6)]
    assert world.kafka.events(OTHER) == ["store:1@10", "store:1@11"]
    assert [h["omitted"] for _, _, h in world.kafka.taken if "omitted" in h] == [b"store:0@3"]


async def test_no_watermark_passes_what_stands_behind_a_row_that_cannot_be_given(
    world: World,
) -> None:
    world.database.damaged = {2}
    await world.database.put(SLOW, 1, 2, 3)
    async with world:
        await world.database.until_gone(1, 2, 3)
        await world.until(lambda: world.kafka.marks(SLOW))
    kinds = ["mark" if "watermark" in h else "event" for s, _, h in world.kafka.taken if s == SLOW]
    assert kinds.index("mark") >= 3


async def test_a_database_that_is_away_is_not_read_row_by_row(world: World) -> None:
    reads = 0

    async def away(*_: object) -> OutboxReading | None:
        nonlocal reads
        reads += 1
        raise UnavailableError("it is away")

    world.database.read = away  # type: ignore[method-assign, assignment]
    await world.database.put(SLOW, 1)
    async with world:
        await world.until(lambda: reads >= 2)
        assert world.relay.trouble == "it is away"
    assert world.database.set_asides == {}
