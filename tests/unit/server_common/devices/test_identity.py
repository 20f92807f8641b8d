"""Who a device is at the broker."""

from __future__ import annotations

import pytest

from client_sdk.contract.errors import DeviceError
from server_common.devices.identity import DeviceKeys, Identity, parse_user
from server_common.devices.mqtt_topics import MessageKind, UpTopic, parse_up_topic, up_topic
from server_common.errors import SettingsError

BELL = Identity("12", "bell-1", 3)
OLD, NEW = b"o" * 32, b"n" * 32
KEYS = DeviceKeys({"old": OLD, "new": NEW}, "new")


def test_a_user_name_says_whose_it_is() -> None:
    assert BELL.user == "12~bell-1~3"
    assert parse_user(BELL.user) == BELL


@pytest.mark.parametrize(
    "text",
    ["", "12~bell-1", "12~bell-1~0", "12~bell-1~03", "12~bell-1~3\n", "1~2~3~4", "~bell-1~3",
     "12~bell-1~4294967296", "12~be ll~1"],
)  # fmt: skip
def test_what_names_no_generation_of_a_device_is_no_user_name(text: str) -> None:
    with pytest.raises(DeviceError):
        parse_user(text)


def test_a_password_is_the_same_wherever_it_is_derived() -> None:
    assert KEYS.password(BELL, "old") == DeviceKeys({"old": OLD}, "old").password(BELL, "old")
    assert KEYS.password(BELL, "new") == "YcZYkPNIwxHiOtBinIU1O5Ik7E35PSMDwny53eb-OQs"


def test_no_two_devices_generations_or_keys_share_a_password() -> None:
    others = [Identity("12", "bell-1", 4), Identity("12", "bell", 3), Identity("1", "bell-1", 3)]
    passwords = {KEYS.password(one, kid) for one in (BELL, *others) for kid in ("old", "new")}
    assert len(passwords) == 8


def test_a_password_is_known_by_the_key_that_it_comes_from() -> None:
    assert KEYS.kid_of(BELL, KEYS.password(BELL, "old")) == "old"
    assert KEYS.kid_of(Identity("12", "bell-1", 4), KEYS.password(BELL, "old")) is None
    assert KEYS.kid_of(BELL, "é" * 10) is None


def test_a_registration_under_a_key_that_is_gone_says_what_to_do() -> None:
    with pytest.raises(DeviceError, match="rotate"):
        KEYS.password(BELL, "gone")


@pytest.mark.parametrize("keys", [{}, {"a": OLD}, {"new": b"short"}])
def test_a_ring_without_a_usable_newest_key_is_refused(keys: dict[str, bytes]) -> None:
    with pytest.raises(SettingsError):
        DeviceKeys(keys, "new")


@pytest.mark.parametrize(
    ("kind", "name", "ending"),
    [
        ("result", None, "results"),
        ("event", None, "events"),
        ("received", None, "received"),
        ("status", None, "status"),
        ("telemetry", "oven", "telemetry/oven"),
        ("snapshot", None, "snapshot"),
    ],
)
def test_a_topic_says_who_publishes_what(kind: MessageKind, name: str | None, ending: str) -> None:
    topic = up_topic("12", "bell-1", kind, name)
    assert topic == f"yabam/v1/12/devices/bell-1/{ending}"
    assert parse_up_topic(topic) == UpTopic("12", "bell-1", kind, name)


@pytest.mark.parametrize(
    "topic",
    ["yabam/v1/12/devices/b/commands", "yabam/v1/12/devices/b/telemetry", "yabam/v2/12/devices/b/"
     "status", "yabam/v1/12/devices/b/status/x", "yabam/v1/+/devices/b/status", ""],
)  # fmt: skip
def test_what_no_device_publishes_to_is_refused(topic: str) -> None:
    with pytest.raises(DeviceError):
        parse_up_topic(topic)
