"""A consumer's `getmany` that no damaged record can stop.

aiokafka raises where it cannot read a batch, again at every call, and drops what it had read of
other partitions. Then each partition is fetched again, and read record by record
(`record_batches.py`): damaged data come as `LeftOut` in their place, and reading goes on after
them. The same holds for a partition whose broker refuses damaged records itself (`refusals.py`).
Errors with another cause (the brokers, the network, the group) are raised as usual.
"""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    LeaderNotAvailableError,
    RecordTooLargeError,
    UnsupportedCodecError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest

from server_common.kafka.codecs import bound_aiokafka
from server_common.kafka.raw_records import Found, LeftOut, ReadRecord
from server_common.kafka.record_batches import FRAME, bytes_of_first, read_batches
from server_common.kafka.refusals import first_given, refused
from server_common.limits import FETCHED_BATCH_BYTES
from server_common.logs import get_logger

_log = get_logger()

_BYTES_AT_ONCE: Final = 1 << 20
_READ_UNCOMMITTED: Final = 0
_IN_THE_DATA: Final = (
    CorruptRecordException,
    UnsupportedCodecError,
    RecordTooLargeError,
    gzip.BadGzipFile,
)

# A small batch may decompress to gigabytes: bound that in every process that reads.
bound_aiokafka()

Positions = Callable[[], Awaitable[Mapping[TopicPartition, int]]]


async def get_many(
    consumer: AIOKafkaConsumer,
    positions: Positions,
    *partitions: TopicPartition,
    timeout_ms: int,
    max_records: int | None = None,
) -> Mapping[TopicPartition, Sequence[ReadRecord]]:
    """The next records of these partitions, of all if none is named.

    Args:
        consumer: started, with partitions.
        positions: gives, for each partition to read, the offset after the last processed record;
            called only when aiokafka cannot read. The consumer then seeks to the end of the result.
        partitions: those to read.
        timeout_ms: how long to wait for a record.
        max_records: the most at once, over all partitions, or in each of them when one is damaged;
            None: no limit of ours.

    Raises:
        KafkaError, OSError, TimeoutError: the brokers do not answer, or refuse.
        Exception: aiokafka failed, and not because of a damaged record.
    """
    damaged = refused(consumer)
    try:
        records: Mapping[TopicPartition, Sequence[ReadRecord]] = await consumer.getmany(
            *partitions, timeout_ms=timeout_ms, max_records=max_records
        )
    except Exception as error:
        if not _may_lie_in_the_data(error):
            raise
        found = await _read_closely(consumer, await positions(), max_records)
        if not found:
            raise
        _log.info("read_closely", reason=repr(error))
        return found
    if stuck := {tp for tp in damaged if tp not in records}:
        ahead = {tp: at for tp, at in (await positions()).items() if tp in stuck}
        records = {**records, **await _read_closely(consumer, ahead, max_records)}
    return records


async def _read_closely(
    consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, int], max_records: int | None
) -> dict[TopicPartition, list[ReadRecord]]:
    """The data of these partitions; the consumer seeks to their end."""
    found = {tp: await _closely(consumer, tp, at) for tp, at in positions.items()}
    if max_records is not None:
        found = {tp: one.at_most(max_records) for tp, one in found.items()}
    if any(one.records for one in found.values()):
        for tp, one in found.items():
            if tp in consumer.assignment():
                consumer.seek(tp, one.next_offset)
    return {tp: one.records for tp, one in found.items() if one.records}


def _may_lie_in_the_data(error: Exception) -> bool:
    return isinstance(error, _IN_THE_DATA) or not isinstance(error, KafkaError | OSError)


async def _closely(consumer: AIOKafkaConsumer, tp: TopicPartition, at: int) -> Found:
    # Records that were only damaged in transit are whole in another fetch.
    with contextlib.suppress(CorruptRecordException):
        found = await _read(consumer, tp, at)
        if not any(isinstance(one, LeftOut) for one in found.records):
            return found
    try:
        return await _read(consumer, tp, at)
    except CorruptRecordException:
        return await _behind_what_is_refused(consumer, tp, at)


async def _behind_what_is_refused(consumer: AIOKafkaConsumer, tp: TopicPartition, at: int) -> Found:
    """The `LeftOut` of the records that the broker does not return from this offset on."""

    async def is_given(offset: int) -> bool:
        try:
            await _fetch(consumer, tp, offset, FRAME.size)
        except CorruptRecordException:
            return False
        return True

    end = (await consumer.end_offsets([tp]))[tp]
    next_offset = await first_given(at, end, is_given)
    reason = "the broker does not return it: CORRUPT_MESSAGE"
    return Found([LeftOut(at, next_offset - 1, reason, b"", None)], next_offset)


async def _read(consumer: AIOKafkaConsumer, tp: TopicPartition, at: int) -> Found:
    data, highwater = await _fetch(consumer, tp, at, _BYTES_AT_ONCE)
    if len(data) < (whole := bytes_of_first(data)) <= FETCHED_BATCH_BYTES:
        data, highwater = await _fetch(consumer, tp, at, whole)
    return read_batches(tp, data, at, highwater)


async def _fetch(
    consumer: AIOKafkaConsumer, tp: TopicPartition, at: int, limit: int
) -> tuple[bytes, int]:
    """The bytes that the partition's leader has from this offset on, and the offset after the last
    one that may be read.

    Raises:
        KafkaError: it does not answer, or refuses.
    """
    client: Any = consumer._client
    node = client.cluster.leader_for_partition(tp)
    if node is None or node == -1:
        raise LeaderNotAvailableError(tp)
    what = [(tp.topic, [(tp.partition, at, limit)])]
    answer = await client.send(node, FetchRequest(0, 0, limit, _READ_UNCOMMITTED, what))
    ((_, ((_, code, highwater, *_, data),)),) = answer.topics
    if code:
        raise for_code(code)(tp)
    return bytes(data or b""), int(highwater)
