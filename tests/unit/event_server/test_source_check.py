"""When a reading session is given up because the brokers do not answer."""

from __future__ import annotations

from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from event_server.kafka.consumer import KafkaSource, Where
from event_server.replay.database_clock import DatabaseClock
from event_server.replay.hub import Hub
from event_server.replay.ring import Rings
from tests.unit.event_server.parts import FRAMES

PARTITIONS = [TopicPartition("order-events", number) for number in range(4)]
NOW = 1000.0


class Mute:
    """Brokers that answer no question."""

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0, 1, 2, 3}

    def highwater(self, _partition: TopicPartition) -> None:
        return None

    async def end_offsets(self, _partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        raise KafkaTimeoutError


async def look(*silent_s: float, warm: bool = True) -> dict[TopicPartition, int]:
    """One look at brokers whose partitions were last heard from so many seconds ago; what is owed
    at the next."""
    owned = frozenset(range(4))
    hub = Hub(Rings(256, 1 << 20), FRAMES, DatabaseClock(), owned)
    hub.warm = warm
    source = KafkaSource(
        Where("any:9092", "order-events", 4, owned, 120, 10),
        hub,
        lambda _missing: None,
        lambda _kind: None,
        lambda: NOW,
        lambda: 0.0,
    )
    heard = dict(zip(PARTITIONS, (NOW - ago for ago in silent_s), strict=True))
    consumer = cast(AIOKafkaConsumer, Mute())
    owed = {PARTITIONS[0]: 7}
    await source._check(consumer, dict.fromkeys(PARTITIONS, 7), heard, owed, NOW)
    return owed


async def test_while_other_partitions_speak_a_late_answer_ends_nothing() -> None:
    assert await look(0.1, 0.1, 5.0, 14.0) == {PARTITIONS[0]: 7}


async def test_a_partition_that_stays_silent_ends_the_session() -> None:
    with pytest.raises(KafkaTimeoutError):
        await look(0.1, 0.1, 0.1, 16.0)


async def test_when_no_partition_speaks_and_no_question_is_answered_kafka_is_out_of_reach() -> None:
    with pytest.raises(KafkaTimeoutError):
        await look(4.0, 4.0, 4.0, 4.0)


async def test_a_session_that_nobody_follows_yet_waits_for_busy_brokers() -> None:
    assert await look(4.0, 4.0, 4.0, 14.0, warm=False) == {PARTITIONS[0]: 7}


async def test_a_session_that_nobody_follows_yet_does_not_wait_for_ever() -> None:
    with pytest.raises(KafkaTimeoutError):
        await look(16.0, 16.0, 16.0, 16.0, warm=False)
