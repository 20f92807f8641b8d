"""Kafka records of `order-events`: what the relay writes and every event server reads.

An order record carries one order event in all its channels. The key is the store id, so both
channels keep their order in one partition. The headers hold all that is needed to route and frame
it: `type`, `ids` (event ids joined by commas), `occurred_at` and `epoch`. The value holds one line
of JSON per id, in the same order: an event server forwards a line without ever parsing it.

A watermark record has no key and no value; its headers are `type` = `watermark`, `watermark`
(microseconds since the Unix epoch, the database's clock) and `epoch`.

A left-out record stands in the place of an order event that cannot be published (Kafka takes no
record so large, say). It has no value; its headers are `type` = `left-out`, `left_out` (the event
ids joined by commas) and `epoch`. Whoever follows one of these channels must sync. It lacks `ids`,
so a reader that does not know it leaves it out, and finds the gap at the channel's next event.

The partition of a store is Kafka's own default (murmur2 over the key), so that any producer or tool
agrees on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from client_sdk.contract.channel import parse_event_id
from client_sdk.contract.errors import CursorError, RecordError

Headers = Sequence[tuple[str, bytes]]

WATERMARK_TYPE: Final = b"watermark"
LEFT_OUT_TYPE: Final = b"left-out"


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
    """All that Core committed before `watermark` stands before this record in its partition."""

    epoch: str
    watermark: float
    """Seconds since the Unix epoch, the database's clock."""


class LeftOutRecord(Struct, frozen=True):
    """Stands in the place of an order event that is committed and cannot be published."""

    epoch: str
    ids: tuple[str, ...]


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


def encode_left_out_record(record: LeftOutRecord) -> list[tuple[str, bytes]]:
    """The headers of a left-out record."""
    return [
        ("type", LEFT_OUT_TYPE),
        ("left_out", ",".join(record.ids).encode()),
        ("epoch", record.epoch.encode()),
    ]


def decode_record(
    value: bytes | None, headers: Headers
) -> OrderRecord | WatermarkRecord | LeftOutRecord:
    """Read a record of `order-events`.

    The JSON lines are not parsed: what is inside is the client's to check.

    Raises:
        RecordError: the record is not of our making.
    """
    fields = dict(headers)
    if None in fields.values():  # Kafka permits it, whatever the type of ours says
        fields = {name: text or b"" for name, text in fields.items()}
    kind, epoch = fields.get("type"), fields.get("epoch")
    if not kind or not epoch:
        raise RecordError("the record lacks the header type or epoch")
    try:
        if kind == WATERMARK_TYPE:
            return WatermarkRecord(epoch.decode("ascii"), _seconds(fields["watermark"]))
        if kind == LEFT_OUT_TYPE:
            left_out = fields["left_out"].decode("ascii")
            return LeftOutRecord(epoch.decode("ascii"), tuple(left_out.split(",")))
        ids = tuple(fields["ids"].decode("ascii").split(","))
        lines = tuple((value or b"").split(b"\n"))
        if len(ids) != len(lines):
            raise RecordError(f"the record has {len(ids)} ids and {len(lines)} lines")
        return OrderRecord(
            epoch.decode("ascii"),
            kind.decode("ascii"),
            fields["occurred_at"].decode("ascii"),
            ids,
            lines,
        )
    except KeyError as error:
        raise RecordError(f"the record lacks the header {error.args[0]}") from None
    except (UnicodeDecodeError, CursorError) as error:
        raise RecordError(f"a header of the record is malformed: {error}") from error
    except ValueError as error:
        raise RecordError(str(error)) from error


def _seconds(micros: bytes) -> float:
    if not micros.isdigit() or len(micros) > 18:
        raise RecordError("the watermark is not a number of microseconds")
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
