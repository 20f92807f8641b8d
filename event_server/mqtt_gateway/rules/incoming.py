"""Checks a device's messages: accepted, or refused with a reason. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec
from msgspec import Raw, Struct

from client_sdk.contract.errors import DeviceError
from client_sdk.contract.json_decoding import decode
from server_common.devices.messages import (
    Inbound,
    Outbound,
    Snapshot,
    payload_of,
)
from server_common.devices.mqtt_topics import (
    PREFIX,
    STAR_UP_PREFIX,
    parse_star_topic,
    parse_up_topic,
)
from server_common.devices.star import StarSaid, star_payload_of
from server_common.errors import DeviceMessageError
from server_common.mqtt.broker import MAX_PAYLOAD_BYTES

FILTERS: Final = tuple(
    f"{PREFIX}/+/devices/+/{what}"
    for what in ("results", "events", "received", "status", "snapshot")
)
"""All that devices publish, except telemetry."""
TELEMETRY_FILTER: Final = f"{PREFIX}/+/devices/+/telemetry/+"
STAR_FILTER: Final = f"{STAR_UP_PREFIX}/+/+"
"""The messages of Star printers that take their jobs over MQTT."""
STATUS_FILTER: Final = f"{PREFIX}/+/devices/+/status"
_MAX_DEVICES: Final = 100_000
"""How many devices' allowances are known; one that is forgotten begins with a full burst."""
_SHARED: Final = "$share/yabam/"
_PICTURES: Final = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}


class _Numbered(Struct, frozen=True):
    boot: int
    n: int


_numbered: Final = msgspec.json.Decoder(_Numbered)


def shared(filters: tuple[str, ...]) -> list[str]:
    """The same filters as shared subscriptions: each message goes to one gateway only."""
    return [_SHARED + one for one in filters]


def take(topic: str, payload: bytes, at_ms: int) -> Inbound | StarSaid | None:
    """A device's message, for Core; None: it is empty (a cleared topic).

    Args:
        topic: where it was published.
        payload: a picture is taken as it is, or as the JSON of one.
        at_ms: milliseconds since the Unix epoch.

    Raises:
        DeviceMessageError: it is invalid, and a retry would not help.
    """
    if topic.startswith(f"{STAR_UP_PREFIX}/"):
        return _take_star(topic, payload, at_ms)
    try:
        place = parse_up_topic(topic)
    except DeviceError as error:
        raise DeviceMessageError(str(error), "invalid") from error
    if not payload:
        return None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise DeviceMessageError(
            f"the payload has {len(payload)} bytes; at most {MAX_PAYLOAD_BYTES} are taken",
            "too-large",
        )
    if place.kind == "snapshot":
        payload = _as_json(payload)
    payload_of(place.kind, payload)
    return Inbound(place.store, place.device, place.kind, at_ms, Raw(payload), None, place.name)


def refusal_of(topic: str, payload: bytes, reason: str) -> Outbound | None:
    """The answer to a refused message, so that its device stops sending it.

    Args:
        topic: where the device published it.
        payload: the message as it came; it may be malformed.
        reason: the word for it, as in `DeviceMessageError.reason`.

    Returns:
        The answer; None: a message of this kind has none, or it has no number to refer to.
    """
    try:
        place = parse_up_topic(topic)
        number = decode(_numbered, payload)
    except (DeviceError, msgspec.DecodeError):
        return None
    if place.kind not in ("result", "event"):
        return None
    return Outbound(place.store, place.device, number.boot, number.n, "refused", reason)


def _take_star(topic: str, payload: bytes, at_ms: int) -> StarSaid:
    try:
        mac, word = parse_star_topic(topic)
    except DeviceError as error:
        raise DeviceMessageError(str(error), "invalid") from error
    star_payload_of(word, payload)
    return StarSaid(mac, word, at_ms, Raw(payload))


def _as_json(payload: bytes) -> bytes:
    for begin, media_type in _PICTURES.items():
        if payload.startswith(begin):
            picture = Snapshot.of(
                "image/png" if media_type == "image/png" else "image/jpeg", payload
            )
            return msgspec.json.encode(picture)
    return payload


class Allowance:
    """The rate limit of each device: a rate, and a burst on top.

    Args:
        per_s: messages per second in the long run.
        burst: messages at once.
    """

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, topic: str, now: float) -> bool:
        """Whether a message on this topic is within its device's rate limit."""
        device = "/".join(topic.split("/", 5)[2:5])
        left, at = self._left.pop(device, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        admitted = left >= 1.0
        self._left[device] = (left - 1.0 if admitted else left, now)
        if len(self._left) > _MAX_DEVICES:
            self._left.popitem(last=False)
        return admitted
