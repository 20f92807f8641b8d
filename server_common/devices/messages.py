"""The Kafka records between the gateway and Core: devices' messages, and Core's answers. Pure.

`devices.inbound` has the key `{store}/{device}`, so that one device stays in order whichever
gateway took its message; `devices.outbound` has the key `{store}`. Values are JSON. Unknown fields
are ignored, so that a newer gateway or Core may add some.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.channel import NAME_FORM
from client_sdk.contract.digest import MAX_INTEGER
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.text import MAC_PATTERN, TEXT_PATTERN, id_pattern, whole
from server_common.devices.identity import MAX_GENERATION
from server_common.devices.mqtt_topics import MessageKind, StarCall
from server_common.errors import DeviceMessageError
from server_common.limits import (
    DEVICE_DEAD_BYTES,
    DEVICE_EVENT_BYTES,
    DEVICE_PAYLOAD_BYTES,
    DEVICE_RECORD_BYTES,
    DEVICE_STATUS_BYTES,
    DEVICE_TROUBLE_CHARS,
    DEVICE_TROUBLES,
    SNAPSHOT_BYTES,
)

REASONS: Final = (
    "too-large",
    "bad-json",
    "invalid",
    "unknown-device",
    "unknown-command",
    "too-many-documents",
    "too-old",
    "internal",
    "unreadable",
)
"""Why a message is in the dead letter topic, or was refused."""
KINDS: Final[tuple[MessageKind, ...]] = get_args(MessageKind)
MEDIA_TYPES: Final = ("image/jpeg", "image/png")

EVENT_NAME_PATTERN: Final = id_pattern(58)
"""The longest name for which `event.{name}` is still a valid document key."""

_T = TypeVar("_T")
_Id = Annotated[str, Meta(pattern=NAME_FORM)]
_Generation = Annotated[int, Meta(ge=1, le=MAX_GENERATION)]
_Whole = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
_Time = Annotated[int, Meta(ge=0, le=253_402_300_799_000)]
_N = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
_Word = Annotated[str, Meta(max_length=64, pattern=whole(TEXT_PATTERN))]
_Text = Annotated[str, Meta(max_length=500, pattern=whole(TEXT_PATTERN))]
_Trouble = Annotated[str, Meta(max_length=DEVICE_TROUBLE_CHARS, pattern=whole(TEXT_PATTERN))]


class Inbound(Struct, frozen=True, omit_defaults=True):
    """A device's message, as the gateway took it: a value of `devices.inbound`."""

    store: _Id
    device: _Id
    kind: MessageKind
    at_ms: _Time
    """When the gateway took it, by its clock: milliseconds since the Unix epoch."""
    payload: msgspec.Raw
    """The JSON that the device sent; `payload_of` reads it into the struct of its kind."""
    generation: _Generation | None = None
    """The device's generation; None: the gateway does not know it. The broker admits the newest
    only."""
    name: _Id | None = None
    """The name of the measurement; telemetry alone has one."""

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"{self.store}/{self.device}".encode()


class Result(Struct, frozen=True):
    """A device's answer to a command, or about a print job."""

    boot: _Whole
    """A number that grows with every start of the device."""
    n: _N
    """Counts the device's messages from 1 in each boot."""
    id: _Id
    """The id of the command or the print job."""
    outcome: Literal["done", "failed", "taken", "doubtful"]
    """The last two are for print jobs only: printing starts now; it may be on paper or not."""
    detail: _Text = ""
    agent: _Id | None = None
    """The agent that prints; None: a printer that gets its jobs as they come."""
    attempt: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    """Which attempt to print it is about; None: the one in progress."""


class Event(Struct, frozen=True):
    """Something happened at a device: a bell was pressed, a code was scanned."""

    boot: _Whole
    n: _N
    name: Annotated[str, Meta(pattern=whole(EVENT_NAME_PATTERN))]
    data: dict[str, Any] = {}
    """All other fields of the message."""


class Received(Struct, frozen=True):
    """What a device has applied."""

    cursor: Annotated[str, Meta(max_length=DEVICE_EVENT_BYTES, pattern=whole(TEXT_PATTERN))]


class Status(Struct, frozen=True):
    """A device's status; its last will is the same with `online` false."""

    connection: _Word
    """A new value for every connection that the device makes."""
    online: bool
    at: _Whole
    """Grows with every status of one boot: milliseconds of any clock that the device has."""
    boot: _Whole = 0
    firmware: _Word = ""
    troubles: Annotated[list[_Trouble], Meta(max_length=DEVICE_TROUBLES)] = []
    """What needs a person, such as an empty paper roll or an open cover."""

    @property
    def order(self) -> tuple[int, int]:
        """Grows from each status of the device to the next."""
        return self.boot, self.at


class Telemetry(Struct, frozen=True, omit_defaults=True):
    """One measurement."""

    value: bool | int | float | _Word
    unit: _Word | None = None


class Snapshot(Struct, frozen=True):
    """A picture, in base64."""

    media_type: Literal["image/jpeg", "image/png"]
    data: str

    @classmethod
    def of(cls, media_type: Literal["image/jpeg", "image/png"], picture: bytes) -> Snapshot:
        """Make the message that carries a picture."""
        return cls(media_type, b64encode(picture).decode())

    def picture(self) -> bytes:
        """The bytes.

        Raises:
            DeviceMessageError: not base64, too large, or not of its media type.
        """
        try:
            picture = b64decode(self.data, validate=True)
        except (Base64Error, ValueError) as error:
            raise DeviceMessageError("the picture is not in base64", "invalid") from error
        if len(picture) > SNAPSHOT_BYTES:
            raise DeviceMessageError(
                f"the picture has {len(picture)} bytes; at most {SNAPSHOT_BYTES} are taken",
                "too-large",
            )
        if not picture.startswith(_BEGINS[self.media_type]):
            raise DeviceMessageError(f"the picture is no {self.media_type}", "invalid")
        return picture


Payload: TypeAlias = Result | Event | Received | Status | Telemetry | Snapshot
_BEGINS: Final = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n"}
_DATA_LEAVES: Final = frozenset({"boot", "n", "name", "type", "epoch"})


class PrintAnswer(Struct, frozen=True):
    """The state of a print job after a printer's message about it."""

    state: str
    """As in its document; `held`: another agent prints here; `earlier`: another job must be printed
    first; `gone`: the job no longer exists."""
    attempts: int = 0
    repeat: bool = False
    """Whether the paper must say that it may have been printed before."""


class Outbound(Struct, frozen=True, omit_defaults=True):
    """What Core did with a result or an event, after its commit: a value of `devices.outbound`."""

    store: _Id
    device: _Id
    boot: _Whole
    n: _N
    outcome: Literal["applied", "repeated", "refused"]
    """In each case the device may forget the message."""
    problem: str | None = None
    """Why it was refused: one of `REASONS`, or a reason of Core's own."""
    job: PrintAnswer | None = None
    """The answer about a print job; None: it was about something else."""

    @property
    def key(self) -> bytes:
        """The record's key."""
        return self.store.encode()


class Ring(Struct, frozen=True, omit_defaults=True):
    """A message to a Star printer. A value of `devices.outbound`."""

    store: _Id
    device: _Id
    mac: Annotated[str, Meta(pattern=whole(MAC_PATTERN))]
    method: StarCall = "request-post"
    fields: dict[str, Any] = {}
    """The fields of the message, beside its title."""
    until_ms: _Time | None = None
    """After this time it must not be sent any more: milliseconds since the Unix epoch."""

    @property
    def key(self) -> bytes:
        """The record's key."""
        return self.store.encode()


class DeadLetter(Struct, frozen=True, omit_defaults=True):
    """A message that cannot be used, kept for a person: a value of `devices.dead-letter`."""

    reason: str
    """One of `REASONS`."""
    detail: str
    topic: str
    """Where it came from: an MQTT topic, or the Kafka record's `topic/partition/offset`."""
    at_ms: int
    size: int
    """The size of the whole message, in bytes."""
    data: bytes
    """Its first bytes, at most `DEVICE_DEAD_BYTES`; in base64, as msgspec writes bytes in JSON."""


_inbound: Final = msgspec.json.Decoder(Inbound)
_outbound: Final = msgspec.json.Decoder(Outbound)
_ring: Final = msgspec.json.Decoder(Ring)
_payloads: Final[dict[MessageKind, msgspec.json.Decoder[Any]]] = {
    "result": msgspec.json.Decoder(Result),
    "event": msgspec.json.Decoder(dict[str, Any]),
    "received": msgspec.json.Decoder(Received),
    "status": msgspec.json.Decoder(Status),
    "telemetry": msgspec.json.Decoder(Telemetry),
    "snapshot": msgspec.json.Decoder(Snapshot),
}
# Those of all other kinds have at most `DEVICE_EVENT_BYTES`.
_MOST: Final = {"snapshot": DEVICE_PAYLOAD_BYTES, "status": DEVICE_STATUS_BYTES}


def encode(message: Struct) -> bytes:
    """The record's value."""
    return msgspec.json.encode(message)


def decode_inbound(value: bytes | None) -> Inbound:
    """Read a value of `devices.inbound`; its payload is read by `payload_of`.

    Raises:
        DeviceMessageError: too large, not JSON, or no such message.
    """
    message = decoded(_inbound, value, DEVICE_RECORD_BYTES)
    if (message.kind == "telemetry") != (message.name is not None):
        raise DeviceMessageError("telemetry has a name, and nothing else has", "invalid")
    return message


def decode_outbound(value: bytes | None) -> Outbound | Ring:
    """Read a value of `devices.outbound`; raises as `decode_inbound`."""
    try:
        return decoded(_outbound, value, DEVICE_RECORD_BYTES)
    except DeviceMessageError as error:
        try:
            return decoded(_ring, value, DEVICE_RECORD_BYTES)
        except DeviceMessageError:
            raise error from None


def payload_of(kind: MessageKind, payload: bytes | msgspec.Raw) -> Payload:
    """Read what a device sent.

    The gateway calls it too, so that a malformed message is refused where it arrives.

    Raises:
        DeviceMessageError: too large for its kind, not JSON, or not the struct of its kind.
    """
    data = bytes(payload)
    read = decoded(_payloads[kind], data, _MOST.get(kind, DEVICE_EVENT_BYTES))
    if kind == "event":
        return _event(read)
    if isinstance(read, Snapshot):
        read.picture()
    return read  # type: ignore[no-any-return]


def dead_letter(reason: str, detail: str, topic: str, at_ms: int, data: bytes) -> DeadLetter:
    """Make the dead letter of a message; long texts are cut.

    Args:
        reason: a short word.
        detail: for a person.
        topic: where it was sent.
        at_ms: when it came.
        data: the message.
    """
    return DeadLetter(reason, detail[:1000], topic, at_ms, len(data), data[:DEVICE_DEAD_BYTES])


def _event(fields: dict[str, Any]) -> Event:
    data = {name: value for name, value in fields.items() if name not in _DATA_LEAVES}
    try:
        return msgspec.convert({**fields, "data": data}, Event)
    except msgspec.ValidationError as error:
        raise DeviceMessageError(str(error), "invalid") from error


def decoded(decoder: msgspec.json.Decoder[_T], value: bytes | None, limit: int) -> _T:
    """Read a record's value, or a payload.

    Args:
        decoder: of its struct.
        value: the bytes.
        limit: so many bytes are taken.

    Raises:
        DeviceMessageError: missing, too large, not JSON, or not such a struct.
    """
    if value is None:
        raise DeviceMessageError("the record has no value", "bad-json")
    if len(value) > limit:
        raise DeviceMessageError(
            f"the message has {len(value)} bytes; at most {limit} are taken", "too-large"
        )
    try:
        return decode(decoder, value)
    except msgspec.ValidationError as error:
        raise DeviceMessageError(str(error), "invalid") from error
    except msgspec.DecodeError as error:
        raise DeviceMessageError(f"the message is not JSON: {error}", "bad-json") from error
