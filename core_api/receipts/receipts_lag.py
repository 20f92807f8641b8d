"""Whether receipts wait too long in Kafka, so that it is not known which orders were received.

The alarm looks every few seconds. All receipts that were in Kafka at its last look must be stored
by now; if not, receipts lag.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from server_common.kafka.clients import start_client, stop_consumer
from server_common.kafka.connection import Kafka, client_arguments
from server_common.logs import get_logger

_log = get_logger()

_REQUEST_TIMEOUT_MS: Final = 5_000
_STOP_PATIENCE_S: Final = 2.0


def lags(written_before: Mapping[int, int], stored: Mapping[int, int]) -> bool:
    """Whether a receipt that was in Kafka at the last look is not stored. Pure.

    Args:
        written_before: the end of each partition at the last look.
        stored: the committed offset of each partition.
    """
    return any(stored.get(partition, 0) < end for partition, end in written_before.items())


class ReceiptsLag:
    """Looks at the topic and its group.

    Args:
        kafka: the cluster.
        topic: of the receipts.
        group: the consumer group that stores them.
    """

    def __init__(self, kafka: Kafka, topic: str, group: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._group = group
        self._ends: dict[int, int] = {}
        self._consumer: AIOKafkaConsumer | None = None

    async def lags(self) -> bool:
        """Whether receipts lag; also true if Kafka does not answer."""
        before = self._ends
        try:
            self._ends, stored = await self._look()
        except (KafkaError, OSError, TimeoutError) as error:
            _log.warning("receipts_lag_unknown", reason=repr(error))
            await self.close()
            return True
        return lags(before, stored)

    async def close(self) -> None:
        """Close the connections to Kafka; the next look opens them again."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer, _STOP_PATIENCE_S)

    async def _look(self) -> tuple[dict[int, int], dict[int, int]]:
        consumer = await self._open()
        if self._topic not in await consumer.topics():
            return {}, {}
        if not consumer.partitions_for_topic(self._topic):
            await consumer.end_offsets([TopicPartition(self._topic, 0)])  # brings its metadata
        numbers = consumer.partitions_for_topic(self._topic) or {0}
        # No partition is assigned: aiokafka polls even a paused one five times a second.
        partitions = [TopicPartition(self._topic, number) for number in numbers]
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        stored = {
            one.partition: max(begins[one], await consumer.committed(one) or 0)
            for one in partitions
        }
        return {one.partition: ends[one] for one in partitions}, stored

    async def _open(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            # It only reads the group's offsets, and never joins it.
            self._consumer = AIOKafkaConsumer(
                **client_arguments(self._kafka),
                group_id=self._group,
                enable_auto_commit=False,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )
            await start_client(self._consumer)
        return self._consumer
