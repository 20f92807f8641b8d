"""What counts as a command from Kafka, and what a dead letter says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.problem import TITLES
from core_api.access.callers import Role
from core_api.errors import CoreError
from core_api.ingest.by_key import by_key
from core_api.ingest.inbound_commands import (
    MAX_COMMAND_BYTES,
    ChangeCommand,
    InboundRecord,
    PlaceCommand,
    TransitionCommand,
    dead_letter_headers,
    decode_command,
)
from core_api.orders.idempotency import Idempotency
from core_api.orders.lifecycle import Seen

ORDER = {
    "store_id": "12",
    "currency": "EUR",
    "items": [{"name": "Tea", "quantity": 1, "unit_price": 250}],
}


def command(**fields: object) -> bytes:
    base = {"command": "place", "idempotency_key": "k1", "subject": "pos-7", "body": ORDER}
    return json.dumps(
        {k: v for k, v in {**base, **fields}.items() if v is not ...}, ensure_ascii=False
    ).encode()


def record(key: bytes | None, offset: int = 0) -> InboundRecord:
    return InboundRecord("orders.inbound", 2, offset, 1000, key, b"\xff", [("trace", b"t")])


def test_an_order_is_placed_in_the_producers_name() -> None:
    place = decode_command(command())
    assert isinstance(place, PlaceCommand)
    assert place.body.store_id == "12"
    assert place.caller.role == "producer"
    assert place.caller.subject == "pos-7"
    assert place.caller.has_store("any")
    assert (place.idempotency.subject, place.idempotency.key) == ("kafka/pos-7", "k1")


def test_an_order_is_cancelled_at_a_version() -> None:
    value = command(command="transition", order_id="o", if_match=3, body={"to": "cancelled"})
    cancel = decode_command(value)
    assert isinstance(cancel, TransitionCommand)
    assert (cancel.order_id, cancel.if_match, cancel.body.to) == ("o", 3, "cancelled")


def test_a_command_says_when_the_version_was_made_that_it_rests_on() -> None:
    seen = {"if_match": 3, "if_updated_at": "2026-11-22T09:30:00.123456Z"}
    cancel = decode_command(
        command(command="transition", order_id="o", **seen, body={"to": "cancelled"})
    )
    assert isinstance(cancel, TransitionCommand)
    assert cancel.seen == Seen(3, datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC))


@pytest.mark.parametrize("at", ["2026-11-22", "2026-02-30T00:00:00Z", "2026-11-22T09:30:00", 1, ""])
def test_a_time_that_core_never_wrote_is_refused(at: object) -> None:
    with pytest.raises(CoreError) as refused:
        decode_command(command(command="change", order_id="o", if_updated_at=at, body={"note": ""}))
    assert refused.value.slug == "invalid"
    assert "if_updated_at" in str(refused.value)


def test_an_order_is_changed() -> None:
    change = decode_command(command(command="change", order_id="o", body={"note": "早く ✨"}))
    assert isinstance(change, ChangeCommand)
    assert change.body.note == "早く ✨"
    assert change.if_match is None


@pytest.mark.parametrize(
    ("value", "slug"),
    [
        (None, "bad-json"),
        (b"", "bad-json"),
        (b"{nope", "bad-json"),
        (b"\xff\xfe", "bad-json"),
        (command()[:-1] + b"\xff", "bad-json"),
        (b'{"command":"place","idempotency_key":"k","subject":"\xc3","body":{}}', "bad-json"),
        (b"[" * 50_000, "invalid"),
        (b'{"command":' * 5_000, "bad-json"),
        (b"null", "invalid"),
        (command(command="explode"), "invalid"),
        (command(command=...), "invalid"),
        (command(idempotency_key=...), "invalid"),
        (command(idempotency_key=""), "bad-request"),
        (command(idempotency_key='"quoted"'), "bad-request"),
        (command(idempotency_key="a\nb"), "bad-request"),
        (command(idempotency_key="k" * 256), "bad-request"),
        (command(subject=""), "invalid"),
        (command(subject="pos\n"), "invalid"),
        (command(subject="p" * 201), "invalid"),
        (command(extra=1), "invalid"),
        (command(body={**ORDER, "extra": 1}), "invalid"),
        (command(body={**ORDER, "store_id": "a/b"}), "invalid"),
        (command(command="transition", body={"to": "cancelled"}), "invalid"),
        (command(command="transition", order_id="o", if_match=0, body={"to": "paid"}), "invalid"),
        (command(command="transition", order_id="o", body={"to": "placed"}), "invalid"),
        (command(body={**ORDER, "note": "x" * MAX_COMMAND_BYTES}), "too-large"),
    ],
)
def test_what_is_no_command_has_its_reason(value: bytes | None, slug: str) -> None:
    with pytest.raises(CoreError) as caught:
        decode_command(value)
    assert caught.value.slug == slug
    assert slug in TITLES
    assert str(caught.value)


def test_a_command_of_just_the_limit_is_taken() -> None:
    filler = MAX_COMMAND_BYTES - len(command())
    assert decode_command(command() + b" " * filler) == decode_command(command())


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(value: bytes) -> None:
    with pytest.raises(CoreError) as caught:
        decode_command(value)
    assert caught.value.slug in TITLES


def test_a_dead_letter_keeps_the_records_headers_and_adds_why_and_whence() -> None:
    headers = dead_letter_headers(record(b"12", 41), "bad-json", "nö " + "x" * 5000)
    assert headers[0] == ("trace", b"t")
    fields = dict(headers)
    assert fields["reason"] == b"bad-json"
    assert fields["detail"] is not None
    assert fields["detail"].startswith("nö".encode())
    assert len(fields["detail"]) < 1100
    assert fields["original_topic"] == b"orders.inbound"
    assert fields["original_partition"] == b"2"
    assert fields["original_offset"] == b"41"
    assert fields["original_timestamp_ms"] == b"1000"


def test_a_detail_that_is_no_text_can_still_be_told() -> None:
    fields = dict(dead_letter_headers(record(None), "internal", "\ud800"))
    assert fields["detail"] == b"?"


def test_commands_of_one_store_stay_in_order_and_others_need_not_wait() -> None:
    records = [record(k, n) for n, k in enumerate([b"a", b"b", None, b"a", None, b"b", b"a"])]
    offsets = [[r.offset for r in of_key] for of_key in by_key(records)]
    assert offsets == [[0, 3, 6], [1, 5], [2, 4]]


def test_a_kafka_subject_shares_no_keys_with_one_of_http() -> None:
    place = decode_command(command(subject="owner:owner-1"))
    over_http = Idempotency("owner:owner-1", "k1")
    assert place.idempotency != over_http
    assert place.idempotency.subject.partition("/")[0] not in get_args(Role)
