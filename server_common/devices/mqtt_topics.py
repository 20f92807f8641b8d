"""The MQTT topics of a device, below `yabam/v1/{store}/devices/{device}/`. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, cast, get_args

from client_sdk.contract.errors import DeviceError
from client_sdk.contract.text import ID_PATTERN, MAC_PATTERN, shown

PREFIX: Final = "yabam/v1"
MessageKind = Literal["result", "event", "received", "status", "telemetry", "snapshot"]
"""The kinds of messages that a device may publish."""
STAR_PREFIX: Final = "star/cloudprnt/to-device"
"""Where Star printers get messages, by their vendor's protocol guide."""
STAR_UP_PREFIX: Final = "star/cloudprnt/to-server"
"""Where Star printers publish that take their jobs over MQTT."""
StarWord = Literal["client-status", "print-result", "client-will"]
"""The messages that a Star printer may publish."""
STAR_WORDS: Final[tuple[StarWord, ...]] = get_args(StarWord)
StarCall = Literal["request-post", "request-client-status", "order-client-action", "print-job"]
"""The messages to a Star printer."""

_WORDS: Final[dict[MessageKind, str]] = {
    "result": "results",
    "event": "events",
    "received": "received",
    "status": "status",
    "telemetry": "telemetry",
    "snapshot": "snapshot",
}
UP_LEVELS: Final = tuple(f"{word}/+" if word == "telemetry" else word for word in _WORDS.values())
"""What a device may publish to below its own topic, `+` standing for a name."""
_KINDS: Final = {word: kind for kind, word in _WORDS.items()}
_UP: Final = re.compile(
    rf"{PREFIX}/({ID_PATTERN})/devices/({ID_PATTERN})/"
    rf"({'|'.join(_KINDS)})(?:/({ID_PATTERN}))?"
)


_STAR_UP: Final = re.compile(rf"{STAR_UP_PREFIX}/({MAC_PATTERN})/({'|'.join(STAR_WORDS)})")


class UpTopic(NamedTuple):
    """A topic that a device publishes to."""

    store: str
    device: str
    kind: MessageKind
    name: str | None
    """What is measured; only telemetry has one."""


def commands_topic(store: str, device: str) -> str:
    """The topic on which a device receives its commands."""
    return f"{PREFIX}/{store}/devices/{device}/commands"


def accepted_topic(store: str, device: str) -> str:
    """The topic on which Core acknowledges a device's messages."""
    return f"{PREFIX}/{store}/devices/{device}/accepted"


def up_topic(store: str, device: str, kind: MessageKind, name: str | None = None) -> str:
    """The topic to which a device publishes messages of a kind.

    Args:
        store: the device's store.
        device: its id there.
        kind: the last word of the topic stands for it.
        name: what is measured, for telemetry; None for all other kinds.
    """
    topic = f"{PREFIX}/{store}/devices/{device}/{_WORDS[kind]}"
    return topic if name is None else f"{topic}/{name}"


def star_topic(mac: str, what: str) -> str:
    """Where a Star printer of this MAC address gets messages of this kind; `#`: of any kind."""
    return f"{STAR_PREFIX}/{mac}/{what}"


def star_up_topic(mac: str, word: StarWord) -> str:
    """Where a Star printer of this MAC address publishes."""
    return f"{STAR_UP_PREFIX}/{mac}/{word}"


def parse_star_topic(topic: str) -> tuple[str, StarWord]:
    """The MAC address and the kind of message of a topic that a Star printer published to.

    Raises:
        DeviceError: the topic does not have the form that `star_up_topic` writes.
    """
    match = _STAR_UP.fullmatch(topic)
    if match is None:
        raise DeviceError(f"{shown(topic)} is no topic that a Star printer may publish to")
    return match[1], cast("StarWord", match[2])


def parse_up_topic(topic: str) -> UpTopic:
    """Read a topic that a device published to.

    Raises:
        DeviceError: the topic does not have the form that `up_topic` writes.
    """
    match = _UP.fullmatch(topic)
    kind = None if match is None else _KINDS[match[3]]
    if match is None or (kind == "telemetry") != (match[4] is not None):
        raise DeviceError(f"{shown(topic)} is no topic that a device may publish to")
    return UpTopic(match[1], match[2], cast("MessageKind", kind), match[4])
