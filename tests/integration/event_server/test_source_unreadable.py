"""What the event server cannot read costs its followers a sync, and stops nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from confluent_kafka import Producer

from server_common.kafka_records.events import Headers, partition_of
from tests.integration.event_server.relay import PARTITIONS, Relay, relay_to
from tests.integration.event_server.test_source import reading
from tests.raw_batches import ZSTD, batch, record, store
from tests.unit.event_server.parts import order_record

MINE = partition_of("1", PARTITIONS)
OTHER = next(s for s in ("2", "3", "4", "5") if partition_of(s, PARTITIONS) != MINE)
# Apache Kafka refuses damaged batches; what its disk damages later, the embedded broker stands for.
DAMAGED = pytest.mark.parametrize("bootstrap", ["embedded"], indirect=True)


def event(seq: int) -> tuple[bytes, Headers]:
    value, headers = order_record((f"store:1@{seq}",))
    assert value is not None
    return value, headers


def raw_event(delta: int, seq: int, *more: tuple[bytes, bytes], damaged: bool = False) -> bytes:
    """A record of an event, behind headers of somebody else."""
    value, headers = event(seq)
    named = [*more, *((name.encode(), content) for name, content in headers)]
    return record(delta, value, headers=named, headers_told=99 if damaged else None)


class Broker:
    """A topic with a relay, and a way to have any bytes in it."""

    def __init__(
        self, bootstrap: str, topic: str, relay: Relay, producer: AIOKafkaProducer
    ) -> None:
        self.bootstrap = bootstrap
        self.topic = topic
        self.relay = relay
        self._producer = producer

    async def store(self, *batches: bytes) -> None:
        await store(self._producer, TopicPartition(self.topic, MINE), batches)


@pytest.fixture
async def broker(bootstrap: str, topic: str) -> AsyncIterator[Broker]:
    async with (
        relay_to(bootstrap, topic) as relay,
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
    ):
        yield Broker(bootstrap, topic, relay, producer)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_events_are_read_however_they_are_packed(broker: Broker, codec: str) -> None:
    broker.relay.keep_marking()
    packer = Producer(
        {"bootstrap.servers": broker.bootstrap, "compression.codec": codec, "linger.ms": 200}
    )
    async with reading(broker.bootstrap, broker.topic) as it:
        await it.until_warm()
        for seq in range(1, 21):
            value, headers = event(seq)
            packer.produce(broker.topic, value, headers=list(headers), partition=MINE)
        assert await asyncio.to_thread(packer.flush, 20) == 0
        await it.until(lambda: it.head("1") == 20)
        assert (it.lost, it.skipped) == ([], {})


async def test_a_header_whose_name_is_not_utf8_costs_nobody_anything(broker: Broker) -> None:
    broker.relay.keep_marking()
    async with reading(broker.bootstrap, broker.topic) as it:
        await it.until_warm()
        await broker.relay.publish("1", 1)
        await it.until(lambda: it.head("1") == 1)
        follower = it.follow("1", 1)
        await broker.store(batch([raw_event(0, 2, (b"caf\xe9", b"x")), raw_event(1, 3)]))
        await it.until(lambda: it.head("1") == 3)
        assert follower.ids() == ["store:1@2", "store:1@3"]
        assert (it.lost, it.skipped, it.source.sessions) == ([], {}, 1)


@DAMAGED
@pytest.mark.parametrize(
    "damaged",
    [
        batch([raw_event(0, 2, damaged=True)]),
        batch([raw_event(0, 2)], codec=ZSTD, body=b"not packed by anything"),
        batch([raw_event(0, 2)], checksum_off_by=1),
    ],
    ids=["record", "not unpacked", "checksum"],
)
async def test_who_follows_the_partition_of_what_is_damaged_is_told_to_sync_and_nobody_else(
    broker: Broker, damaged: bytes
) -> None:
    broker.relay.keep_marking()
    async with reading(broker.bootstrap, broker.topic) as it:
        await it.until_warm()
        await broker.relay.publish("1", 1)
        await broker.relay.publish(OTHER, 1)
        await it.until(lambda: it.head("1") == it.head(OTHER) == 1)
        follower, other = it.follow("1", 1), it.follow(OTHER, 1)
        await broker.store(damaged)
        await it.until(lambda: follower.ended)
        await broker.relay.publish("1", 3)
        await broker.relay.publish(OTHER, 2)
        await it.until(lambda: it.head("1") == 3 and it.head(OTHER) == 2)
        assert follower.types() == ["sync-required"]
        assert other.ids() == [f"store:{OTHER}@2"]
        assert it.skipped == {"unreadable": 1}
        assert (it.lost, it.source.sessions, it.hub.warm) == ([], 1, True)


@DAMAGED
async def test_of_a_damaged_batch_the_whole_records_are_taken(broker: Broker) -> None:
    broker.relay.keep_marking()
    async with reading(broker.bootstrap, broker.topic) as it:
        await it.until_warm()
        await broker.store(
            batch([raw_event(0, 1), record(1, b"x", headers_told=9), raw_event(2, 2)])
        )
        await it.until(lambda: it.head("1") == 2)
        assert it.skipped == {"unreadable": 1}


@DAMAGED
async def test_a_client_that_synced_before_what_is_damaged_must_sync_again(broker: Broker) -> None:
    broker.relay.keep_marking()
    async with reading(broker.bootstrap, broker.topic) as it:
        await it.until_warm()
        synced_at = time.time()
        await broker.store(batch([raw_event(0, 1)], checksum_off_by=1))
        await it.until(lambda: it.skipped["unreadable"])
        assert it.hub.rings.covered_since > synced_at


@DAMAGED
async def test_a_start_gets_over_what_is_damaged_before_it(broker: Broker) -> None:
    await broker.relay.mark()
    await broker.relay.publish("1", 1)
    damaged = batch([raw_event(0, 2, damaged=True)])
    await broker.store(damaged)
    await broker.relay.publish("1", 3)
    await broker.store(damaged)
    async with reading(broker.bootstrap, broker.topic) as it:
        await it.until(lambda: it.skipped["unreadable"] == 2)
        broker.relay.keep_marking()
        await it.until_warm()
        await broker.relay.publish("1", 5)
        await it.until(lambda: it.head("1") == 5)
        assert it.lost == []


@DAMAGED
async def test_a_record_of_the_relay_that_is_damaged_is_told_once(broker: Broker) -> None:
    relay = broker.relay
    relay.begin_run()
    await relay.mark()
    async with reading(broker.bootstrap, broker.topic) as it:
        await relay.publish("1", 1)
        await it.until(lambda: it.head("1") == 1)
        relay.skip_a_number(MINE)
        await broker.store(batch([raw_event(0, 2, damaged=True)]))
        await relay.publish("1", 3)
        relay.keep_marking()
        await it.until_warm()
        assert it.head("1") == 3
        assert it.skipped == {"unreadable": 1}
        assert it.lost == []


@pytest.mark.parametrize(
    "bootstrap", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True
)
async def test_the_mark_of_a_strangers_transaction_is_no_record_that_is_owed(
    broker: Broker,
) -> None:
    broker.relay.keep_marking()
    async with reading(broker.bootstrap, broker.topic) as it:
        await it.until_warm()
        await broker.relay.stop_marking()
        async with AIOKafkaProducer(
            bootstrap_servers=broker.bootstrap, transactional_id=broker.topic
        ) as stranger:
            async with stranger.transaction():
                await stranger.send_and_wait(broker.topic, b"x", partition=MINE)
            # Beyond the silence that is looked into and two looks.
            await it.until(lambda: (it.hub.lag(time.monotonic()) or 0) > 5.0)
        assert it.lost == []
        assert it.source.sessions == 1
