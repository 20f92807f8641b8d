"""Receipts that event servers gathered, from Kafka into the database.

Offsets are committed when the receipts are stored, so those that are behind tell how much is not
known yet (`receipts_lag.py`). A record or a receipt that cannot be read is left out and counted:
each device's next sync says the same again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from client_sdk.contract.errors import RecordError
from core_api.errors import UnavailableError
from core_api.kafka.topics import Topic, ensure_topics
from core_api.receipts.devices import DeviceLog, Sighting, receipt_of
from server_common.kafka.clients import start_client, stop_consumer
from server_common.kafka.connection import Kafka, client_arguments
from server_common.kafka_records.receipts import decode_readable
from server_common.limits import UNSTORED_REPORTS
from server_common.logs import get_logger

_log = get_logger()

GROUP: Final = "core-receipts"
_MAX_RECORDS: Final = 500
_POLL_MS: Final = 500
_REQUEST_TIMEOUT_MS: Final = 10_000
_RETRY_S: Final = 0.5
_STOP_PATIENCE_S: Final = 2.0


def sightings_in(values: Sequence[bytes | None]) -> tuple[list[Sighting], int]:
    """The receipts of some records, and how many records and single receipts cannot be read."""
    found: list[Sighting] = []
    unread = 0
    for value in values:
        try:
            batch, left_out = decode_readable(value)
        except RecordError:
            unread += 1
            continue
        unread += left_out
        found += [
            receipt_of(batch.store_id, one.device, one.subject, one.epoch, one.applied)
            for one in batch.receipts
        ]
    return found, unread


class ReceiptReader:
    """Reads the topic in a consumer group, and stores what it says.

    Args:
        kafka: the cluster.
        topics: what to read, and what else is made if it is missing.
        devices: stores it.
        unreadable: told of how many records and receipts are left out, as they cannot be read.
        group: the consumer group.
    """

    def __init__(
        self,
        kafka: Kafka,
        topics: Sequence[Topic],
        devices: DeviceLog,
        unreadable: Callable[[int], None],
        group: str = GROUP,
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._devices = devices
        self._unreadable = unreadable
        self._group = group

    async def run(self) -> None:
        """Read and store, for ever.

        Raises:
            UnavailableError, KafkaError, OSError, TimeoutError: Kafka does not answer.
        """
        await ensure_topics(self._kafka, self._topics, _REQUEST_TIMEOUT_MS / 1000)
        consumer = AIOKafkaConsumer(
            self._topics[0].name,
            **client_arguments(self._kafka),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            await start_client(consumer)
            while True:
                batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
                values = [record.value for records in batches.values() for record in records]
                if values:
                    await self.take(values)
                    await self._commit(consumer)
        finally:
            await stop_consumer(consumer, _STOP_PATIENCE_S)

    async def take(self, values: Sequence[bytes | None]) -> None:
        """Store what these records say, however long the database is away."""
        sightings, unread = sightings_in(values)
        if unread:
            self._unreadable(unread)
            _log.warning("receipts_unreadable", left_out=unread)
        # One look may bring more than wait for the database at a time, and commits all of them.
        for begin in range(0, len(sightings), UNSTORED_REPORTS):
            self._devices.saw(sightings[begin : begin + UNSTORED_REPORTS])
            await self._flush()

    async def _flush(self) -> None:
        while True:
            try:
                await self._devices.flush()
            except UnavailableError as error:
                _log.warning("receipts_wait", reason=str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        try:
            await consumer.commit()
        except KafkaError as error:
            # The group gave the partition to another member: it stores the same once more.
            _log.info("receipts_not_committed", reason=repr(error))
