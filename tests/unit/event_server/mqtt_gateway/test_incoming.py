"""What devices say: taken, or refused with a reason."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest

from event_server.mqtt_gateway.rules.incoming import Allowance, refusal_of, shared, take
from server_common.devices.messages import Inbound, Outbound
from server_common.devices.star import StarSaid
from server_common.errors import DeviceMessageError
from server_common.mqtt.broker import MAX_PAYLOAD_BYTES

PLACE = "yabam/v1/12/devices/bell"


def text(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_a_bell_goes_to_core_as_it_is() -> None:
    payload = text(boot=5, n=1, name="bell", table="5")
    taken = take(f"{PLACE}/events", payload, 77)
    assert isinstance(taken, Inbound)
    assert (taken.store, taken.device, taken.kind, taken.at_ms) == ("12", "bell", "event", 77)
    assert bytes(taken.payload) == payload
    assert taken.key == b"12/bell"


def test_a_measurement_carries_its_name() -> None:
    taken = take(f"{PLACE}/telemetry/temperature", text(value=4.5, unit="C"), 0)
    assert isinstance(taken, Inbound)
    assert (taken.kind, taken.name) == ("telemetry", "temperature")


@pytest.mark.parametrize(
    ("picture", "media_type"),
    [(b"\xff\xd8\xff\xe0abc", "image/jpeg"), (b"\x89PNG\r\n\x1a\nabc", "image/png")],
)
def test_a_picture_may_be_sent_as_it_is(picture: bytes, media_type: str) -> None:
    taken = take(f"{PLACE}/snapshot", picture, 0)
    assert taken is not None
    told = json.loads(bytes(taken.payload))
    assert told["media_type"] == media_type
    assert b64decode(told["data"]) == picture


def test_a_topic_that_was_cleared_says_nothing() -> None:
    assert take(f"{PLACE}/status", b"", 0) is None


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (f"{PLACE}/events", b"{", "bad-json"),
        (f"{PLACE}/events", b"\xff\xfe", "bad-json"),
        (f"{PLACE}/events", b"[" * 3000, "invalid"),
        (f"{PLACE}/events", text(boot=5, name="bell"), "invalid"),
        (f"{PLACE}/results", text(boot=5, n=1, id="7", outcome="maybe"), "invalid"),
        (f"{PLACE}/status", text(online=True), "invalid"),
        (f"{PLACE}/events", text(boot=5, n=1, name="bell", x="y" * 5000), "too-large"),
        (f"{PLACE}/snapshot", b"\xff\xd8\xff" + b"x" * MAX_PAYLOAD_BYTES, "too-large"),
        (f"{PLACE}/snapshot", b"GIF89a", "bad-json"),
        (f"{PLACE}/commands", text(), "invalid"),
        ("", text(), "invalid"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_reason(
    topic: str, payload: bytes, reason: str
) -> None:
    with pytest.raises(DeviceMessageError) as caught:
        take(topic, payload, 0)
    assert caught.value.reason == reason


def test_a_device_is_told_of_a_refused_message_that_has_a_number() -> None:
    told = refusal_of(f"{PLACE}/results", text(boot=5, n=7, outcome="maybe"), "invalid")
    assert told == Outbound("12", "bell", 5, 7, "refused", "invalid")


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (f"{PLACE}/results", b"{"),
        (f"{PLACE}/results", text(boot="5", n=7)),
        (f"{PLACE}/status", text(boot=5, n=7)),
        ("elsewhere", text(boot=5, n=7)),
    ],
)
def test_nobody_is_told_of_what_has_no_number(topic: str, payload: bytes) -> None:
    assert refusal_of(topic, payload, "invalid") is None


def test_a_device_may_say_a_burst_and_then_so_much_a_second() -> None:
    one = Allowance(per_s=1.0, burst=2)
    topic = f"{PLACE}/events"
    assert [one.admit(topic, 0.0) for _ in range(3)] == [True, True, False]
    assert [one.admit(topic, 1.0) for _ in range(2)] == [True, False]


def test_a_flood_of_one_device_is_no_other_devices_matter() -> None:
    one = Allowance(per_s=1.0, burst=1)
    one.admit(f"{PLACE}/events", 0.0)
    assert not one.admit(f"{PLACE}/telemetry/x", 0.0)
    assert one.admit("yabam/v1/12/devices/lamp/events", 0.0)


def test_gateways_share_what_comes_up() -> None:
    assert shared(("a/+/b",)) == ["$share/yabam/a/+/b"]


STAR = "star/cloudprnt/to-server/00:11:62:1d:9a:b7"


def test_what_a_star_printer_says_goes_to_core_under_its_address() -> None:
    payload = text(title="print-result", jobToken="a.1", printSucceeded=True, statusCode="200")
    taken = take(f"{STAR}/print-result", payload, 77)
    assert isinstance(taken, StarSaid)
    assert (taken.mac, taken.word, taken.at_ms) == ("00:11:62:1d:9a:b7", "print-result", 77)
    assert bytes(taken.payload) == payload
    assert taken.key == b"00:11:62:1d:9a:b7"


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (f"{STAR}/print-job", b"{}", "invalid"),
        ("star/cloudprnt/to-server/kitchen/client-status", b"{}", "invalid"),
        (f"{STAR}/client-status", b"{", "bad-json"),
        (f"{STAR}/client-status", b"", "bad-json"),
        (f"{STAR}/client-status", b'{"statusCode": 200}', "invalid"),
        (f"{STAR}/print-result", b'{"printSucceeded": "yes"}', "invalid"),
        (f"{STAR}/client-status", b'{"statusCode": "' + b"2" * 5000 + b'"}', "too-large"),
    ],
)
def test_what_no_star_printer_says_is_refused(topic: str, payload: bytes, reason: str) -> None:
    with pytest.raises(DeviceMessageError) as refused:
        take(topic, payload, 0)
    assert refused.value.reason == reason
