"""What ingest finds in Kafka is applied or kept aside, and stops nothing, whatever it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import Producer

from core_api.kafka.topics import dead_letter_topic, ensure_topics, inbound_topic
from deploy.kafka.server import KafkaServer
from tests.integration.core_api.relaying import PARTITIONS, commands, until_true
from tests.integration.core_api.test_ingest import ORDER, Inbound, a_command
from tests.raw_batches import LZ4, batch, record, store

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)
# Apache Kafka refuses damaged batches; what its disk damages later, the embedded broker stands for.
DAMAGED = pytest.mark.parametrize("bootstrap", ["embedded"], indirect=True)


@pytest.fixture
async def inbound(bootstrap: str) -> AsyncIterator[Inbound]:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        made = Inbound(bootstrap, producer)
        topics = [inbound_topic(made.topic, PARTITIONS), dead_letter_topic(made.dead, PARTITIONS)]
        await ensure_topics(bootstrap, topics, 5)
        yield made


def an_order(reference: str) -> bytes:
    return a_command(reference, body={**ORDER, "reference": reference})


async def references(pool: Pool) -> set[str]:
    return {row[0] for row in await pool.fetch("SELECT reference FROM orders")}


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_commands_are_applied_however_their_producer_packs_them(
    pool: Pool, inbound: Inbound, codec: str
) -> None:
    producer = Producer(
        {"bootstrap.servers": inbound.bootstrap, "compression.codec": codec, "linger.ms": 200}
    )
    for number in range(20):
        producer.produce(inbound.topic, an_order(f"r{number}"), b"12", partition=1)
    assert await asyncio.to_thread(producer.flush, 20) == 0
    async with inbound.ingested(commands(pool)):
        await until_true(pool, "SELECT count(*) = 20 FROM orders", 30)
        await inbound.until_committed(20)


async def test_a_header_whose_name_is_not_utf8_keeps_no_command_from_being_applied(
    pool: Pool, inbound: Inbound
) -> None:
    made = batch(
        [
            record(0, an_order("before")),
            record(1, an_order("itself"), headers=[(b"caf\xe9", b"x"), (b"n", None)]),
            record(2, an_order("behind")),
        ]
    )
    async with inbound.ingested(commands(pool)):
        await store(inbound.producer, TopicPartition(inbound.topic, 1), [made])
        await inbound.producer.send_and_wait(inbound.topic, an_order("later"), partition=1)
        await until_true(pool, "SELECT count(*) = 4 FROM orders", 30)
        await inbound.until_committed(4)
    assert await references(pool) == {"before", "itself", "behind", "later"}


@DAMAGED
async def test_of_a_batch_only_the_damaged_record_is_kept_aside(
    pool: Pool, inbound: Inbound
) -> None:
    damaged = record(1, an_order("damaged"), headers_told=3)
    made = batch([record(0, an_order("before")), damaged, record(2, an_order("behind"))])
    with structlog.testing.capture_logs() as log:
        async with inbound.ingested(commands(pool)):
            await store(inbound.producer, TopicPartition(inbound.topic, 1), [made])
            await inbound.producer.send_and_wait(inbound.topic, an_order("later"), partition=1)
            await until_true(pool, "SELECT count(*) = 3 FROM orders", 30)
            await inbound.until_committed(4)
            (letter,) = await inbound.dead_letters(1)
    assert await references(pool) == {"before", "behind", "later"}
    assert an_order("damaged") in letter.value
    headers = dict(letter.headers)
    assert headers["reason"] == b"unreadable"
    assert headers["original_topic"].decode() == inbound.topic
    assert (headers["original_partition"], headers["original_offset"]) == (b"1", b"1")
    assert headers["original_last_offset"] == b"1"
    (line,) = [line for line in log if line["event"] == "records_unreadable"]
    assert (line["partition"], line["first_offset"], line["last_offset"]) == (1, 1, 1)


@DAMAGED
@pytest.mark.parametrize(
    "damaged",
    [
        batch([b""] * 3, codec=LZ4, body=b"not packed by anything"),
        batch([b""] * 3, codec=7, body=b"packed by nothing that there is"),
        batch([record(n, an_order(f"d{n}")) for n in range(3)], checksum_off_by=1),
    ],
    ids=["not unpacked", "unknown codec", "checksum"],
)
async def test_a_damaged_batch_is_kept_aside_whole_and_its_neighbours_are_applied(
    pool: Pool, inbound: Inbound, damaged: bytes
) -> None:
    async with inbound.ingested(commands(pool)):
        before = batch([record(0, an_order("before"))])
        behind = batch([record(0, an_order("behind"))])
        partition = TopicPartition(inbound.topic, 1)
        await store(inbound.producer, partition, [before, damaged, behind])
        await until_true(pool, "SELECT count(*) = 2 FROM orders", 30)
        await inbound.until_committed(5)
        (letter,) = await inbound.dead_letters(1)
    headers = dict(letter.headers)
    assert (headers["original_offset"], headers["original_last_offset"]) == (b"1", b"3")
    # The broker gives a batch its offset; all behind is as it was sent.
    assert letter.value[16:] == damaged[16:]


@DAMAGED
async def test_what_other_partitions_hold_is_applied_once(pool: Pool, inbound: Inbound) -> None:
    damaged = batch([record(0, b"x", headers_told=3)])
    for number in range(8):
        name = an_order(f"r{number}")
        await inbound.producer.send_and_wait(inbound.topic, name, partition=number % PARTITIONS)
        await store(inbound.producer, TopicPartition(inbound.topic, number % 2), [damaged])
    async with inbound.ingested(commands(pool)):
        await until_true(pool, "SELECT count(*) = 8 FROM orders", 30)
        await inbound.until_committed(16)
        letters = await inbound.dead_letters(8)
    assert {dict(one.headers)["reason"] for one in letters} == {b"unreadable"}
    assert await pool.fetchval("SELECT count(*) FROM orders") == 8


@DAMAGED
async def test_what_is_kept_aside_is_counted(pool: Pool, inbound: Inbound) -> None:
    port: list[int] = []
    async with inbound.ingested(commands(pool), port), httpx.AsyncClient() as http:
        await store(
            inbound.producer,
            TopicPartition(inbound.topic, 1),
            [batch([record(0, b"x", headers_told=3)])],
        )
        await inbound.until_committed(1)
        url = f"http://127.0.0.1:{port[0]}/metrics"
        shown = await http.get(url, headers={"authorization": "Bearer ops"})
    assert 'yabam_ingest_dead_letters_total{reason="unreadable"} 1.0' in shown.text
    assert 'yabam_ingest_commands_total{outcome="refused"} 1.0' in shown.text


@pytest.mark.parametrize("bootstrap", [KAFKA], indirect=True)
async def test_a_transaction_counts_record_by_record_and_its_marks_are_passed_over(
    pool: Pool, inbound: Inbound
) -> None:
    """One that is left open would hold up the orders of all other producers until it times out."""
    name = f"pos-{inbound.topic}"
    async with AIOKafkaProducer(
        bootstrap_servers=inbound.bootstrap, transactional_id=name
    ) as producer:
        async with producer.transaction():
            await producer.send_and_wait(inbound.topic, an_order("kept"), partition=1)
        await producer.begin_transaction()
        await producer.send_and_wait(inbound.topic, an_order("aborted"), partition=1)
        await producer.abort_transaction()
    made = batch([record(0, an_order("behind"), headers=[(b"\xff", b"")])])
    await store(inbound.producer, TopicPartition(inbound.topic, 1), [made])
    async with inbound.ingested(commands(pool)):
        await until_true(pool, "SELECT count(*) = 3 FROM orders", 30)
        await inbound.until_committed(5)
    assert await references(pool) == {"kept", "aborted", "behind"}


@pytest.mark.parametrize("bootstrap", [KAFKA], indirect=True)
async def test_the_mark_behind_the_last_record_leaves_the_group_behind_by_nothing(
    pool: Pool, inbound: Inbound
) -> None:
    name, partition = f"pos-{inbound.topic}", TopicPartition(inbound.topic, 1)
    async with AIOKafkaProducer(
        bootstrap_servers=inbound.bootstrap, transactional_id=name
    ) as producer:
        async with producer.transaction():
            await producer.send_and_wait(inbound.topic, an_order("kept"), partition=1)
        # Its next transaction begins only when the mark of the one before is stored.
        await producer.begin_transaction()
        await producer.send_and_wait(inbound.topic, an_order("next"), partition=0)
        async with inbound.ingested(commands(pool)):
            await until_true(pool, "SELECT count(*) = 2 FROM orders", 30)
            await inbound.until_committed(3)
        await producer.abort_transaction()
    async with AIOKafkaConsumer(bootstrap_servers=inbound.bootstrap) as consumer:
        assert await consumer.end_offsets([partition]) == {partition: 2}


@pytest.mark.parametrize("bootstrap", [KAFKA], indirect=True)
async def test_what_a_brokers_disk_has_damaged_stops_nothing_behind_it(
    pool: Pool, inbound: Inbound, kafka_server: KafkaServer
) -> None:
    for name in ("before", "damaged", "behind"):
        await inbound.producer.send_and_wait(inbound.topic, an_order(name), partition=1)
    (segment,) = kafka_server.log_folder.glob(f"{inbound.topic}-1/*.log")
    await asyncio.to_thread(flip_a_bit, segment, b"damaged")
    async with inbound.ingested(commands(pool)):
        await until_true(pool, "SELECT count(*) = 2 FROM orders", 30)
        await inbound.until_committed(3)
        (letter,) = await inbound.dead_letters(1)
    assert await references(pool) == {"before", "behind"}
    assert dict(letter.headers)["original_offset"] == b"1"


def flip_a_bit(file: Path, where: bytes) -> None:
    """Damage a file at the first place that holds these bytes."""
    with file.open("r+b") as opened:
        opened.seek(opened.read().index(where))
        opened.write(bytes([where[0] ^ 1]))
