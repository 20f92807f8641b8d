"""Alerts of a partition that takes none wait by themselves; all others are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import pytest

from core_api.kafka import alerts
from core_api.kafka.alerts import Alerts
from core_api.kafka.messages import Message, PublishResult
from core_api.kafka.publisher import KafkaPublisher, Sent
from core_api.kafka.topics import BrokerError
from server_common.kafka_records.events import partition_of

PARTITIONS = 4
DEAD = 2


class Alert(NamedTuple):
    """Something to tell."""

    number: int
    store_id: str


def stores(partition: int, count: int) -> list[str]:
    """As many stores of this partition."""
    every = (str(number) for number in range(1_000_000))
    of_it = (store for store in every if partition_of(store, PARTITIONS) == partition)
    return [next(of_it) for _ in range(count)]


class Topic:
    """A topic, one of whose partitions has no leader."""

    partitions = PARTITIONS

    def __init__(self) -> None:
        self.has_leader = False
        self.waiting: asyncio.Future[None] | None = None
        self.stored: list[str] = []
        self.tries = 0

    async def open(self) -> None:
        """It is open."""

    async def send(self, parts: Mapping[int, Sequence[Message]]) -> Sent:
        return {part: asyncio.create_task(self._store(part, of)) for part, of in parts.items()}

    async def _store(self, partition: int, messages: Sequence[Message]) -> PublishResult:
        if partition == DEAD and not self.has_leader:
            assert self.waiting is None or self.waiting.done(), "one batch of it at most"
            self.tries += 1
            self.waiting = asyncio.get_running_loop().create_future()
            await self.waiting
        self.stored += [message.key.decode() for message in messages if message.key]
        return PublishResult({partition: len(messages)})


class Untold:
    """What is to be told, in its order."""

    def __init__(self, stores: Sequence[str]) -> None:
        self.left = [Alert(number, store) for number, store in enumerate(stores)]

    async def read(self, last: Alert | None, limit: int) -> list[Alert]:
        after = -1 if last is None else last.number
        return [one for one in self.left if one.number > after][:limit]

    async def note(self, told: Sequence[Alert]) -> None:
        self.left = [one for one in self.left if one not in told]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "PAGE", 3)
    monkeypatch.setattr(alerts, "ANSWER_WITHIN_S", 0.01)


def over(topic: Topic, untold: Untold) -> Alerts[Alert]:
    return Alerts(
        cast(KafkaPublisher, topic),
        lambda one: Message(one.store_id.encode(), b"", [], 1),
        untold.read,
        untold.note,
    )


async def test_others_are_told_though_many_older_ones_wait_for_a_dead_partition() -> None:
    dead, live = stores(DEAD, 10), stores(0, 5)
    topic, untold = Topic(), Untold([*dead, *live])
    with pytest.raises(BrokerError, match=r"\[2\]"):
        await over(topic, untold).tell()
    assert topic.stored == live
    assert [one.store_id for one in untold.left] == dead


async def test_what_is_told_is_told_once_while_another_partition_waits() -> None:
    topic, untold = Topic(), Untold([*stores(DEAD, 1), *stores(0, 2)])
    telling = over(topic, untold)
    for _ in range(3):
        with pytest.raises(BrokerError):
            await telling.tell()
    assert topic.stored == stores(0, 2)
    assert topic.tries == 1


async def test_a_partition_that_answers_late_is_believed() -> None:
    topic, untold = Topic(), Untold(stores(DEAD, 2))
    telling = over(topic, untold)
    with pytest.raises(BrokerError):
        await telling.tell()
    assert topic.waiting is not None
    topic.waiting.set_result(None)
    topic.has_leader = True
    await asyncio.sleep(0)
    await telling.tell()
    assert (topic.stored, untold.left) == (stores(DEAD, 2), [])


async def test_a_partition_that_has_failed_is_tried_again() -> None:
    topic, untold = Topic(), Untold(stores(DEAD, 2))
    telling = over(topic, untold)
    with pytest.raises(BrokerError):
        await telling.tell()
    assert topic.waiting is not None
    topic.waiting.set_exception(BrokerError("no answer"))
    topic.has_leader = True
    await asyncio.sleep(0)
    await telling.tell()
    assert (topic.stored, untold.left) == (stores(DEAD, 2), [])
