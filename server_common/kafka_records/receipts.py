"""Receipts as Kafka records: what devices of owners have applied, from event servers to Core.

The key is the store, so that one device's receipts stay in order. The value is one JSON object with
the newest receipt of each device of that store since the last record. A receipt that cannot be read
is left out by itself: the others of its record count.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.channel import MAX_SEQ, NAME_FORM
from client_sdk.contract.errors import RecordError
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.text import DEVICE_PATTERN, EPOCH_PATTERN, JSON_SUBJECT_PATTERN, whole

MAX_RECEIPTS: Final = 500
"""The most receipts of one record."""


class Receipt(Struct, frozen=True):
    """One device has applied its store's channel up to `applied`."""

    device: Annotated[str, Meta(pattern=whole(DEVICE_PATTERN))]
    subject: Annotated[str, Meta(pattern=whole(JSON_SUBJECT_PATTERN))]
    epoch: Annotated[str, Meta(pattern=whole(EPOCH_PATTERN))]
    applied: Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class ReceiptBatch(Struct, frozen=True):
    """The value of a record."""

    store_id: Annotated[str, Meta(pattern=NAME_FORM)]
    receipts: Annotated[list[Receipt], Meta(max_length=MAX_RECEIPTS)]


class _Unread(Struct, frozen=True):
    """The value of a record whose receipts are read one by one."""

    store_id: Annotated[str, Meta(pattern=NAME_FORM)]
    receipts: Annotated[list[msgspec.Raw], Meta(max_length=MAX_RECEIPTS)]


_decoder: Final = msgspec.json.Decoder(ReceiptBatch)
_unread_decoder: Final = msgspec.json.Decoder(_Unread)
_one_decoder: Final = msgspec.json.Decoder(Receipt)


def encode_receipts(batch: ReceiptBatch) -> bytes:
    """The value of a record."""
    return msgspec.json.encode(batch)


def decode_receipts(value: bytes | None) -> tuple[ReceiptBatch, int]:
    """Read a record's value, and leave out the receipts in it that cannot be read.

    Returns:
        The others, and how many were left out.

    Raises:
        RecordError: it is no such record at all.
    """
    try:
        return decode(_decoder, value or b""), 0
    except msgspec.DecodeError:
        pass  # mostly one of many: which ones is looked at below
    try:
        unread = decode(_unread_decoder, value or b"")
    except msgspec.DecodeError as error:
        raise RecordError(f"the receipts are malformed: {error}") from error
    found = []
    for raw in unread.receipts:
        with suppress(msgspec.DecodeError):
            found.append(decode(_one_decoder, raw))
    return ReceiptBatch(unread.store_id, found), len(unread.receipts) - len(found)
