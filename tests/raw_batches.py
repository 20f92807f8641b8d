"""Builds Kafka's record batches as bytes, valid or not, and stores them in a broker."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
_PACK = {GZIP: gzip_encode, SNAPPY: snappy_encode, LZ4: lz4_encode, ZSTD: zstd_encode}

RawHeaders = Sequence[tuple[bytes, bytes | None]]


def varint(value: int) -> bytes:
    """An integer in Kafka's zigzag encoding."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(0x80 | rest & 0x7F)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def record(
    delta: int,
    value: bytes | None,
    key: bytes | None = None,
    headers: RawHeaders = (),
    *,
    headers_told: int | None = None,
    time_delta: int = 0,
) -> bytes:
    """A record with its length. `headers_told` replaces the true number of headers."""
    fields = b"\0" + varint(time_delta) + varint(delta) + _field(key) + _field(value)
    fields += varint(len(headers) if headers_told is None else headers_told)
    for name, content in headers:
        fields += _field(name) + _field(content)
    return varint(len(fields)) + fields


def _field(content: bytes | None) -> bytes:
    return varint(-1) if content is None else varint(len(content)) + content


def batch(
    records: Sequence[bytes],
    *,
    base: int = 0,
    codec: int = 0,
    attributes: int = 0,
    time_ms: int | None = None,
    body: bytes | None = None,
    checksum_off_by: int = 0,
) -> bytes:
    """A batch of these records.

    Args:
        records: as `record` returns them.
        base: its first offset; a broker replaces it.
        codec: the compression of the records; 0: none.
        attributes: more bits of the batch's attributes.
        time_ms: the time of all records; None: now.
        body: the bytes after the head, instead of the records.
        checksum_off_by: added to the checksum; not 0: the checksum is wrong.
    """
    plain = b"".join(records)
    if body is None:
        body = _PACK[codec](plain) if codec else plain
    stamp = round(time.time() * 1000) if time_ms is None else time_ms
    checked = struct.pack(
        ">hiqqqhii", attributes | codec, len(records) - 1, stamp, stamp, -1, -1, -1, len(records)
    )
    checked += body
    checksum = (calc_crc32c(checked) + checksum_off_by) % (1 << 32)
    rest = struct.pack(">ibI", 0, 2, checksum) + checked
    return struct.pack(">qi", base, len(rest)) + rest


async def store(
    producer: AIOKafkaProducer, partition: TopicPartition, batches: Sequence[bytes]
) -> None:
    """Store these batches unchanged in the broker, each by a request of its own.

    Raises:
        KafkaError: the broker refuses them.
        TimeoutError: the broker has not accepted them within 20 seconds.
    """
    await producer.partitions_for(partition.topic)
    async with asyncio.timeout(20):
        for one in batches:
            while (error := await _store_one(producer, partition, one)) is not None:
                if not error.retriable:
                    raise error
                await producer.client.force_metadata_update()


async def _store_one(
    producer: AIOKafkaProducer, partition: TopicPartition, one: bytes
) -> KafkaError | None:
    node = producer.client.cluster.leader_for_partition(partition)
    where = [(partition.topic, [(partition.partition, one)])]
    answer = await producer.client.send(node, ProduceRequest(None, -1, 5_000, where))
    ((_, ((_, code, *_),)),) = answer.topics
    return for_code(code)(partition) if code else None
