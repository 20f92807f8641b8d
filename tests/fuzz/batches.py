"""A target for answers of a Kafka broker: record batches."""

from __future__ import annotations

from typing import Final

from aiokafka import TopicPartition

from server_common.kafka.raw_records import LeftOut
from server_common.kafka.record_batches import read_batches

_HIGHWATER: Final = 1_000


def batches(data: bytes) -> None:
    """Whatever a broker answers, each offset is given at most once, in order, without an error."""
    found = read_batches(TopicPartition("topic", 0), data, 0, _HIGHWATER)
    assert 0 <= found.next_offset <= _HIGHWATER
    before = -1
    for one in found.records:
        first = one.first if isinstance(one, LeftOut) else one.offset
        assert before <= first <= one.offset < found.next_offset
        before = one.offset
