"""What a reading session makes of its brokers' answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from event_server.errors import LogReplacedError, SourceError, SourceLostError
from event_server.kafka.consumer import KafkaSource, Where
from server_common.errors import SettingsError
from tests.unit.event_server.parts import make_hub

PART = TopicPartition("order-events", 0)


class Brokers:
    """What `_check` asks a consumer."""

    def __init__(
        self, end: int, highwater: int | None = None, partitions: int = 1, position: int = 7
    ) -> None:
        self.end = end
        self._highwater = highwater
        self._partitions = partitions
        self._position = position

    def partitions_for_topic(self, _: str) -> set[int]:
        return set(range(self._partitions))

    def highwater(self, _: TopicPartition) -> int | None:
        return self._highwater

    async def end_offsets(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(parts, self.end)

    async def position(self, _: TopicPartition) -> int:
        return self._position


async def check(
    brokers: Any,
    position: int,
    silent_for: float,
    owed: dict[TopicPartition, int],
    warm: bool = True,
) -> None:
    where = Where("x:1", "order-events", 1, frozenset({0}), 60.0, 10, silence_s=3.0)
    hub = make_hub()
    hub.warm = warm
    source = KafkaSource(where, hub, lambda _: None, lambda _: None, lambda: 0.0, lambda: 0.0)
    await source._check(brokers, {PART: position}, {PART: 100.0 - silent_for}, owed, 100.0)


async def test_a_silent_partition_whose_end_is_where_we_are_is_the_relays_silence() -> None:
    owed: dict[TopicPartition, int] = {}
    for _ in range(3):
        await check(Brokers(end=7), 7, 60.0, owed)
        assert owed == {PART: 7}


async def test_records_that_came_this_moment_are_given_time_until_the_next_check() -> None:
    owed: dict[TopicPartition, int] = {}
    await check(Brokers(end=9), 7, 4.0, owed)
    assert owed == {PART: 9}
    await check(Brokers(end=9), 9, 5.0, owed)
    assert owed == {PART: 9}


async def test_what_is_passed_over_without_a_record_is_not_owed() -> None:
    owed: dict[TopicPartition, int] = {}
    await check(Brokers(end=9, position=9), 7, 4.0, owed)
    await check(Brokers(end=9, position=9), 7, 5.0, owed)
    assert owed == {PART: 9}


async def test_records_that_do_not_come_end_the_session() -> None:
    owed: dict[TopicPartition, int] = {}
    await check(Brokers(end=9), 7, 4.0, owed)
    with pytest.raises(SourceLostError, match="do not arrive"):
        await check(Brokers(end=9), 7, 5.0, owed)


async def test_before_anybody_follows_records_may_come_later() -> None:
    owed: dict[TopicPartition, int] = {}
    for silent_for in (4.0, 9.0, 14.0):
        await check(Brokers(end=9), 7, silent_for, owed, warm=False)
    with pytest.raises(SourceLostError, match="do not arrive"):
        await check(Brokers(end=9), 7, 16.0, owed, warm=False)


@pytest.mark.parametrize(
    ("brokers", "silent_for", "error"),
    [
        (Brokers(end=5), 4.0, LogReplacedError),
        (Brokers(end=7, highwater=5), 0.0, LogReplacedError),
        (Brokers(end=7, partitions=0), 0.0, SourceLostError),
        (Brokers(end=7, partitions=2), 0.0, SettingsError),
    ],
    ids=["the log ends before us", "so says a fetch", "no topic", "more partitions"],
)
async def test_what_shakes_the_proof_ends_it(
    brokers: Brokers, silent_for: float, error: type[SourceError]
) -> None:
    with pytest.raises(error):
        await check(brokers, 7, silent_for, {})


@pytest.mark.parametrize("error", [ZeroDivisionError(), asyncio.CancelledError()])
async def test_a_session_that_fails_by_a_bug_ends_all_streams_before_it_begins_anew(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_source: KafkaSource) -> None:
        raise error

    hub, lost = make_hub(), list[bool]()
    where = Where("x:1", "order-events", 1, frozenset({0}), 60.0, 10)
    source = KafkaSource(where, hub, lost.append, lambda _: None, lambda: 0.0, lambda: 0.0)
    monkeypatch.setattr(KafkaSource, "_session", fail)
    with pytest.raises(type(error)):
        await source.run()
    assert lost == [True]
    assert not hub.warm
