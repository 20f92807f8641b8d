"""The MQTT messages of the log's records: topic, payload, and whether they are retained. Pure.

An order's event is published as the log has it, with the epoch in front. A public document is
published as its newest value, and the broker retains it; a lamp ignores what is older than what it
shows, by epoch and version. A command or a print job that waits for its device is published to
that device; it may come more than once, and is known by its id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.errors import ChannelError
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.state.document import CHANGED, Document
from server_common.devices.messages import Outbound, Ring
from server_common.devices.mqtt_topics import (
    PREFIX,
    accepted_topic,
    commands_topic,
    star_topic,
    up_topic,
)
from server_common.kafka_records.events import OrderRecord

COMMAND_PREFIX: Final = "command."
PRINT_PREFIX: Final = "print."
PRINT: Final = "print"
"""The name of the command that carries a print job."""
_SENT: Final = "sent"
_STATUS: Final = "status"
_TO_PRINT: Final = frozenset({"queued", "sent", "doubtful"})


class Publication(NamedTuple):
    """One message for the broker."""

    topic: str
    payload: bytes
    retain: bool = False
    expires_s: int | None = None
    """How many seconds the broker may keep it for offline devices; None: no limit."""


class Changed(NamedTuple):
    """A document that has changed, or is in a snapshot."""

    epoch: str
    channel: Channel
    key: str
    version: int
    value: Any
    """As JSON values; None: it is deleted; `UNSET`: too large for the log, it must be fetched."""


class _DocumentLine(Struct, frozen=True):
    id: str
    key: str
    version: int
    data: Any = UNSET


class _Value(Struct, frozen=True):
    """The parts of a command's value that the gateway reads."""

    name: str = ""
    arguments: Any = None
    state: str = ""
    waits: bool = False
    expires_at: datetime | None = None


_line_decoder: Final = msgspec.json.Decoder(_DocumentLine)


def orders_topic(store: str, table: str | None = None) -> str:
    """Where the order events of a store, or of one of its tables, are published."""
    if table is None:
        return f"{PREFIX}/{store}/orders"
    return f"{PREFIX}/{store}/tables/{table}/orders"


def state_topic(store: str, key: str) -> str:
    """Where a public document's newest value is kept."""
    return f"{PREFIX}/{store}/state/{key}"


def marks_topic(store: str) -> str:
    """Where a store's marks are published."""
    return f"{PREFIX}/{store}/marks"


def orders_of(record: OrderRecord) -> Iterator[Publication]:
    """The order events of a record, one for each channel of orders."""
    for event_id, line in zip(record.ids, record.lines, strict=True):
        channel = _channel_of(event_id)
        if channel is None or channel.carries != "orders":
            continue
        yield Publication(orders_topic(channel.root, channel.part), with_epoch(line, record.epoch))


def documents_of(record: OrderRecord) -> Iterator[Changed]:
    """The documents that a record changes and that devices are told of.

    Raises:
        msgspec.DecodeError: an event that is not as a document's should be.
    """
    if record.type != CHANGED:
        return
    for event_id, line in zip(record.ids, record.lines, strict=True):
        channel = _channel_of(event_id)
        if channel is None or not is_published(channel):
            continue
        event = decode(_line_decoder, line)
        yield Changed(record.epoch, channel, event.key, event.version, event.data)


def is_published(channel: Channel) -> bool:
    """Whether documents of this channel go to devices."""
    return channel.kind in ("public", "device")


def of_snapshot(epoch: str, document: Document) -> Changed:
    """The same of a document in an answer of Core."""
    channel = parse_channel(document.channel)
    return Changed(epoch, channel, document.key, document.version, document.value)


def publication_of(changed: Changed, now: datetime) -> Publication | None:
    """The message for a document whose value is known; None: devices do not need it.

    Args:
        changed: the document.
        now: commands that have expired by then are not sent.
    """
    if changed.channel.kind == "public":
        return _state(changed)
    if changed.key == _STATUS and changed.value is None:
        # The device was removed: clear its retained message.
        topic = up_topic(changed.channel.root, changed.channel.part or "", "status")
        return Publication(topic, b"", retain=True)
    if changed.key.startswith((COMMAND_PREFIX, PRINT_PREFIX)):
        return _command(changed, now)
    return None


def accepted_of(message: Outbound, epoch: str) -> Publication:
    """The acknowledgement of a device's message."""
    fields: dict[str, Any] = {
        "type": "accepted",
        "epoch": epoch,
        "boot": message.boot,
        "n": message.n,
        "outcome": message.outcome,
    }
    if message.problem is not None:
        fields["problem"] = message.problem
    if message.job is not None:
        fields["job"] = message.job
    return Publication(accepted_topic(message.store, message.device), msgspec.json.encode(fields))


def ring_of(message: Ring, now: datetime) -> Publication | None:
    """The message for a Star printer; None: it has expired."""
    left_s = None
    if message.until_ms is not None:
        left_s = int(message.until_ms / 1000 - now.timestamp())
        if left_s < 1:
            return None
    payload = msgspec.json.encode({"title": message.method} | message.fields)
    topic = star_topic(message.mac, message.method)
    return Publication(topic, payload, expires_s=left_s)


def mark_of(store: str, epoch: str, watermark: float, heads: Mapping[str, int]) -> Publication:
    """A store's mark: what has been published by now, so that clients see what they have missed.

    Args:
        store: its id.
        epoch: the log's newest epoch.
        watermark: all that was committed before it has been published; seconds since the Unix
            epoch.
        heads: the seq of each channel's last event, by the channel's full name.
    """
    fields = {"type": "marks", "epoch": epoch, "watermark": watermark, "heads": dict(heads)}
    return Publication(marks_topic(store), msgspec.json.encode(fields))


def with_epoch(line: bytes, epoch: str) -> bytes:
    """An event's JSON object with the epoch as its first member."""
    rest = line.lstrip()[1:]
    comma = b"" if rest.lstrip()[:1] == b"}" else b","
    return b'{"epoch":' + msgspec.json.encode(epoch) + comma + rest


def _state(changed: Changed) -> Publication:
    fields = {
        "type": "state",
        "epoch": changed.epoch,
        "key": changed.key,
        "version": changed.version,
        "value": changed.value,
    }
    return Publication(
        state_topic(changed.channel.root, changed.key), msgspec.json.encode(fields), retain=True
    )


def _command(changed: Changed, now: datetime) -> Publication | None:
    try:
        value = msgspec.convert(changed.value, _Value)
    except msgspec.ValidationError:
        return None  # deleted, or not as Core makes them
    kind, _, command_id = changed.key.partition(".")
    fields: dict[str, Any] = {"type": "command", "epoch": changed.epoch, "id": command_id}
    if kind == PRINT:
        if value.state not in _TO_PRINT or value.waits:
            return None
        fields |= {"name": PRINT, "arguments": changed.value}
    else:
        if value.state != _SENT or (value.expires_at is not None and value.expires_at <= now):
            return None
        fields |= {"name": value.name, "arguments": value.arguments}
    fields["expires_at"] = value.expires_at
    store, device = changed.channel.root, changed.channel.part or ""
    return Publication(commands_topic(store, device), msgspec.json.encode(fields))


def _channel_of(event_id: str) -> Channel | None:
    try:
        return parse_channel(event_id.rpartition("@")[0])
    except ChannelError:
        return None
