"""Kafka has unexpected records: foreign or invalid ones, or a log that was deleted too early."""

from __future__ import annotations

import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from tests.chaos.runner import Field, NotInjectedError, Scenario
from tests.chaos.site import Site

_TOPIC = "order-events"
_PARTITIONS = 4
_SKIPPED = "yabam_events_records_skipped_total"
_LARGE = 900_000


async def _foreign(ground: Field) -> str:
    site = ground.site
    before = await site.metrics("events", _SKIPPED)
    producer = AIOKafkaProducer(bootstrap_servers=site.bootstrap, max_request_size=1_000_000)
    await producer.start()
    sent = 0
    try:
        for number in range(round(200 * ground.scale)):
            value, headers = _some_record(ground, number)
            await producer.send_and_wait(
                _TOPIC,
                value,
                key=b"nobody",
                partition=ground.chance.randrange(_PARTITIONS),
                headers=headers,
                timestamp_ms=int(time.time() * 1000),
            )
            sent += 1
    finally:
        await producer.stop()

    async def both_skipped_all() -> bool:
        return await site.metrics("events", _SKIPPED) - before >= 2 * sent

    await ground.until(both_skipped_all, f"both event servers left {sent} records out", 30)
    return f"{sent} records, each left out and counted by both event servers"


def _some_record(ground: Field, number: int) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    noise = ground.chance.randbytes(200)
    match number % 5:
        case 0:
            return noise, []
        case 1:
            return noise, [("yabam-v", b"1"), ("ids", noise)]
        case 2:
            return None, [("something", noise)]
        case 3:
            return b'{"order":1}\n' * 50, [("content-type", b"application/json")]
        case _:
            return bytes(_LARGE), []


async def _trimmed(ground: Field) -> str:
    site = ground.site
    servers = [p for p in site.stack.processes if p.name.startswith("events")]
    sessions = await site.metrics("events", "yabam_events_sessions_total")
    for server in servers:
        server.suspend()
    await ground.last(5)
    trimmed = await _trim(site)
    for server in servers:
        server.resume()

    async def began_anew() -> bool:
        return await site.metrics("events", "yabam_events_sessions_total") >= sessions + 2

    await ground.until(began_anew, "both event servers began to read anew")
    return f"the log trimmed to offset {trimmed} in sum, the event servers began anew"


async def _trim(site: Site) -> int:
    """Delete all records of the topic. Returns the sum of the offsets at which it now begins."""
    partitions = [TopicPartition(_TOPIC, number) for number in range(_PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=site.bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=site.bootstrap)
    await consumer.start()
    await admin.start()
    try:
        ends = await consumer.end_offsets(partitions)
        await admin.delete_records({p: RecordsToDelete(end) for p, end in ends.items()})
        begins = await consumer.beginning_offsets(partitions)
    finally:
        await consumer.stop()
        await admin.close()
    if any(begins[partition] < end for partition, end in ends.items()):
        raise NotInjectedError("Kafka trimmed its log")
    return sum(begins.values())


SCENARIOS = [
    Scenario("foreign-records", "garbage, foreign and large records on the events topic", _foreign),
    Scenario(
        "trimmed-log",
        "the events topic trimmed to its end while both event servers are frozen",
        _trimmed,
        needs_kafka=True,
    ),
]
