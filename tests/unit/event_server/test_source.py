"""When a reading session ends, and what becomes of the streams then."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer

from event_server.errors import SourceLostError
from event_server.kafka.consumer import KafkaSource, Where
from server_common.errors import SettingsError
from tests.unit.event_server.parts import make_hub


class Metadata:
    """How many partitions the brokers say that the topic has."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def partitions_for_topic(self, _: str) -> set[int]:
        return set(range(self._partitions))


@pytest.mark.parametrize(
    ("partitions", "error"),
    [(0, SourceLostError), (2, SettingsError)],
    ids=["no topic", "more partitions"],
)
def test_a_topic_that_does_not_fit_any_more_ends_the_session(
    partitions: int, error: type[Exception]
) -> None:
    where = Where("x:1", "order-events", 1, frozenset({0}), 60.0, 10)
    source = KafkaSource(
        where, make_hub(), lambda _: None, lambda _: None, lambda: 0.0, lambda: 0.0
    )
    with pytest.raises(error):
        source._check_partitions(cast(AIOKafkaConsumer, Metadata(partitions)))


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
