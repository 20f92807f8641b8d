"""Kafka records of `order-events`: what the relay writes and every event server reads.

An event record carries one event in all its channels. The key is the store id, so that all
channels of a store keep their order in one partition. An event of a channel that belongs to no
store (`brand`, `global`) has no key, and a copy of it goes to every partition: a reader of several
drops duplicates by seq. The headers hold all that is needed to route and frame it: `type`, `ids`
(event ids joined by commas), `occurred_at` and `epoch`. The value holds one line of JSON per id, in
the same order: an event server forwards a line without ever parsing it.

A watermark record has no key and no value; its headers are `type` = `watermark`, `watermark`
(microseconds since the Unix epoch, the database's clock) and `epoch`.

An omitted record replaces an order event that cannot be published (it is too large for Kafka, say).
It has no value; its headers are `type` = `omitted`, `omitted` (the event ids joined by commas) and
`epoch`. Followers of these channels must sync. It lacks `ids`, so an older reader skips
it, and finds the gap at the channel's next event.

The last header of each record is `sent` = `{run}.{n}`: the publisher's run, and the record's number
in it, counted from 0 in each partition. A run lasts as long as a publisher knows for certain that
every batch was stored. So a reader can check that the next record really follows the one before. An
older relay writes no such header.

The partition of a store is Kafka's own default (murmur2 over the key), so that any producer or tool
agrees on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from client_sdk.contract.channel import Channel, parse_event_id
from client_sdk.contract.errors import CursorError, DamagedRecordError, RecordError

Headers = Sequence[tuple[str, bytes]]

WATERMARK_TYPE: Final = b"watermark"
OMITTED_TYPE: Final = b"omitted"
SENT: Final = "sent"
LAST_EPOCH_TIME: Final = "7ZZZZZZZZZ"
"""The largest time with which the name of an epoch can begin (48 bits of milliseconds)."""

_NAME: Final = re.compile(rb"[!-~]{1,64}")
_LATEST_MICROS: Final = 253_402_300_799_000_000
"""The end of the year 9999: no later time can be written as RFC 3339."""
_SENT: Final = re.compile(rb"([A-Za-z0-9_-]{1,64})\.([0-9]{1,18})")


class OrderRecord(Struct, frozen=True):
    """One order event in all its channels."""

    epoch: str
    type: str
    occurred_at: str
    """RFC 3339, UTC."""
    ids: tuple[str, ...]
    lines: tuple[bytes, ...]
    """The event's JSON for each id."""


class WatermarkRecord(Struct, frozen=True):
    """All commits of Core before `watermark` come before this record in its partition."""

    epoch: str
    watermark: float
    """Seconds since the Unix epoch, the database's clock."""


class OmittedRecord(Struct, frozen=True):
    """Takes the place of an order event that is committed and cannot be published."""

    epoch: str
    ids: tuple[str, ...]


LogRecord = OrderRecord | WatermarkRecord | OmittedRecord


def encode_order_record(record: OrderRecord) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The value and the headers of an order record."""
    headers = [
        ("type", record.type.encode()),
        ("ids", ",".join(record.ids).encode()),
        ("occurred_at", record.occurred_at.encode()),
        ("epoch", record.epoch.encode()),
    ]
    return b"\n".join(record.lines), headers


def encode_watermark_record(record: WatermarkRecord) -> list[tuple[str, bytes]]:
    """The headers of a watermark record."""
    return [
        ("type", WATERMARK_TYPE),
        ("watermark", b"%d" % round(record.watermark * 1e6)),
        ("epoch", record.epoch.encode()),
    ]


def encode_omitted_record(record: OmittedRecord) -> list[tuple[str, bytes]]:
    """The headers of an omitted record."""
    return [
        ("type", OMITTED_TYPE),
        ("omitted", ",".join(record.ids).encode()),
        ("epoch", record.epoch.encode()),
    ]


def encode_sent(run: str, number: int) -> tuple[str, bytes]:
    """The header `sent`, which is the last: the record's number in its publisher's run."""
    return SENT, b"%b.%d" % (run.encode(), number)


def sent_of(headers: Headers) -> bytes:
    """A record's `sent`; empty: there is none, or it is not ours.

    If there are several, the last one counts, as for every header.
    """
    raw = next((value for name, value in reversed(headers) if name == SENT), None)
    return raw if raw and _SENT.fullmatch(raw) else b""


def parse_sent(raw: bytes) -> tuple[bytes, int]:
    """The run and the number in a result of `sent_of`.

    Raises:
        RecordError: it is not `{run}.{n}`.
    """
    match = _SENT.fullmatch(raw)
    if match is None:
        raise RecordError("the header sent is not {run}.{n}")
    return match[1], int(match[2])


def decode_record(value: bytes | None, headers: Headers) -> LogRecord:
    """Read a record of `order-events`.

    The JSON lines are not parsed: what is inside is the client's to check.

    Raises:
        DamagedRecordError: the record carries an order event that cannot be read.
        RecordError: the record is not ours.
    """
    fields = dict(headers)
    if None in fields.values():  # Kafka permits None, although the type here excludes it
        fields = {name: text or b"" for name, text in fields.items()}
    kind, epoch_field = fields.get("type"), fields.get("epoch")
    if not kind or not epoch_field:
        raise _unreadable(fields, "the record lacks the header type or epoch")
    try:
        epoch = _name(epoch_field)
    except RecordError as error:
        raise _unreadable(fields, f"epoch: {error}") from None
    if kind == WATERMARK_TYPE:
        if "watermark" not in fields:
            raise RecordError("the record lacks the header watermark")
        return WatermarkRecord(epoch, _seconds(fields["watermark"]))
    try:
        if kind == OMITTED_TYPE:
            return OmittedRecord(epoch, tuple(fields["omitted"].decode("ascii").split(",")))
        ids = tuple(fields["ids"].decode("ascii").split(","))
    except (KeyError, UnicodeDecodeError):
        raise DamagedRecordError("the record lacks readable ids", epoch) from None
    try:
        occurred_at, name = fields["occurred_at"].decode("ascii"), _name(kind)
    except (KeyError, UnicodeDecodeError, RecordError) as error:
        raise DamagedRecordError(f"type or occurred_at: {error!r}", epoch, ids) from None
    lines = tuple((value or b"").split(b"\n"))
    if len(ids) != len(lines):
        reason = f"the record has {len(ids)} ids and {len(lines)} lines"
        raise DamagedRecordError(reason, epoch, ids)
    return OrderRecord(epoch, name, occurred_at, ids, lines)


@lru_cache(256)
def _name(raw: bytes) -> str:
    """An epoch or a type: 1 to 64 visible ASCII characters.

    Raises:
        RecordError: it is not.
    """
    if _NAME.fullmatch(raw) is None:
        raise RecordError(f"{raw[:80]!r} is not 1 to 64 visible ASCII characters")
    return raw.decode("ascii")


def _unreadable(fields: dict[str, bytes], reason: str) -> RecordError:
    """A record with a header that only we write carried one of our events."""
    ours = (
        "ids" in fields
        or "omitted" in fields
        or (SENT in fields and fields.get("type") != WATERMARK_TYPE)
    )
    return DamagedRecordError(reason) if ours else RecordError(reason)


def _seconds(micros: bytes) -> float:
    if not micros.isdigit() or len(micros) > 18 or int(micros) > _LATEST_MICROS:
        raise RecordError("the watermark is not a number of microseconds up to the year 9999")
    return int(micros) / 1e6


def split_ids(ids: Iterable[str]) -> list[tuple[str, int]]:
    """The event ids of a record as (channel, seq).

    Raises:
        RecordError: one of them is not an event id.
    """
    try:
        return [parse_event_id(text) for text in ids]
    except CursorError as error:
        raise RecordError(str(error)) from error


def partition_of(store_id: str, partitions: int) -> int:
    """The partition of a store's records: Kafka's default partitioner over the key."""
    return (_murmur2(store_id.encode()) & 0x7FFFFFFF) % partitions


def partition_of_channel(channel: Channel, partitions: int) -> int | None:
    """The partition of a channel's records; None: its events reach every partition."""
    store_id = channel.store_id
    return None if store_id is None else partition_of(store_id, partitions)


def _murmur2(data: bytes) -> int:
    """MurmurHash2 with the seed of org.apache.kafka.common.utils.Utils, as unsigned 32 bits."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length - length % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    if length % 4:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)
