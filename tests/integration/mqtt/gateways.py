"""Gateways between a real Kafka and a real broker, with a fake relay and a fake Core, and their
process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec import UNSET
from prometheus_client import CollectorRegistry

from client_sdk.contract.channel import parse_channel
from core_api.kafka.topics import Topic, ensure_topics, events_topic
from deploy.mqtt.server import MosquittoServer
from event_server.errors import CoreLostError
from event_server.mqtt_gateway.core import DocumentsSnapshot
from event_server.mqtt_gateway.down import Down, DownSettings
from event_server.mqtt_gateway.group_reader import GroupSettings
from event_server.mqtt_gateway.metrics import GatewayMetrics
from event_server.mqtt_gateway.rules.incoming import FILTERS, TELEMETRY_FILTER, shared
from event_server.mqtt_gateway.rules.presence import Presence
from event_server.mqtt_gateway.rules.publications import Changed, orders_topic
from event_server.mqtt_gateway.sink import KafkaSink
from event_server.mqtt_gateway.up import Up, UpSettings
from server_common.devices.messages import Inbound, Outbound, decode_inbound, encode
from server_common.kafka_records.events import (
    OrderRecord,
    WatermarkRecord,
    encode_order_record,
    encode_watermark_record,
    partition_of,
)
from tests.mqtt_parts import Device, broker_for_gateway, until

PARTITIONS = 2
EPOCH = "01EPOCH1"
_WATERMARKS_EVERY_S = 0.25


class FakeCore:
    """Answers with documents as Core does."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, tuple[int, Any]]] = {}
        self.asked: list[str] = []
        self.is_away = False
        self.left_out: set[str] = set()
        """Keys whose values are too large for a snapshot."""

    def set(self, channel: str, key: str, version: int, value: Any) -> None:
        """Give Core this document."""
        self.documents.setdefault(channel, {})[key] = (version, value)

    async def all_of(self, channel: str) -> DocumentsSnapshot:
        """See `DocumentSource`."""
        self._check(channel)
        found = [
            Changed(
                EPOCH, parse_channel(channel), key, version,
                UNSET if key in self.left_out else value,
            )
            for key, (version, value) in self.documents.get(channel, {}).items()
        ]  # fmt: skip
        return DocumentsSnapshot(EPOCH, 0, found)

    async def whole(self, changed: Changed) -> Changed | None:
        """See `DocumentSource`."""
        self._check(f"{changed.channel} {changed.key}")
        found = self.documents.get(str(changed.channel), {}).get(changed.key)
        return None if found is None else changed._replace(version=found[0], value=found[1])

    def _check(self, what: str) -> None:
        self.asked.append(what)
        if self.is_away:
            raise CoreLostError("Core does not answer")


class Topics:
    """The topics of one test. Writes to them and reads from them."""

    def __init__(self, bootstrap: str, producer: AIOKafkaProducer) -> None:
        name = uuid4().hex
        self.bootstrap = bootstrap
        self.events, self.outbound = f"events-{name}", f"outbound-{name}"
        self.inbound, self.dead_letters = f"inbound-{name}", f"dead-{name}"
        self.read_by_gateways = GroupSettings(
            bootstrap, self.events, self.outbound, f"group-{name}"
        )
        self._producer = producer

    async def make(self) -> None:
        """Create the topics."""
        others = (self.outbound, self.inbound, self.dead_letters)
        topics = [events_topic(self.events, PARTITIONS), *(Topic(name, 2) for name in others)]
        await ensure_topics(self.bootstrap, topics, 10)

    async def orders(self, store: str, seqs: Iterable[int], epoch: str = EPOCH) -> None:
        """Write order events of a store's channel as the relay does."""
        for seq in seqs:
            name = f"store:{store}@{seq}"
            line = json.dumps({"id": name, "seq": seq, "type": "order.placed"}).encode()
            record = OrderRecord(epoch, "order.placed", "2026-11-22T12:00:00Z", (name,), (line,))
            await self._write(store, *encode_order_record(record))

    async def document(
        self, channel: str, seq: int, key: str, version: object, value: Any, epoch: str = EPOCH
    ) -> None:
        """Write a document's event. `UNSET` leaves the value out, as for one that is too large."""
        fields = {"id": f"{channel}@{seq}", "seq": seq, "key": key, "version": version}
        if value is not UNSET:
            fields["data"] = value
        record = OrderRecord(
            epoch, "document.changed", "2026-11-22T12:00:00Z", (f"{channel}@{seq}",),
            (json.dumps(fields).encode(),),
        )  # fmt: skip
        await self._write(parse_channel(channel).root, *encode_order_record(record))

    async def watermark(self, epoch: str = EPOCH) -> None:
        """Write a watermark to each partition."""
        headers = encode_watermark_record(WatermarkRecord(epoch, time.time()))
        for partition in range(PARTITIONS):
            await self._producer.send_and_wait(
                self.events, None, b"", partition=partition, headers=headers
            )

    async def foreign(self, store: str, value: bytes) -> None:
        """Write a record that is not from Yabam."""
        await self._write(store, value, [("type", b"order.placed")])

    async def answer(self, message: Outbound) -> None:
        """Write Core's answer to a device."""
        await self._producer.send_and_wait(self.outbound, encode(message), message.key)

    async def inbound_messages(self) -> list[Inbound]:
        """All messages that Core would read, each partition in order."""
        return [decode_inbound(value) for value in await self._all(self.inbound)]

    async def letters(self) -> list[dict[str, Any]]:
        """All dead letters."""
        return [msgspec.json.decode(value) for value in await self._all(self.dead_letters)]

    async def _write(self, store: str, value: bytes, headers: Any) -> None:
        await self._producer.send_and_wait(
            self.events, value, store.encode(), headers=headers,
            partition=partition_of(store, PARTITIONS),
        )  # fmt: skip

    async def _all(self, topic: str) -> list[bytes]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
        )
        found: list[bytes] = []
        async with consumer:
            parts = [TopicPartition(topic, partition) for partition in range(2)]
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            left = {tp for tp in parts if ends[tp] > 0}
            while left:
                for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                    found += [record.value for record in records]
                    if records[-1].offset + 1 >= ends[tp]:
                        left.discard(tp)
        return found


class Gateway:
    """A gateway in this process."""

    def __init__(
        self,
        topics: Topics,
        server: MosquittoServer,
        core: FakeCore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        name = f"gateway-{uuid4().hex[:8]}"
        broker = broker_for_gateway(server)
        self.metrics = GatewayMetrics(CollectorRegistry())
        self.presence = Presence()
        self.down = Down(
            DownSettings(topics.read_by_gateways, broker, name),
            core,
            self.presence,
            self.metrics,
            clock,
        )
        self.sink = KafkaSink(topics.bootstrap, self.metrics.retries.inc)
        ways = {
            "up": (shared(FILTERS), 1),
            "telemetry": (shared((TELEMETRY_FILTER,)), 0),
        }
        self.ups = [
            Up(
                UpSettings(
                    task, broker, f"{name}-{task}", filters, qos, topics.inbound,
                    topics.dead_letters, 20.0, 100,
                ),
                self.sink, self.metrics, time.monotonic, lambda: time.time_ns() // 1_000_000,
            )
            for task, (filters, qos) in ways.items()
        ]  # fmt: skip

    async def run(self) -> None:
        """Carry messages until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.down.run())
                for up in self.ups:
                    group.create_task(up.run())
        finally:
            await self.sink.close()

    @property
    def is_ready(self) -> bool:
        """Whether all its parts work."""
        return self.down.trouble is None and all(up.trouble is None for up in self.ups)

    def count(self, name: str, labels: Mapping[str, str] | None = None) -> float:
        """The value of one of its metrics."""
        counter = getattr(self.metrics, name)
        child = counter.labels(**labels) if labels else counter
        return float(child._value.get())


@asynccontextmanager
async def topics_of(bootstrap: str) -> AsyncIterator[Topics]:
    """New topics for one test."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        topics = Topics(bootstrap, producer)
        await topics.make()
        yield topics


@asynccontextmanager
async def gateway(
    topics: Topics,
    server: MosquittoServer,
    core: FakeCore | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Gateway]:
    """Run a gateway."""
    one = Gateway(topics, server, core or FakeCore(), clock)
    task = asyncio.create_task(one.run())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_end, task)
        await until(lambda: one.is_ready or task.done(), 60)
        if task.done():
            task.result()
        yield one


@asynccontextmanager
async def watermarks(topics: Topics) -> AsyncIterator[None]:
    """Write watermarks again and again, as a running relay does."""

    async def on_and_on() -> None:
        while True:
            await topics.watermark()
            await asyncio.sleep(_WATERMARKS_EVERY_S)

    task = asyncio.create_task(on_and_on())
    try:
        yield
    finally:
        await _end(task)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def seqs(one: Device, store: str) -> list[int]:
    """The seqs of the store's order events that the device received, in order of arrival."""
    return [event["seq"] for event in one.on(orders_topic(store))]
