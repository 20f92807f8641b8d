"""Types for messages that the code builds without a type, and for the headers of Kafka records."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.order import OrderEvent
from client_sdk.contract.socket import Name, Ref
from server_common.devices.messages import EVENT_NAME_PATTERN, PrintAnswer

_Microseconds = Annotated[str, Meta(pattern="^[0-9]+$")]
_Number = Annotated[str, Meta(pattern="^-?[0-9]+$")]
_Sent = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}[.][0-9]{1,18}$")]
_Count = Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class ShortMessage(Struct, frozen=True):
    """A short message for the other clients of a channel; it is never stored."""

    channel: str
    name: Name
    body: Any = None
    ref: Ref = ""


class SentOrderEvent(OrderEvent, frozen=True):
    """An order event as it is sent."""

    by: str | UnsetType = UNSET
    """The subject that changed the order; only in the channels of stores."""


class EpochOrderEvent(SentOrderEvent, frozen=True, kw_only=True):
    """An order event with the epoch of its log."""

    epoch: str


class StateMessage(Struct, frozen=True, tag_field="type", tag="state"):
    """The newest value of a public document."""

    epoch: str
    key: str
    version: _Count
    value: Any
    """null: it is deleted."""


class MarksMessage(Struct, frozen=True, tag_field="type", tag="marks"):
    """How far a store's events are published."""

    epoch: str
    watermark: float
    """Seconds since the Unix epoch: all events committed before this time are published."""
    heads: dict[str, _Count]
    """The seq of the last event of each channel."""


class CommandMessage(Struct, frozen=True, tag_field="type", tag="command"):
    """A command to a device."""

    epoch: str
    id: str
    name: str
    """`print`: the arguments are a print job."""
    arguments: dict[str, Any]
    expires_at: datetime | None


class AcceptedMessage(Struct, frozen=True, tag_field="type", tag="accepted", omit_defaults=True):
    """Core has handled a result or an event, so the device need not send it again."""

    epoch: str
    boot: int
    n: int
    outcome: Literal["applied", "repeated", "refused"]
    problem: str | None = None
    job: PrintAnswer | None = None
    """The answer about a print job; None: it was about something else."""


class DeviceEvent(Struct, frozen=True):
    """An event at a device; all further fields are its data."""

    boot: _Count
    n: Annotated[int, Meta(ge=1, le=MAX_SEQ)]
    name: Annotated[str, Meta(pattern=f"^{EVENT_NAME_PATTERN}$")]


class EventHeaders(Struct, frozen=True):
    """The headers of an event's record."""

    type: str
    ids: str
    """The event ids, one for each line of the value, joined by commas."""
    occurred_at: str
    epoch: str
    sent: _Sent


class WatermarkHeaders(Struct, frozen=True):
    """The headers of a watermark."""

    type: Literal["watermark"]
    watermark: _Microseconds
    epoch: str
    sent: _Sent


class OmittedHeaders(Struct, frozen=True):
    """The headers of the record that replaces an event that cannot be published."""

    type: Literal["omitted"]
    omitted: str
    """Event ids joined by commas."""
    epoch: str
    sent: _Sent


class DeadLetterHeaders(Struct, frozen=True):
    """The headers that are added to a refused command."""

    reason: str
    detail: str
    original_topic: str
    original_partition: _Number
    original_offset: _Number
    original_timestamp_ms: _Number


class AlertHeaders(Struct, frozen=True):
    """The headers of an alert."""

    type: str
