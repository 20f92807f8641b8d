"""When each step was written by Postgres and read by the relay, from Kafka's records."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from client_sdk.contract.errors import RecordError
from client_sdk.contract.order import decode_event
from deploy.load.measured.way import OrderStep, StoredTimes
from deploy.load.plan import LoadTestError
from server_common.kafka_records.events import OrderRecord, decode_record

_WAIT_MS: Final = 1_000


async def stored_steps(bootstrap: str, topic: str) -> dict[OrderStep, StoredTimes]:
    """The times of all order steps in the topic whose order has a reference.

    Args:
        bootstrap: Kafka's `host:port`.
        topic: the topic of events.

    Raises:
        LoadTestError: Kafka cannot be read.
    """
    found: dict[OrderStep, StoredTimes] = {}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        try:
            await consumer.end_offsets([TopicPartition(topic, 0)])  # loads the topic's metadata
            numbers = consumer.partitions_for_topic(topic) or set()
            parts = [TopicPartition(topic, number) for number in sorted(numbers)]
            ends = await consumer.end_offsets(parts)
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=_WAIT_MS)).values():
                    for record in records:
                        found.update(_steps(record.timestamp, record.value, record.headers))
        finally:
            await consumer.stop()
    except (KafkaError, OSError) as error:
        raise LoadTestError(f"Kafka's records cannot be read: {error!r}") from error
    return found


def _steps(
    timestamp_ms: int, value: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> dict[OrderStep, StoredTimes]:
    try:
        record = decode_record(value, headers)
    except RecordError:
        return {}
    if not isinstance(record, OrderRecord) or not record.type.startswith("order."):
        return {}
    event = decode_event(record.lines[0])
    if event.data.reference is None:
        return {}
    begun = datetime.fromisoformat(record.occurred_at).timestamp()
    return {(event.data.reference, event.order_version): StoredTimes(begun, timestamp_ms / 1000)}
