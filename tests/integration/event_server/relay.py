"""A fake relay, which writes records as Core's relay does, when the test says so."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from core_api.kafka.topics import ensure_topics, events_topic
from server_common.kafka_records.events import Headers, encode_sent, partition_of
from tests.unit.event_server.parts import EPOCH, order_record, watermark_record

PARTITIONS = 4
_MARK_EVERY_S = 0.1


class Relay:
    """Writes to one topic."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._marking: asyncio.Task[None] | None = None
        self._session = ""
        self._numbers: Counter[int] = Counter()

    def begin_run(self) -> None:
        """Start a session. From now on each record has its number in this session."""
        self._session = uuid4().hex
        self._numbers.clear()

    def skip_a_number(self, partition: int) -> None:
        """Skip the next number of this session, for a record that another relay writes."""
        self._numbers[partition] += 1

    async def write(
        self, partition: int, value: bytes | None, headers: Headers, at: float | None = None
    ) -> None:
        """Write one record with the time `at`, or now."""
        if self._session and headers:
            headers = [*headers, encode_sent(self._session, self._numbers[partition])]
            self._numbers[partition] += 1
        batch = self._producer.create_batch()
        stamp = round((time.time() if at is None else at) * 1000)
        batch.append(key=None, value=value, timestamp=stamp, headers=list(headers))
        batch.close()
        future = await self._producer.send_batch(batch, self._topic, partition=partition)
        await future

    async def publish(self, store: str, *seqs: int, at: float | None = None) -> None:
        """Write events of a store's channel."""
        for seq in seqs:
            value, headers = order_record((f"store:{store}@{seq}",))
            await self.write(partition_of(store, PARTITIONS), value, headers, at)

    async def mark(
        self, epoch: str = EPOCH, at: float | None = None, but: int | None = None
    ) -> None:
        """Write a watermark to each partition except `but`."""
        now = time.time() if at is None else at
        for partition in set(range(PARTITIONS)) - {but}:
            await self.write(partition, None, watermark_record(now, epoch), at)

    def keep_marking(self, but: int | None = None) -> None:
        """Keep writing watermarks to each partition except `but`."""
        self._marking = asyncio.create_task(self._mark_on(but))

    async def stop_marking(self) -> None:
        """Stop writing watermarks."""
        if self._marking is not None:
            self._marking.cancel()
            with contextlib.suppress(asyncio.CancelledError, KafkaError):
                await self._marking
            self._marking = None

    async def _mark_on(self, but: int | None) -> None:
        while True:
            await self.mark(but=but)
            await asyncio.sleep(_MARK_EVERY_S)


@asynccontextmanager
async def relay_to(bootstrap: str, topic: str) -> AsyncIterator[Relay]:
    """A relay whose topic exists."""
    await make_topic(bootstrap, topic)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.partitions_for(topic)
        relay = Relay(producer, topic)
        try:
            yield relay
        finally:
            await relay.stop_marking()


async def make_topic(bootstrap: str, topic: str, partitions: int = PARTITIONS) -> None:
    """Make a topic as the relay does."""
    await ensure_topics(bootstrap, [events_topic(topic, partitions)], request_timeout_s=5)


@asynccontextmanager
async def admin_of(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
