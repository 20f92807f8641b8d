"""The records between gateway and Core: what fits, and what is refused for which reason."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from server_common.devices.messages import (
    Event,
    Inbound,
    Outbound,
    Result,
    Ring,
    Snapshot,
    Status,
    Telemetry,
    dead_letter,
    decode_inbound,
    decode_outbound,
    encode,
    payload_of,
)
from server_common.devices.mqtt_topics import MessageKind
from server_common.errors import DeviceMessageError
from server_common.limits import (
    DEVICE_DEAD_BYTES,
    DEVICE_EVENT_BYTES,
    DEVICE_RECORD_BYTES,
    DEVICE_TROUBLE_CHARS,
    DEVICE_TROUBLES,
    PRINT_STEP_BYTES,
    PRODUCER_REQUEST_BYTES,
    SNAPSHOT_BYTES,
)

PNG = b"\x89PNG\r\n\x1a\n"


def reason_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(DeviceMessageError) as caught:
        call(*arguments)
    return caught.value.reason


def test_what_a_gateway_writes_is_what_core_reads() -> None:
    message = Inbound("12", "oven-1", "telemetry", 7, msgspec.Raw(b'{"value":3.5}'), 2, "heat")
    read = decode_inbound(encode(message))
    assert read == message
    assert read.key == b"12/oven-1"
    assert payload_of(read.kind, read.payload) == Telemetry(3.5)


def test_what_core_writes_is_what_a_gateway_reads() -> None:
    ring = Ring("12", "star-1", "00:11:62:1d:9a:b7")
    assert decode_outbound(encode(ring)) == ring
    answer = Outbound("12", "bell-1", 4, 9, "refused", "unknown-command")
    assert decode_outbound(encode(answer)) == answer
    assert answer.key == b"12"


@pytest.mark.parametrize(
    ("kind", "sent", "read"),
    [
        ("result", {"boot": 1, "n": 2, "id": "c1", "outcome": "done"}, Result(1, 2, "c1", "done")),
        (
            "event",
            {"boot": 1, "n": 2, "name": "bell", "type": "event", "epoch": "E", "x": [1]},
            Event(1, 2, "bell", {"x": [1]}),
        ),
        ("status", {"connection": "a", "online": True, "at": 5}, Status("a", True, 5)),
        ("telemetry", {"value": True, "unit": "C"}, Telemetry(True, "C")),
    ],
)
def test_a_payload_is_read_by_its_kind(kind: MessageKind, sent: dict[str, Any], read: Any) -> None:
    assert payload_of(kind, msgspec.json.encode(sent)) == read


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("result", {"boot": 1, "n": 0, "id": "c1", "outcome": "done"}),
        ("result", {"boot": 1, "n": 1, "id": "c1", "outcome": "maybe"}),
        ("result", {"boot": 1, "n": 1, "id": "c 1", "outcome": "done"}),
        ("event", {"boot": -1, "n": 1, "name": "bell"}),
        ("event", {"boot": 1, "n": 1, "name": "b" * 59}),
        ("event", [1]),
        ("status", {"connection": "a", "online": True, "at": 5, "troubles": ["x"] * 17}),
        ("status", {"connection": "a\x00", "online": True, "at": 5}),
        ("telemetry", {"value": None}),
        ("telemetry", {"value": "x" * 65}),
        ("received", {}),
        ("snapshot", {"media_type": "image/gif", "data": ""}),
        ("snapshot", {"media_type": "image/png", "data": "!"}),
        ("snapshot", {"media_type": "image/png", "data": "aGVsbG8="}),
    ],
)
def test_what_breaks_a_rule_is_invalid(kind: MessageKind, sent: Any) -> None:
    assert reason_of(payload_of, kind, msgspec.json.encode(sent)) == "invalid"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'{"a":' * 800], ids=["empty", "cut", "no UTF-8", "deep"]
)
def test_what_is_no_json_is_told_so(data: bytes) -> None:
    assert reason_of(payload_of, "event", data) == "bad-json"
    assert reason_of(decode_inbound, data) == "bad-json"


def test_a_record_without_a_value_is_no_message() -> None:
    assert reason_of(decode_inbound, None) == "bad-json"


def test_each_kind_has_a_largest_message() -> None:
    assert reason_of(payload_of, "event", b" " * (DEVICE_EVENT_BYTES + 1)) == "too-large"
    assert reason_of(decode_inbound, b" " * (DEVICE_RECORD_BYTES + 1)) == "too-large"
    one_more = Snapshot.of("image/png", PNG + b"x" * (SNAPSHOT_BYTES - len(PNG) + 1))
    assert reason_of(one_more.picture) == "too-large"


@pytest.mark.parametrize("escapes", [False, True])
def test_a_status_with_the_most_and_longest_troubles_in_korean_is_taken(escapes: bool) -> None:
    troubles = ["용" * DEVICE_TROUBLE_CHARS] * DEVICE_TROUBLES
    sent = {"connection": "a" * 64, "online": True, "at": 5, "troubles": troubles}
    data = json.dumps(sent, ensure_ascii=escapes).encode()
    assert len(data) > DEVICE_EVENT_BYTES
    assert payload_of("status", data) == Status("a" * 64, True, 5, troubles=troubles)
    body = {"agent": "a" * 64, "troubles": troubles, "leaving": False}
    assert len(json.dumps(body, ensure_ascii=escapes)) <= PRINT_STEP_BYTES


def test_the_largest_picture_fits_its_record() -> None:
    picture = Snapshot.of("image/png", PNG + b"x" * (SNAPSHOT_BYTES - len(PNG)))
    payload = msgspec.json.encode(picture)
    assert payload_of("snapshot", payload) == picture
    ids = "x" * 64
    record = encode(Inbound(ids, ids, "snapshot", 2**47, msgspec.Raw(payload), 2**31 - 1))
    assert len(record) <= DEVICE_RECORD_BYTES <= PRODUCER_REQUEST_BYTES
    assert decode_inbound(record).kind == "snapshot"


def test_only_telemetry_has_a_name() -> None:
    raw = msgspec.Raw(b"{}")
    assert reason_of(decode_inbound, encode(Inbound("1", "d", "telemetry", 1, raw))) == "invalid"
    named = Inbound("1", "d", "status", 1, raw, name="x")
    assert reason_of(decode_inbound, encode(named)) == "invalid"


def test_a_dead_letter_keeps_the_first_bytes_and_how_many_there_were() -> None:
    letter = dead_letter("invalid", "x" * 2000, "t", 1, b"y" * (DEVICE_DEAD_BYTES + 5))
    assert (len(letter.data), letter.size) == (DEVICE_DEAD_BYTES, DEVICE_DEAD_BYTES + 5)
    assert len(letter.detail) == 1000
