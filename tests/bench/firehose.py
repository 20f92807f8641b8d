"""How many records of channels without followers an event server takes in, per core and second.

`python -m tests.bench.firehose` measures two cases in CPU time, the median of several rounds: the
real intake, hub and rings alone, and the same with the real `KafkaSource` and its consumer, which
reads earlier records from a real Apache Kafka. It writes `build/bench-firehose.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaProducer

from core_api.kafka.topics import ensure_topics, events_topic
from deploy.kafka.server import KafkaServer, ensure_libs
from event_server.kafka.consumer import KafkaSource, Where
from event_server.kafka.record_reader import RecordReader
from event_server.kafka.warm_up import ReadRange
from event_server.main import collect_rarely
from event_server.replay.database_clock import DatabaseClock
from event_server.replay.frames import Frames, as_chunk
from event_server.replay.hub import Hub
from event_server.replay.ring import Rings
from server_common.kafka_records.events import (
    Headers,
    OrderRecord,
    WatermarkRecord,
    encode_order_record,
    encode_watermark_record,
)
from tests.bench.fanout.results import FIREHOSE

TARGET: Final = 100_000
EPOCH: Final = "01M7Y0RVFX7GQRHXE522T5TA8A"
LINE_BYTES: Final = 700
PER_SECOND: Final = 20_000
"""How many records have the same second of the database's clock."""
_BATCH_BYTES: Final = 256 * 1024
_RING_BYTES: Final = 128 << 20


def records(count: int, stores: int) -> list[tuple[bytes, Headers]]:
    """Order records of `stores` stores in turn, each with a store's and a table's event."""
    line = b"x" * LINE_BYTES
    made: list[tuple[bytes, Headers]] = []
    for n in range(count):
        store, seq = n % stores, n // stores + 1
        ids = (f"store:{store}@{seq}", f"table:{store}/{seq % 10}@{seq}")
        record = OrderRecord(EPOCH, "order.placed", "2026-11-21T00:00:00Z", ids, (line, line))
        made.append(encode_order_record(record))
    return made


def intake_alone(taken: list[tuple[bytes, Headers]]) -> float:
    """Take in all records from memory. Returns the CPU seconds."""
    hub = _hub()
    intake = RecordReader(hub, {0: ReadRange(0, 0.0)}, lambda kind, reason: None)
    began = time.process_time()
    for offset, (value, headers) in enumerate(taken):
        intake.take(0, offset, float(offset // PER_SECOND), value, headers, 0.0)
    return time.process_time() - began


def _hub() -> Hub:
    return Hub(Rings(256, _RING_BYTES), Frames(as_chunk), DatabaseClock(), [0])


async def fill(kafka: str, topic: str, taken: list[tuple[bytes, Headers]], now: float) -> None:
    """Write them to a topic with one partition, as records of the last seconds before `now`, and
    then a watermark."""
    await ensure_topics(kafka, [events_topic(topic, 1)], 10)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_batch_size=_BATCH_BYTES)
    await producer.start()
    try:
        began = now - len(taken) / PER_SECOND
        batch = producer.create_batch()
        for number, (value, headers) in enumerate(taken):
            stamp = int((began + number / PER_SECOND) * 1000)
            fields: dict[str, Any] = {"key": b"s", "value": value, "headers": headers}
            if batch.append(timestamp=stamp, **fields) is None:
                batch.close()
                await producer.send_batch(batch, topic, partition=0)
                batch = producer.create_batch()
                batch.append(timestamp=stamp, **fields)
        mark = encode_watermark_record(WatermarkRecord(EPOCH, now + 10))
        batch.append(timestamp=int(now * 1000), key=None, value=None, headers=mark)
        batch.close()
        sent = await producer.send_batch(batch, topic, partition=0)
        await sent
    finally:
        await producer.stop()


async def through_kafka(kafka: str, topic: str, count: int) -> float:
    """Read the topic as an event server does at its start. Returns the CPU seconds.

    Raises:
        RuntimeError: the records read are not those written.
    """
    hub = _hub()
    where = Where(kafka, topic, 1, frozenset([0]), 120.0, 100)
    source = KafkaSource(where, hub, lambda _: None, lambda _: None, time.monotonic, time.time)
    began = time.process_time()
    reading = asyncio.create_task(source.run())
    try:
        async with asyncio.timeout(60):
            while hub.watermark is None:  # noqa: ASYNC110  (the hub knows no event loop)
                await asyncio.sleep(0.02)
        spent = time.process_time() - began
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    if hub.published != 2 * count:
        raise RuntimeError(f"{hub.published} of {2 * count} events came")
    return spent


def _row(through: str, stores: int, count: int, spent: list[float], target: int | None) -> Any:
    rate = count / statistics.median(spent)
    print(
        f"{through:<16}{stores:>7,} stores: {rate:>9,.0f} records/s per core, "
        f"{1e6 / rate:.2f} µs each",
        flush=True,
    )
    return {"through": through, "stores": stores, "records_per_s": rate, "target": target}


def measure(options: argparse.Namespace, kafka: str) -> list[dict[str, Any]]:
    """Make all measurements."""
    rows = []
    for stores in (100, 10_000):
        taken = records(options.records, stores)
        alone = [intake_alone(taken) for _ in range(options.rounds)]
        rows.append(_row("intake alone", stores, options.records, alone, None))
        topic = f"firehose-{stores}"
        uvloop.run(fill(kafka, topic, taken, time.time()))
        del taken
        whole = [
            uvloop.run(through_kafka(kafka, topic, options.records)) for _ in range(options.rounds)
        ]
        rows.append(_row("Kafka to ring", stores, options.records, whole, TARGET))
    return rows


def main() -> None:
    """Print the figures and save them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.firehose", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    collect_rarely()
    with tempfile.TemporaryDirectory(prefix="yabam-firehose-") as folder:
        server = KafkaServer(Path(folder) / "kafka", ensure_libs(Path("build/kafka"), print))
        server.start()
        try:
            rows = measure(options, server.bootstrap)
        finally:
            server.stop()
    FIREHOSE.parent.mkdir(exist_ok=True)
    FIREHOSE.write_text(json.dumps({"records": options.records, "rows": rows}, indent=1) + "\n")
    print(f"written: {FIREHOSE}")


if __name__ == "__main__":
    main()
