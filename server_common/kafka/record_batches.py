"""A broker's answer, read record by record, so that only damaged records are lost.

aiokafka reads a batch whole or not at all, and takes only names of headers that are UTF-8. This
reader is for answers that aiokafka refuses. As in Java's client, a name that is not UTF-8 does no
harm: its bytes are shown as `\\xff`. Of what is damaged, the rest is read:

- one record whose fields do not fit its length: the other records of its batch;
- a batch that cannot be unpacked, or only to more than the bound, or whose checksum is wrong: the
  other batches.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from aiokafka import TopicPartition
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import calc_crc32c

from server_common.kafka.codecs import UNPACK
from server_common.kafka.raw_records import Found, Headers, LeftOut, ReadRecord, Record

FRAME: Final = struct.Struct(">qi")
"""What every batch begins with: its first offset, and how many bytes follow."""
_MAGIC_AT: Final = 16
_CHECKED_FROM: Final = 21
_HEAD: Final = struct.Struct(">qiibIhiqqqhii")
_SMALLEST: Final = 26
"""Bytes of a batch of the oldest form without a key and a value."""
_PACKED: Final = 0x07
_TIME_IS_THE_BROKERS: Final = 0x08
_IS_CONTROL: Final = 0x20
_MAX_SINGLES: Final = 100
"""How many damaged records of a batch are reported one by one; the rest is reported as one."""
MAX_RECORDS: Final = 50_000
"""How many records are given at once. A batch may hold millions that are a few bytes each."""


def bytes_of_first(data: bytes) -> int:
    """The size in bytes that the first batch claims; 0: it cannot be read."""
    if len(data) < FRAME.size:
        return 0
    return FRAME.size + max(int(FRAME.unpack_from(data)[1]), 0)


def read_batches(partition: TopicPartition, data: bytes, position: int, highwater: int) -> Found:
    """Read the batches of an answer.

    Args:
        partition: where they come from.
        data: the batches; the last one may be cut off by the size of the answer.
        position: the offset that was asked for; a batch may begin before it.
        highwater: the offset behind the last one that may be read.
    """
    found: list[ReadRecord] = []
    expected = position
    at = 0
    while len(data) - at >= FRAME.size and expected < highwater:
        length = int(FRAME.unpack_from(data, at)[1])
        end = at + FRAME.size + length
        if FRAME.size + length < _SMALLEST:
            found.append(LeftOut(expected, expected, "a batch without a length", b"", None))
            return Found(found, expected + 1)
        if end > len(data):
            if at == 0:  # a broker sends the first batch whole, however large
                reason = "a batch that is longer than the answer"
                found.append(LeftOut(expected, expected, reason, data, None))
                return Found(found, expected + 1)
            break
        behind = _first_offset(data, end)
        batch = _Batch(partition, data[at:end], expected, highwater, behind)
        for record in batch:
            if record.offset < expected:
                continue
            if isinstance(record, LeftOut) and record.first < expected:
                record = replace(record, first=expected)
            found.append(record)
            if len(found) == MAX_RECORDS:
                return Found(found, record.offset + 1)
        expected = max(expected, batch.next_offset)
        at = end
    if at > 0 and expected == position:
        # The offset of a batch is not under its checksum. Whatever it was, reading must go on.
        reason = "only batches from before what was asked for"
        return Found([LeftOut(position, position, reason, data, None)], position + 1)
    return Found(found, expected)


def _first_offset(data: bytes, at: int) -> int | None:
    return int(FRAME.unpack_from(data, at)[0]) if len(data) - at >= FRAME.size else None


class _Batch:
    """One batch. Iterating over it gives what it holds; then `next_offset` counts."""

    def __init__(
        self,
        partition: TopicPartition,
        data: bytes,
        expected: int,
        highwater: int,
        behind: int | None,
    ) -> None:
        self._partition = partition
        self._data = data
        self._expected = expected
        self._highwater = highwater
        self._behind = behind
        self.next_offset = expected

    def __iter__(self) -> Iterator[ReadRecord]:
        if self._data[_MAGIC_AT] < 2:
            yield from self._old()
        elif len(self._data) < _HEAD.size:
            yield self._whole("a batch without a head")
        else:
            yield from self._read()

    def _old(self) -> Iterator[ReadRecord]:
        """A batch in a form from before 2017; its offset is its last one."""
        offset = int(FRAME.unpack_from(self._data)[0])
        try:
            batch = LegacyRecordBatch(self._data, self._data[_MAGIC_AT])
            records = list(batch) if batch.validate_crc() else None
        except Exception as error:
            yield self._whole(repr(error), offset)
            return
        if records is None:
            yield self._whole("wrong checksum", offset)
            return
        places = [one.offset for one in records]
        if places != sorted(set(places)) or max(places, default=-1) > offset:
            yield self._whole("records out of their places", offset)
            return
        if offset >= self._highwater:
            yield self._whole("offsets that there are not", offset)
            return
        self.next_offset = offset + 1
        for one in records:
            yield self._record(one.offset, one.timestamp, one.key, one.value)

    def _read(self) -> Iterator[ReadRecord]:
        (base, _, _, _, checksum, attributes, last_delta, first_time, last_time,
         _, _, _, count) = _HEAD.unpack_from(self._data)  # fmt: skip
        last = base + last_delta
        if calc_crc32c(self._data[_CHECKED_FROM:]) != checksum:
            yield self._whole("wrong checksum", last)
            return
        if last_delta < 0 or last >= self._highwater:
            yield self._whole("offsets that there are not", last)
            return
        self.next_offset = last + 1
        if attributes & _IS_CONTROL:
            return
        packed = self._data[_HEAD.size :]
        if codec := attributes & _PACKED:
            try:
                body = UNPACK[codec](packed)
            except Exception as error:
                reason = f"cannot be unpacked: {error!r}"
                yield LeftOut(base, last, reason, self._data, last_time)
                return
        else:
            body = packed
        if attributes & _TIME_IS_THE_BROKERS:
            first_time = None
        yield from self._records(body, range(base, last + 1), count, first_time, last_time)

    def _records(
        self, body: bytes, places: range, count: int, first_time: int | None, last_time: int
    ) -> Iterator[ReadRecord]:
        """The records of a batch whose head is right.

        Args:
            body: the records.
            places: their offsets.
            count: how many there are.
            first_time: what their times count from; None: all have `last_time`.
            last_time: none is younger.
        """
        base, last = places[0], places[-1]
        at, before, seen, damaged = 0, base - 1, 0, 0
        while at < len(body):
            begin = at
            raw, at = _next_record(body, at)
            if raw is None or damaged == _MAX_SINGLES:
                reason = "records that cannot be told from each other"
                yield LeftOut(min(before + 1, last), last, reason, body[begin:], last_time)
                return
            seen += 1
            try:
                after, key, value, headers, offset = _fields(raw, base)
                if not before < offset <= last:
                    raise _misplaced(offset)
            except ValueError as error:
                damaged += 1
                before = min(before + 1, last)
                yield LeftOut(before, before, str(error), raw, last_time)
                continue
            before = offset
            time = last_time if first_time is None else first_time + after
            yield self._record(offset, time, key, value, headers)
        if seen < count and before < last:
            reason = f"a batch with {seen} of its {count} records"
            yield LeftOut(before + 1, last, reason, self._data, last_time)

    def _whole(self, reason: str, last: int | None = None) -> LeftOut:
        """The batch as one unreadable piece, when its head cannot be trusted.

        Args:
            reason: why.
            last: the last offset that it says it has.
        """
        # What the broker keeps behind it says most surely where it ends.
        if self._behind is not None and self._expected < self._behind <= self._highwater:
            last = self._behind - 1
        elif last is None or not self._expected <= last < self._highwater:
            last = self._expected
        self.next_offset = last + 1
        return LeftOut(self._expected, last, reason, self._data, None)

    def _record(
        self,
        offset: int,
        time: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
    ) -> Record:
        topic, partition = self._partition
        return Record(topic, partition, offset, -1 if time is None else time, key, value, headers)


def _next_record(body: bytes, at: int) -> tuple[bytes | None, int]:
    """The bytes of the record that begins here, and the place behind them. None: its length is
    damaged, and so nobody knows where the next one begins; then the place is the same."""
    try:
        length, begin = _varint(body, at)
    except ValueError:
        return None, at
    end = begin + length
    return (body[begin:end], end) if length > 0 and end <= len(body) else (None, at)


def _misplaced(offset: int) -> ValueError:
    return ValueError(f"a record at the offset {offset}, which is not its place")


def _fields(record: bytes, base: int) -> tuple[int, bytes | None, bytes | None, Headers, int]:
    """A record's distance from its batch's first time, its key, its value, its headers and its
    offset; `base`: its batch's first one.

    Raises:
        ValueError: it is damaged.
    """
    time_delta, at = _varint(record, 1)
    delta, at = _varint(record, at)
    key, at = _bytes(record, at)
    value, at = _bytes(record, at)
    count, at = _varint(record, at)
    if not 0 <= count <= len(record):
        raise ValueError(f"a record with {count} headers")
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _bytes(record, at)
        if name is None:
            raise ValueError("a header without a name")
        content, at = _bytes(record, at)
        headers.append((name.decode("utf-8", "backslashreplace"), content))
    if at != len(record):
        raise ValueError(f"a record of {len(record)} bytes whose fields end after {at}")
    return time_delta, key, value, tuple(headers), base + delta


def _bytes(record: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(record, at)
    if length < 0:
        return None, at
    if at + length > len(record):
        raise ValueError(f"a field of {length} bytes in a record of {len(record)}")
    return record[at : at + length], at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Kafka's zigzag integer at this place, and the place behind it.

    Raises:
        ValueError: there is none.
    """
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("a number that is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (value >> 1) ^ -(value & 1), at
    raise ValueError("a number of more than ten bytes")
