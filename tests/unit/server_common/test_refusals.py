"""A broker that refuses what it keeps, because that is damaged, holds no partition up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaError, NotLeaderForPartitionError
from aiokafka.protocol.fetch import FetchRequest
from hypothesis import given
from hypothesis import strategies as st

from server_common.kafka.raw_records import LeftOut, ReadRecord
from server_common.kafka.reading import get_many
from server_common.kafka.refusals import first_given
from tests.raw_batches import batch, record

ONE, TWO = TopicPartition("orders", 1), TopicPartition("orders", 2)


class Log:
    """A partition of batches of two records each, some of which the broker cannot read.

    Args:
        batches: how many.
        damaged: which.
        recovers: after so many refusals the broker can read all of them.
    """

    def __init__(self, batches: int, damaged: Sequence[int] = (), recovers: int = 1 << 30) -> None:
        self.end = 2 * batches
        self._damaged = damaged
        self._recovers = recovers
        self.position = 0

    def answer(self, offset: int) -> tuple[int, bytes]:
        number = offset // 2
        if number in self._damaged and self._recovers > 0:
            self._recovers -= 1
            return CorruptRecordException.errno, b""
        if offset >= self.end:
            return 0, b""
        return 0, batch([record(n, b"%d" % (2 * number + n)) for n in range(2)], base=2 * number)


class Brokers:
    """aiokafka's consumer: it asks for each partition, and does not tell of a refusal."""

    def __init__(self, logs: Mapping[TopicPartition, Log]) -> None:
        self.logs = dict(logs)
        cluster = SimpleNamespace(leader_for_partition=lambda _tp: 1)
        self._client = SimpleNamespace(send=self._send, cluster=cluster)
        self.fails: int | None = None

    async def getmany(self, *_partitions: TopicPartition, **_how: object) -> Any:
        got: dict[TopicPartition, list[Any]] = {}
        for tp, log in self.logs.items():
            what = [(tp.topic, [(tp.partition, log.position, 1 << 20)])]
            answer = await self._client.send(1, FetchRequest(0, 0, 1, 0, what), group="fetch")
            ((_, ((_, code, *_, data),)),) = answer.topics
            if code == 0 and data:
                first = log.position // 2 * 2
                got[tp] = [
                    SimpleNamespace(offset=n, value=b"%d" % n)
                    for n in range(log.position, first + 2)
                ]
                log.position = first + 2
        return got

    def assignment(self) -> set[TopicPartition]:
        return set(self.logs)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.logs[tp].position = offset

    async def end_offsets(self, parts: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.logs[tp].end for tp in parts}

    async def _send(self, _node: int, request: FetchRequest, **_how: object) -> Any:
        ((topic, ((partition, offset, _),)),) = request.topics
        log = self.logs[TopicPartition(topic, partition)]
        code, data = log.answer(offset)
        if code and self.fails is not None:
            code, self.fails = self.fails, None
        return SimpleNamespace(topics=[(topic, [(partition, code, log.end, data)])])


async def read_all(brokers: Brokers) -> dict[TopicPartition, list[int | tuple[int, int]]]:
    """The offsets that were read of each partition; of what was left out, the first and last."""
    taken = dict.fromkeys(brokers.logs, 0)
    told: dict[TopicPartition, list[int | tuple[int, int]]] = {tp: [] for tp in brokers.logs}

    async def positions() -> Mapping[TopicPartition, int]:
        return taken

    def note(tp: TopicPartition, records: Sequence[ReadRecord]) -> None:
        for one in records:
            told[tp].append((one.first, one.offset) if isinstance(one, LeftOut) else one.offset)
        taken[tp] = records[-1].offset + 1

    for _ in range(100):
        if all(taken[tp] >= log.end for tp, log in brokers.logs.items()):
            return told
        found = await get_many(cast(AIOKafkaConsumer, brokers), positions, timeout_ms=1)
        for tp, records in found.items():
            note(tp, records)
    raise AssertionError(f"reading stands still at {taken}")


async def test_what_is_refused_is_left_out_and_all_behind_it_is_read() -> None:
    told = await read_all(Brokers({ONE: Log(4, damaged=[1])}))
    assert told[ONE] == [0, 1, (2, 3), 4, 5, 6, 7]


async def test_other_partitions_are_read_meanwhile() -> None:
    told = await read_all(Brokers({ONE: Log(2, damaged=[0, 1]), TWO: Log(3)}))
    assert told == {ONE: [(0, 3)], TWO: [0, 1, 2, 3, 4, 5]}


async def test_no_more_is_left_out_than_is_refused() -> None:
    told = await read_all(Brokers({ONE: Log(20, damaged=[*range(2, 9), 12])}))
    assert told[ONE] == [0, 1, 2, 3, (4, 17), *range(18, 24), (24, 25), *range(26, 40)]


async def test_what_is_refused_once_only_is_read() -> None:
    told = await read_all(Brokers({ONE: Log(2, damaged=[0], recovers=2)}))
    assert told[ONE] == [0, 1, 2, 3]


async def test_a_broker_that_fails_meanwhile_is_told_of_and_nothing_left_out() -> None:
    brokers = Brokers({ONE: Log(2, damaged=[0])})

    async def positions() -> Mapping[TopicPartition, int]:
        brokers.fails = NotLeaderForPartitionError.errno
        return {ONE: 0}

    with pytest.raises(KafkaError) as raised:
        await get_many(cast(AIOKafkaConsumer, brokers), positions, timeout_ms=1)
    assert isinstance(raised.value, NotLeaderForPartitionError)
    assert brokers.logs[ONE].position == 0


@given(st.integers(0, 50), st.integers(1, 300), st.integers(0, 20))
async def test_the_damage_ends_where_the_first_offset_is_given_again(
    at: int, length: int, more: int
) -> None:
    async def is_given(offset: int) -> bool:
        asked.append(offset)
        return offset >= at + length

    asked: list[int] = []
    assert await first_given(at, at + length + more, is_given) == at + length
    assert len(asked) <= 2 * (length + more).bit_length() + 1
