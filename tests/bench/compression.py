"""How much disk space compression of `order-events` saves, and its cost for each process.

    python -m tests.bench.compression [--records 20000]

The relay's own producer writes records like those of real orders to a real Apache Kafka, in batches
of one record (a quiet shop), of twenty and of five hundred (a relay that catches up). An event
server's own reader reads them. Either the producer compresses, or the topic has a codec and Kafka
compresses. CPU time is measured for each process, so other work on the machine hardly changes it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

import uvloop
from aiokafka import AIOKafkaProducer

from core_api.kafka import batch_producer
from core_api.kafka.batch_producer import BatchProducer
from core_api.kafka.messages import Message
from core_api.kafka.topics import Topic, ensure_topics, events_topic
from deploy.kafka.server import KafkaServer, ensure_libs
from server_common.kafka_records.events import (
    OrderRecord,
    WatermarkRecord,
    encode_order_record,
    encode_watermark_record,
)
from tests.bench.firehose import EPOCH, PER_SECOND, through_kafka

_BATCHES: Final = (1, 20, 500)


class Way(NamedTuple):
    """Who compresses, and with which codec."""

    name: str
    by_relay: str | None = None
    by_topic: str | None = None


_WAYS: Final = (
    Way("none"),
    Way("lz4 by the relay", by_relay="lz4"),
    Way("zstd by the relay", by_relay="zstd"),
    Way("lz4 by the topic", by_topic="lz4"),
    Way("zstd by the topic", by_topic="zstd"),
)
_MENU: Final = (
    "Bibimbap",
    "김치찌개",
    "파전 Scallion pancake",
    "Kimbap",
    "Bulgogi",
    "된장찌개",
    "Tea",
)
_STATUSES: Final = ("placed", "accepted", "preparing", "ready", "served", "paid")
_HEAD: Final = (
    "| packed | records in a batch | bytes on the disk | relay, µs of CPU | Kafka, µs "
    "| event server, µs | stored within, ms |"
)
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Found:
    """The cost of one way, per record."""

    way: str
    batch: int
    disk_bytes: float
    relay_us: float
    kafka_us: float
    events_us: float
    stored_ms: float
    """The median time until a batch was stored."""


def order_records(count: int) -> Iterator[tuple[bytes, list[tuple[str, bytes]]]]:
    """Records of orders as Core writes them, each for the store and for its table."""
    rng = random.Random(7)
    for n in range(count):
        store, seq = n % 100, n // 100 + 1
        items = [
            (rng.choice(_MENU), rng.randint(1, 4), rng.randrange(3_000, 20_000, 500))
            for _ in range(rng.randint(1, 5))
        ]
        status = rng.choice(_STATUSES)
        order_id = str(uuid.UUID(int=rng.getrandbits(128)))
        ids = (f"store:{store}@{seq}", f"table:{store}/{seq % 10}@{seq}")
        at = f"2026-11-22T12:{n // 60 % 60:02}:{n % 60:02}.{rng.randrange(10**6):06}Z"
        order = {
            "id": order_id, "store_id": str(store), "table_id": str(seq % 10), "status": status,
            "version": 1 + _STATUSES.index(status), "currency": "KRW", "note": "",
            "items": [
                {"name": name, "quantity": quantity, "note": "", "unit_price": price}
                for name, quantity, price in items
            ],
            "total": sum(quantity * price for _, quantity, price in items),
            "placed_at": at, "updated_at": at, "reference": f"pos-{rng.randrange(10**8)}",
        }  # fmt: skip
        lines = tuple(
            json.dumps(
                {"id": one, "seq": seq, "type": f"order.{status}", "order_id": order_id,
                 "order_version": order["version"], "occurred_at": at, "data": order},
                ensure_ascii=False, separators=(",", ":"),
            ).encode()
            for one in ids
        )  # fmt: skip
        value, headers = encode_order_record(OrderRecord(EPOCH, f"order.{status}", at, ids, lines))
        yield value, list(headers)


@contextmanager
def _packing(codec: str | None) -> Iterator[None]:
    """Make the relay's producer compress what it sends."""
    made = partial(AIOKafkaProducer, compression_type=codec)
    with patch.object(batch_producer, "AIOKafkaProducer", made):
        yield


async def _publish(
    kafka: str, topic: str, messages: Sequence[Message], batch: int
) -> tuple[float, list[float]]:
    """Send them in batches. Returns this process's CPU seconds and the time of each batch."""
    producer = BatchProducer(kafka, topic, 30.0)
    await producer.open()
    took: list[float] = []
    began = time.process_time()
    left = list(messages)
    while left:
        now = time.perf_counter()
        future, taken = await producer.send(0, left[:batch])
        await future
        took.append(time.perf_counter() - now)
        del left[:taken]
    spent = time.process_time() - began
    await producer.close()
    return spent, took


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def measure(server: KafkaServer, way: Way, batch: int, count: int) -> Found:
    """Measure one way, from the relay's producer to an event server's rings."""
    name = f"{way.name.replace(' ', '-')}-{batch}-{uuid.uuid4().hex[:6]}"
    wanted = events_topic(name, 1)
    more = {} if way.by_topic is None else {"compression.type": way.by_topic}
    topic = Topic(name, 1, exact=True, configs=dict(wanted.configs) | more)
    now = time.time()
    messages: list[Message] = []
    for number, (value, headers) in enumerate(order_records(count)):
        stamp = int((now - (count - number) / PER_SECOND) * 1000)
        messages.append(Message(b"s", value, headers, stamp))
    kafka = server.bootstrap

    async def write() -> tuple[float, list[float]]:
        await ensure_topics(kafka, [topic], 10)
        mark = encode_watermark_record(WatermarkRecord(EPOCH, now + 10))
        found = await _publish(kafka, name, messages, batch)
        await _publish(kafka, name, [Message(None, None, list(mark), int(now * 1000))], 1)
        return found

    before = _cpu_s(server.process.pid)
    with _packing(way.by_relay):
        relay_s, took = uvloop.run(write())
    events_s = uvloop.run(through_kafka(server.bootstrap, name, count))
    kafka_s = _cpu_s(server.process.pid) - before
    size = sum(one.stat().st_size for one in (server.log_folder / f"{name}-0").glob("*.log"))
    return Found(
        way.name,
        batch,
        size / count,
        relay_s / count * 1e6,
        kafka_s / count * 1e6,
        events_s / count * 1e6,
        statistics.median(took) * 1e3,
    )


def main() -> None:
    """Measure all, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compression", description=__doc__)
    parser.add_argument("--records", type=int, default=20_000, help="of each way")
    count = parser.parse_args().records
    with tempfile.TemporaryDirectory(prefix="yabam-compression-") as folder:
        server = KafkaServer(Path(folder) / "kafka", ensure_libs(Path("build/kafka"), print))
        server.start()
        try:
            # The JVM is slow until it has compiled its code.
            measure(server, _WAYS[-1], 20, count)
            print(_HEAD)
            print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
            for batch in _BATCHES:
                # Fewer, because each batch of one record takes a round trip.
                some = count if batch > 1 else count // 10
                for way in _WAYS:
                    one = measure(server, way, batch, some)
                    print(f"| {one.way} | {one.batch} | {one.disk_bytes:,.0f} | {one.relay_us:.0f} "
                          f"| {one.kafka_us:.0f} | {one.events_us:.1f} | {one.stored_ms:.1f} |",
                          flush=True)  # fmt: skip
        finally:
            server.stop()


if __name__ == "__main__":
    main()
