"""When a partition is read closely, and when what failed is raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    KafkaError,
    NotLeaderForPartitionError,
)
from aiokafka.protocol.fetch import FetchRequest

from server_common.kafka.raw_records import LeftOut, ReadRecord
from server_common.kafka.reading import get_many
from tests.raw_batches import batch, record

ONE, TWO = TopicPartition("orders", 1), TopicPartition("orders", 2)
GOOD = batch([record(0, b"a"), record(1, b"b")])
DAMAGED = batch([record(0, b"a"), record(1, b"b")], checksum_off_by=1)


class Brokers:
    """A consumer whose `getmany` fails, and the brokers behind it.

    Args:
        error: what `getmany` raises.
        answers: of each partition, what the brokers answer; the last one again and again.
    """

    def __init__(
        self, error: Exception, answers: Mapping[TopicPartition, Sequence[bytes | int]]
    ) -> None:
        self._error = error
        self._answers = {tp: list(of_it) for tp, of_it in answers.items()}
        self.sizes: list[int] = []
        self.sought: dict[TopicPartition, int] = {}
        cluster = SimpleNamespace(leader_for_partition=lambda _tp: 1)
        self._client = SimpleNamespace(send=self._send, cluster=cluster)

    async def getmany(self, *_partitions: TopicPartition, **_how: object) -> Any:
        raise self._error

    def assignment(self) -> set[TopicPartition]:
        return set(self._answers)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.sought[tp] = offset

    async def _send(self, _node: int, request: FetchRequest) -> Any:
        ((topic, ((partition, _, most),)),) = request.topics
        self.sizes.append(most)
        answers = self._answers[TopicPartition(topic, partition)]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        code, data = (answer, b"") if isinstance(answer, int) else (0, answer[:most])
        return SimpleNamespace(topics=[(topic, [(partition, code, 100, data)])])

    async def read(self, limit: int | None = None) -> Mapping[TopicPartition, Sequence[ReadRecord]]:
        async def from_the_start() -> Mapping[TopicPartition, int]:
            return dict.fromkeys(self._answers, 0)

        consumer = cast(AIOKafkaConsumer, self)
        return await get_many(consumer, from_the_start, timeout_ms=1, max_records=limit)


def told(records: Sequence[ReadRecord]) -> list[bytes | str | None]:
    return ["left out" if isinstance(one, LeftOut) else one.value for one in records]


@pytest.mark.parametrize(
    "error",
    [KafkaConnectionError(), NotLeaderForPartitionError(), OSError("reset"), TimeoutError()],
)
async def test_trouble_with_the_brokers_is_raised_and_nothing_read_closely(
    error: Exception,
) -> None:
    brokers = Brokers(error, {ONE: [GOOD]})
    with pytest.raises(type(error)):
        await brokers.read()
    assert brokers.sizes == []


@pytest.mark.parametrize("error", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?"), EOFError()])
async def test_every_partition_is_read_on_from_what_was_dealt_with(error: Exception) -> None:
    brokers = Brokers(error, {ONE: [GOOD], TWO: [GOOD + DAMAGED]})
    found = await brokers.read()
    assert told(found[ONE]) == [b"a", b"b"]
    assert told(found[TWO])[:2] == [b"a", b"b"]
    assert brokers.sought[ONE] == 2


async def test_what_was_damaged_on_its_way_only_is_read_when_it_comes_again() -> None:
    brokers = Brokers(CorruptRecordException(), {ONE: [DAMAGED, GOOD]})
    assert told((await brokers.read())[ONE]) == [b"a", b"b"]


async def test_what_stays_damaged_is_left_out() -> None:
    brokers = Brokers(CorruptRecordException(), {ONE: [DAMAGED]})
    assert told((await brokers.read())[ONE]) == ["left out"]
    assert brokers.sought == {ONE: 2}


async def test_a_broker_that_fails_then_is_not_taken_for_damage() -> None:
    brokers = Brokers(CorruptRecordException(), {ONE: [NotLeaderForPartitionError.errno]})
    with pytest.raises(KafkaError) as raised:
        await brokers.read()
    assert isinstance(raised.value, NotLeaderForPartitionError)


async def test_a_fault_that_does_not_lie_in_the_data_is_raised() -> None:
    with pytest.raises(AttributeError):
        await Brokers(AttributeError("a bug"), {ONE: [b""]}).read()


async def test_a_batch_beyond_the_usual_size_is_asked_for_whole() -> None:
    large = batch([record(0, b"x" * 3_000_000)])
    brokers = Brokers(CorruptRecordException(), {ONE: [large]})
    (one,) = (await brokers.read())[ONE]
    assert not isinstance(one, LeftOut)
    assert brokers.sizes == [1 << 20, len(large)]


async def test_no_more_records_are_given_than_asked_for_and_the_rest_is_read_next() -> None:
    brokers = Brokers(CorruptRecordException(), {ONE: [GOOD]})
    assert told((await brokers.read(1))[ONE]) == [b"a"]
    assert brokers.sought == {ONE: 1}
