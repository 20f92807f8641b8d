"""This event server as a system under test, fed by a real Kafka as in production."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaProducer

from core_api.kafka.topics import ensure_topics, events_topic
from deploy.processes.ports import free_port, free_ports
from server_common.access.tickets import Ticket, TicketKeys
from server_common.kafka_records.events import (
    OrderRecord,
    WatermarkRecord,
    encode_order_record,
    encode_watermark_record,
    partition_of,
)
from tests.bench.fanout.child import Child
from tests.bench.fanout.measure import children_of
from tests.bench.fanout.system import get, line, serves

EPOCH: Final = "01M7Y0RVFX7GQRHXE522T5TA8A"
FETCH_WAIT_MS: Final = 100
_IN_BATCH: Final = 200
_BATCH_BYTES: Final = 256 * 1024
KEYS: Final = TicketKeys({"t1": b"k" * 32}, "t1")


class Yabam:
    """This event server, fed by a real Kafka.

    Args:
        kafka: the address of Kafka.
        streams: how many streams it will serve.
        workers: the value of `--workers`.
        nodes: how many event servers, each with one of as many partitions.
        host: the address that they listen on.
    """

    name = "yabam"
    deliveries_per_s = 60_000

    def __init__(
        self,
        kafka: str,
        streams: int,
        workers: int = 1,
        nodes: int = 1,
        host: str = "127.0.0.1",
    ) -> None:
        self._host = host
        self.ports = [free_port() for _ in range(nodes)]
        self.port = self.ports[0]
        self._workers = workers
        self._worker_ports = free_ports(workers)
        self.kafka = kafka
        self._streams = streams
        self.topic = f"bench-{time.time_ns()}"
        # It ends its workers on this signal.
        self._children = [Child(signal.SIGTERM) for _ in self.ports]
        self._seqs: dict[int, int] = {}
        self._producer: AIOKafkaProducer | None = None
        self._marking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await ensure_topics(self.kafka, [events_topic(self.topic, len(self.ports))], 10)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka, linger_ms=0, max_batch_size=_BATCH_BYTES
        )
        await self._producer.start()
        self._marking = asyncio.create_task(self._mark())
        for node, child in enumerate(self._children):
            await self._start_node(node, child)
        for port in self.ports if self._workers == 1 else self._worker_ports:
            await serves(f"http://127.0.0.1:{port}/readyz")

    async def _start_node(self, node: int, child: Child) -> None:
        await child.start(
            sys.executable, "-m", "client_sdk.cli", "events", "--workers", str(self._workers),
            YABAM_KAFKA=self.kafka,
            YABAM_EVENTS_TOPIC=self.topic,
            YABAM_PARTITIONS=str(len(self.ports)),
            YABAM_EVENTS_PARTITIONS=json.dumps([node]),
            YABAM_EVENTS_FETCH_WAIT_MS=str(FETCH_WAIT_MS),
            YABAM_EVENTS_HOST=self._host,
            YABAM_EVENTS_PORT=str(self.ports[node]),
            YABAM_EVENTS_WORKER_PORT=str(self._worker_ports.start),
            YABAM_EVENTS_DRAIN_S="0",
            YABAM_EVENTS_MAX_STREAMS=str(self._streams + 100),
            YABAM_EVENTS_LIFETIME_MIN_S="3600",
            YABAM_EVENTS_LIFETIME_MAX_S="3600",
            YABAM_EVENTS_DEGRADED_AFTER_S="60",
            YABAM_TICKET_KEYS=json.dumps({"t1": "k" * 32}),
            YABAM_TICKET_KID="t1",
            YABAM_TOKEN_KEYS=json.dumps({"a1": "a" * 32}),
        )  # fmt: skip

    def pids(self) -> list[int]:
        if self._workers == 1:
            return [child.pid for child in self._children]
        return children_of(self._children[0].pid)

    def node_of(self, channel: int) -> int:
        """The node that serves the channel."""
        return partition_of(str(channel), len(self.ports))

    def request(self, channel: int) -> bytes:
        now = time.time()
        cursor = {f"store:{channel}": self._seqs.get(channel, 0)}
        ticket = KEYS.sign(Ticket(EPOCH, cursor, now, now + 300, "bench"))
        return get(f"/v1/stream?ticket={ticket}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        for node in range(len(self.ports)):
            of_node = [channel for channel in channels if self.node_of(channel) == node]
            for start in range(0, len(of_node), _IN_BATCH):
                await self._publish(node, of_node[start : start + _IN_BATCH])

    async def _publish(self, node: int, channels: Sequence[int]) -> None:
        assert self._producer is not None
        batch = self._producer.create_batch()
        for channel in channels:
            seq = self._seqs[channel] = self._seqs.get(channel, 0) + 1
            name, when = f"store:{channel}@{seq}", "2026-11-21T00:00:00Z"
            record = OrderRecord(EPOCH, "order.placed", when, (name,), (line().encode(),))
            value, headers = encode_order_record(record)
            stamp = int(time.time() * 1000)
            batch.append(key=b"s", value=value, timestamp=stamp, headers=headers)
        batch.close()
        await self._producer.send_batch(batch, self.topic, partition=node)

    async def stop(self) -> None:
        if self._marking is not None:
            self._marking.cancel()
        for child in self._children:
            await child.stop(signal.SIGTERM)
        if self._producer is not None:
            await self._producer.stop()

    async def _mark(self) -> None:
        assert self._producer is not None
        while True:
            for node in range(len(self.ports)):
                await self._mark_node(node)
            await asyncio.sleep(1)

    async def _mark_node(self, node: int) -> None:
        assert self._producer is not None
        batch = self._producer.create_batch()
        mark = encode_watermark_record(WatermarkRecord(EPOCH, time.time()))
        stamp = int(time.time() * 1000)
        batch.append(key=None, value=None, timestamp=stamp, headers=mark)
        batch.close()
        await self._producer.send_batch(batch, self.topic, partition=node)


class YabamSocket(Yabam):
    """The same with subscribers over WebSocket."""

    name = "yabam-socket"

    def request(self, channel: int) -> bytes:
        """A handshake, which is answered with 101."""
        target = super().request(channel).split(b" ")[1].replace(b"/v1/stream", b"/v1/socket")
        return (
            b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: yabam.v1\r\n\r\n" % target
        )
