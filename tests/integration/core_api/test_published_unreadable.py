"""The relay's look at what it has published gets over what it cannot read."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from confluent_kafka import Producer

from core_api.ids import epoch_name
from core_api.kafka.topics import ensure_topics, events_topic
from core_api.restore.published_records import read_published
from tests.raw_batches import batch, record, store
from tests.unit.event_server.parts import order_record

EPOCH = epoch_name(1_795_000_000_000, bytes(10))


def raw_event(delta: int, seq: int, *more: tuple[bytes, bytes]) -> bytes:
    value, headers = order_record((f"store:1@{seq}",), EPOCH)
    return record(delta, value, headers=[*more, *((n.encode(), v) for n, v in headers)])


async def published(bootstrap: str, topic: str, *batches: bytes) -> list[str]:
    """What is found where a topic holds these, and an event of another partition."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await ensure_topics(bootstrap, [events_topic(topic, 4)], 5)
        await store(producer, TopicPartition(topic, 2), batches)
        await store(producer, TopicPartition(topic, 1), [batch([raw_event(0, 50)])])
    tail = await read_published(bootstrap, topic, range(4))
    assert tail.epoch == EPOCH
    return sorted(ids for order in tail.orders for ids in order.ids)


async def test_an_event_behind_a_header_whose_name_is_not_utf8_counts(
    bootstrap: str, topic: str
) -> None:
    made = batch([raw_event(0, 10), raw_event(1, 11, (b"caf\xe9", b"x")), raw_event(2, 12)])
    found = await published(bootstrap, topic, made)
    assert found == ["store:1@10", "store:1@11", "store:1@12", "store:1@50"]


@pytest.mark.parametrize("bootstrap", ["embedded"], indirect=True)
async def test_what_is_damaged_is_told_and_passed_over(bootstrap: str, topic: str) -> None:
    damaged = batch([raw_event(0, 10), record(1, b"x", headers_told=3), raw_event(2, 12)])
    last = batch([raw_event(0, 13)], checksum_off_by=1)
    with structlog.testing.capture_logs() as log:
        found = await published(bootstrap, topic, damaged, last)
    assert found == ["store:1@10", "store:1@12", "store:1@50"]
    told = [line["first_offset"] for line in log if line["event"] == "published_unreadable"]
    assert told == [1, 3]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_events_are_found_however_they_are_packed(
    bootstrap: str, topic: str, codec: str
) -> None:
    await ensure_topics(bootstrap, [events_topic(topic, 4)], 5)
    producer = Producer(
        {"bootstrap.servers": bootstrap, "compression.codec": codec, "linger.ms": 200}
    )
    for seq in range(20):  # one alone would not be worth packing
        value, headers = order_record((f"store:1@{seq + 1}",), EPOCH)
        producer.produce(topic, value, headers=list(headers), partition=3)
    assert await asyncio.to_thread(producer.flush, 20) == 0
    tail = await read_published(bootstrap, topic, range(4))
    assert [order.ids for order in tail.orders] == [(f"store:1@{seq + 1}",) for seq in range(20)]
