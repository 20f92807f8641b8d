"""Receipts as Kafka records: what devices of owners have applied, from event servers to Core.

The key is the store, so that one device's receipts stay in order. The value is one JSON object with
the newest receipt of each device of that store since the last record.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.channel import MAX_SEQ, NAME_FORM
from client_sdk.contract.errors import RecordError
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.text import DEVICE_PATTERN, EPOCH_PATTERN, MAX_SUBJECT, whole

MAX_RECEIPTS: Final = 500
"""The most receipts of one record."""


class Receipt(Struct, frozen=True):
    """One device has applied its store's channel up to `applied`."""

    device: Annotated[str, Meta(pattern=whole(DEVICE_PATTERN))]
    subject: Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT)]
    epoch: Annotated[str, Meta(pattern=whole(EPOCH_PATTERN))]
    applied: Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class ReceiptBatch(Struct, frozen=True):
    """The value of a record."""

    store_id: Annotated[str, Meta(pattern=NAME_FORM)]
    receipts: Annotated[list[Receipt], Meta(max_length=MAX_RECEIPTS)]


_decoder: Final = msgspec.json.Decoder(ReceiptBatch)


def encode_receipts(batch: ReceiptBatch) -> bytes:
    """The value of a record."""
    return msgspec.json.encode(batch)


def decode_receipts(value: bytes | None) -> ReceiptBatch:
    """Read a record's value.

    Raises:
        RecordError: it is not one.
    """
    try:
        return decode(_decoder, value or b"")
    except msgspec.DecodeError as error:
        raise RecordError(f"the receipts are malformed: {error}") from error
