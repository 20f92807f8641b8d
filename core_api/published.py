"""The newest records of `order-events`, read to the end and no further."""

from __future__ import annotations

import contextlib
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from client_sdk.contract.errors import RecordError
from client_sdk.contract.record import OrderRecord, decode_record
from core_api.topics import BrokerError

MOST_PER_PARTITION: Final = 50_000
"""Older records are not looked at: the newest of a channel says all."""
_POLL_MS: Final = 1000
_QUIET_POLLS: Final = 5


async def read_published(bootstrap: str, topic: str, partitions: int) -> list[OrderRecord]:
    """The order records at the end of each partition, in the order of each.

    Raises:
        BrokerError: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        await consumer.start()
        parts = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        for part, start in (await consumer.beginning_offsets(parts)).items():
            consumer.seek(part, max(start, ends[part] - MOST_PER_PARTITION))
        return await _read_to(consumer, ends)
    except KafkaError as error:
        raise BrokerError(f"Kafka at {bootstrap} does not answer: {error}") from error
    finally:
        with contextlib.suppress(KafkaError):
            await consumer.stop()


async def _read_to(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]
) -> list[OrderRecord]:
    records: list[OrderRecord] = []
    quiet = 0
    while quiet < _QUIET_POLLS:
        behind = [part for part, end in ends.items() if await consumer.position(part) < end]
        if not behind:
            return records
        found = await consumer.getmany(*behind, timeout_ms=_POLL_MS)
        quiet = 0 if found else quiet + 1
        for messages in found.values():
            for message in messages:
                with contextlib.suppress(RecordError):
                    record = decode_record(message.value, message.headers)
                    if isinstance(record, OrderRecord):
                        records.append(record)
    raise BrokerError("Kafka stopped answering before the end of the topic")
