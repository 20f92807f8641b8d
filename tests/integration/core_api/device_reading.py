"""Topics of one test and their readers, for the tests of devices over Kafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from core_api.ingest.devices import DeviceIngest
from core_api.kafka.topics import dead_letter_topic, ensure_topics, inbound_topic, outbound_topic
from core_api.settings import IngestSettings
from core_api.system_edits.document_access import DocumentAccess
from server_common.devices.messages import DeadLetter, Outbound, decode_outbound, encode
from tests.integration.core_api.device_shop import RULES, said
from tests.integration.core_api.relaying import PARTITIONS, settings_of

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool


async def _there() -> None:
    """Return at once: the database can take messages."""


def ingest_of(
    pool: Pool,
    bootstrap: str,
    inbound: str,
    outbound: str,
    dead: str,
    group: str,
    *,
    writing: Pool | None = None,
) -> DeviceIngest:
    return DeviceIngest(
        settings_of(
            IngestSettings,
            kafka=bootstrap,
            devices_inbound_topic=inbound,
            devices_outbound_topic=outbound,
            devices_dlq_topic=dead,
            partitions=PARTITIONS,
        ),
        documents=DocumentAccess(writing or pool, RULES, lambda _channels: None),
        check=_there,
        registry=CollectorRegistry(),
        group=group,
    )


class Topics:
    """Three topics. Sends to the first and reads from the others."""

    def __init__(self, bootstrap: str, producer: AIOKafkaProducer) -> None:
        self.bootstrap = bootstrap
        self._producer = producer
        name = uuid4().hex
        self.inbound, self.outbound = f"in-{name}", f"out-{name}"
        self.dead, self.group = f"dead-{name}", f"group-{name}"

    @classmethod
    @contextlib.asynccontextmanager
    async def made(cls, bootstrap: str) -> AsyncIterator[Topics]:
        """Topics that no other test uses."""
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=2_000_000)
        await producer.start()
        topics = cls(bootstrap, producer)
        try:
            await ensure_topics(
                bootstrap,
                [
                    inbound_topic(topics.inbound, PARTITIONS),
                    outbound_topic(topics.outbound, PARTITIONS),
                    dead_letter_topic(topics.dead, PARTITIONS),
                ],
                5,
            )
            yield topics
        finally:
            await producer.stop()

    async def say(self, kind: Any, payload: dict[str, Any], *device: str, **more: Any) -> None:
        """Send a message as the gateway does."""
        message = said(kind, payload, *device, **more)
        await self.send(encode(message), message.key)

    async def send(self, value: bytes | None, key: bytes, partition: int | None = None) -> None:
        await self._producer.send_and_wait(self.inbound, value, key, partition=partition)

    @property
    def names(self) -> tuple[str, str, str, str, str]:
        """The cluster, the topics and the group."""
        return self.bootstrap, self.inbound, self.outbound, self.dead, self.group

    @contextlib.asynccontextmanager
    async def read(self, pool: Pool, writing: Pool | None = None) -> AsyncIterator[DeviceIngest]:
        """Apply devices' messages until the block ends."""
        made = ingest_of(pool, *self.names, writing=writing)
        running = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            made.stop()
            await running
            await made.close()

    async def answers(self, count: int) -> list[Outbound]:
        """The first answers."""
        found = map(decode_outbound, await self._values(self.outbound, count))
        return [one for one in found if isinstance(one, Outbound)]

    async def dead_letters(self, count: int) -> list[DeadLetter]:
        """The first dead letters."""
        values = await self._values(self.dead, count)
        return [msgspec.json.decode(value, type=DeadLetter) for value in values]

    async def until_committed(self, count: int) -> None:
        """Wait until the group has committed this many records."""
        async with _assigned(self.bootstrap, self.inbound, self.group) as consumer:
            async with asyncio.timeout(30):
                while await _committed(consumer) < count:  # noqa: ASYNC110 (Kafka tells nobody)
                    await asyncio.sleep(0.1)

    async def committed(self) -> int:
        """How many records the group has committed."""
        async with _assigned(self.bootstrap, self.inbound, self.group) as consumer:
            return await _committed(consumer)

    async def _values(self, topic: str, count: int) -> list[bytes]:
        found: list[bytes] = []
        async with _assigned(self.bootstrap, topic) as consumer, asyncio.timeout(30):
            while len(found) < count:
                found.append((await consumer.getone()).value)
        return found


async def _committed(consumer: AIOKafkaConsumer) -> int:
    return sum([await consumer.committed(tp) or 0 for tp in consumer.assignment()])


@contextlib.asynccontextmanager
async def _assigned(
    bootstrap: str, topic: str, group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    try:
        yield consumer
    finally:
        await consumer.stop()
