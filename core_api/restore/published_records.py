"""The newest records of `order-events`, read to the end and no further."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from client_sdk.contract.errors import RecordError
from core_api.ids import has_successor
from core_api.kafka.topics import BrokerError
from server_common.kafka.clients import start_client, stop_consumer
from server_common.kafka.connection import Kafka, client_arguments
from server_common.kafka.raw_records import LeftOut, Record
from server_common.kafka.reading import get_many
from server_common.kafka_records.events import OrderRecord, WatermarkRecord, decode_record
from server_common.logs import get_logger

_log = get_logger()

MAX_PER_PARTITION: Final = 50_000
"""The most records read of each partition: the newest of each channel are enough."""
_POLL_MS: Final = 1000
_QUIET_POLLS: Final = 5
_STOPS_WITHIN_S: Final = 2.0
# A broker with records answers a fetch at once; librdkafka's mock broker only after this time.
_FETCH_WAIT_MS: Final = 100


@dataclass(slots=True)
class PublishedTail:
    """The newest records of some partitions."""

    epoch: str = ""
    """The latest epoch of all records; empty: there is none."""
    orders: list[OrderRecord] = field(default_factory=list)
    """The order records, in the order of each partition."""
    watermarks: dict[str, float] = field(default_factory=dict)
    """The newest watermark of each epoch, in seconds since the Unix epoch."""


async def read_published(
    kafka: Kafka, topic: str, partitions: Collection[int], limit: int = MAX_PER_PARTITION
) -> PublishedTail:
    """The records at the end of each of these partitions; a topic that is missing has none.

    Args:
        kafka: the cluster.
        topic: which topic.
        partitions: their numbers; one that the topic lacks is passed over.
        limit: how many records to read of each partition.

    Raises:
        BrokerError: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(
        **client_arguments(kafka), enable_auto_commit=False, fetch_max_wait_ms=_FETCH_WAIT_MS
    )
    try:
        await start_client(consumer)
        # The list of all topics is asked for: asking for one by name may create it, wrongly.
        if topic not in await consumer.topics():
            return PublishedTail()
        # Brings the topic's metadata; by no partition beside these, which may not answer.
        await consumer.end_offsets([TopicPartition(topic, min(partitions))])
        there = consumer.partitions_for_topic(topic) or set()
        parts = [TopicPartition(topic, number) for number in partitions if number in there]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        begins = await consumer.beginning_offsets(parts)
        starts = {part: max(begin, ends[part] - limit) for part, begin in begins.items()}
        for part, start in starts.items():
            consumer.seek(part, start)
        return await _read_to(consumer, starts, ends)
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"Kafka at {kafka} does not answer: {error}") from error
    finally:
        await stop_consumer(consumer, _STOPS_WITHIN_S)


async def _read_to(
    consumer: AIOKafkaConsumer,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> PublishedTail:
    tail = PublishedTail()
    taken = dict(starts)
    quiet = 0

    async def positions() -> Mapping[TopicPartition, int]:
        return taken

    while quiet < _QUIET_POLLS:
        behind = [part for part, end in ends.items() if await consumer.position(part) < end]
        if not behind:
            return tail
        found = await get_many(consumer, positions, *behind, timeout_ms=_POLL_MS)
        quiet = 0 if found else quiet + 1
        for part, records in found.items():
            taken[part] = records[-1].offset + 1
            for record in records:
                if isinstance(record, LeftOut):
                    _log.warning(
                        "published_unreadable",
                        partition=part.partition,
                        first_offset=record.first,
                        last_offset=record.offset,
                        reason=record.reason,
                    )
                else:
                    _take(tail, record)
    raise BrokerError("Kafka stopped answering before the end of the topic")


def _take(tail: PublishedTail, record: Record) -> None:
    with contextlib.suppress(RecordError):
        event = decode_record(record.value, record.headers)
        if not has_successor(event.epoch):
            return  # Somebody else's: no epoch could be begun that is later.
        tail.epoch = max(tail.epoch, event.epoch)
        if isinstance(event, OrderRecord):
            tail.orders.append(event)
        elif isinstance(event, WatermarkRecord):
            before = tail.watermarks.get(event.epoch, 0.0)
            tail.watermarks[event.epoch] = max(before, event.watermark)
