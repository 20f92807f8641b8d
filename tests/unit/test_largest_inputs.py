"""The largest that a door lets pass, given to the parts behind it."""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.limits import LONGEST_CHANNEL, MAX_SUBJECT_CHARS, MAX_VALUE_BYTES
from client_sdk.contract.socket import MAX_NAME_CHARS, MAX_SHORT_BYTES
from core_api.documents.checks import checked
from core_api.documents.devices import TELEMETRY
from core_api.printing.star.over_mqtt import MAX_JOB_BYTES
from core_api.push.messages import Ready, message
from event_server.mqtt_gateway.rules.heads import MAX_IN_A_MARK
from event_server.mqtt_gateway.rules.incoming import take
from event_server.mqtt_gateway.rules.publications import mark_of, ring_of
from event_server.sockets.talk import _MAX_RECORD_BYTES, ChannelMessage
from server_common.devices.messages import Inbound, Ring, decode_inbound, encode
from server_common.errors import DeviceMessageError
from server_common.kafka_records.receipts import (
    MAX_RECEIPTS,
    Receipt,
    ReceiptBatch,
    decode_receipts,
    encode_receipts,
)
from server_common.limits import (
    DEVICE_MEASUREMENTS,
    DEVICE_RECORD_BYTES,
    LONGEST_RECEIPT,
    PRODUCER_REQUEST_BYTES,
    PUSH_MESSAGE_BYTES,
    PUSH_ORDERS_NAMED,
    SNAPSHOT_BYTES,
)
from server_common.mqtt.broker import MAX_PAYLOAD_BYTES
from server_common.revocations.records import (
    MAX_RECORD_BYTES,
    Revocation,
    decode_revocation,
    encode_revocation,
)

ID = "x" * 64
SNAPSHOT = f"yabam/v1/{ID}/devices/{ID}/snapshot"
PNG = b"\x89PNG\r\n\x1a\n"
WIDE = "\U0001f35c"
"""A letter of four bytes."""


def as_json(letters: int) -> bytes:
    """A picture as a device may write it."""
    data = "iVBORw0KGgo" + "A" * letters
    return msgspec.json.encode({"media_type": "image/png", "data": data})


def test_the_largest_picture_that_is_sent_as_it_is_reaches_core() -> None:
    taken = take(SNAPSHOT, PNG + b"x" * (SNAPSHOT_BYTES - len(PNG)), 2**47)
    assert isinstance(taken, Inbound)
    record = encode(msgspec.structs.replace(taken, generation=2**31 - 1))
    assert len(record) <= DEVICE_RECORD_BYTES
    read = decode_inbound(record)
    assert isinstance(read, Inbound)
    assert read.kind == "snapshot"


def test_the_largest_picture_that_is_sent_as_json_reaches_core() -> None:
    letters = MAX_PAYLOAD_BYTES - len(as_json(0))
    whole = letters - (letters + 11) % 4
    taken = take(SNAPSHOT, as_json(whole), 2**47)
    assert isinstance(taken, Inbound)
    assert len(encode(taken)) <= DEVICE_RECORD_BYTES
    with pytest.raises(DeviceMessageError) as refused:
        take(SNAPSHOT, as_json(letters + 1), 2**47)
    assert refused.value.reason == "too-large"


def test_a_mark_of_the_most_channels_fits_a_message() -> None:
    heads = {LONGEST_CHANNEL[:-4] + f"{n:04}": MAX_SEQ for n in range(MAX_IN_A_MARK)}
    mark = mark_of(ID, "E" * 26, 1763694038.123456, heads)
    assert len(mark.payload) <= MAX_PAYLOAD_BYTES


def test_the_largest_job_of_a_star_printer_fits_its_record_and_its_message() -> None:
    data = "x" * (MAX_JOB_BYTES - 2)
    fields = {"jobToken": ID, "jobType": "raw", "mediaTypes": [ID], "printData": data}
    ring = Ring(ID, ID, "00:11:62:00:00:01", "print-job", fields)
    assert len(encode(ring)) <= DEVICE_RECORD_BYTES
    published = ring_of(ring, datetime.now(UTC))
    assert published is not None
    assert len(published.payload) <= MAX_PAYLOAD_BYTES


def test_the_measurements_of_the_longest_names_are_a_document() -> None:
    one = {"value": WIDE * 64, "unit": WIDE * 64, "at": "2026-11-21T03:00:38.624170Z"}
    value = {f"{n:064}": one for n in range(DEVICE_MEASUREMENTS)}
    assert len(msgspec.json.encode(checked(value, [], TELEMETRY))) <= MAX_VALUE_BYTES


def test_the_longest_message_to_others_fits_its_record() -> None:
    body = msgspec.Raw(b'"' + b"x" * (MAX_SHORT_BYTES - 2) + b'"')
    record = ChannelMessage(
        LONGEST_CHANNEL, WIDE * MAX_NAME_CHARS, WIDE * MAX_SUBJECT_CHARS, ID * 2, body
    )
    assert len(msgspec.json.encode(record)) <= _MAX_RECORD_BYTES


def test_a_record_of_the_most_and_longest_receipts_is_sent_and_read() -> None:
    one = Receipt(ID, WIDE * MAX_SUBJECT_CHARS, "E" * 26, MAX_SEQ)
    assert len(msgspec.json.encode(one)) <= LONGEST_RECEIPT
    record = encode_receipts(ReceiptBatch(ID, [one] * MAX_RECEIPTS))
    assert len(record) < PRODUCER_REQUEST_BYTES
    batch, left_out = decode_receipts(record)
    assert (len(batch.receipts), left_out) == (MAX_RECEIPTS, 0)


@pytest.mark.parametrize("letter", [WIDE, '"', "\\"])
def test_the_longest_subject_can_be_signed_out(letter: str) -> None:
    revocation = Revocation("subject", letter * MAX_SUBJECT_CHARS, 2**31)
    record = encode_revocation(revocation)
    assert len(record) <= MAX_RECORD_BYTES
    assert decode_revocation(record) == revocation


@pytest.mark.parametrize("letter", [WIDE, '"'])
def test_a_message_that_names_the_longest_orders_is_as_long_as_all(letter: str) -> None:
    browser = generate_private_key(SECP256R1()).public_key()
    point = browser.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    p256dh, auth = (urlsafe_b64encode(one).decode() for one in (point, b"a" * 16))
    told = Ready([letter * 24] * PUSH_ORDERS_NAMED, "ko")
    assert len(message(told, p256dh, auth, os.urandom)) == PUSH_MESSAGE_BYTES
