"""What a Star printer publishes that takes its jobs over MQTT (CloudPRNT, *Full MQTT*), and the
record of `devices.inbound` that carries it. Pure.

The printer identifies itself by its MAC address. Core knows whose it is; the broker ensures that no
other client publishes on its topics.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.text import MAC_PATTERN, TEXT_PATTERN, whole
from server_common.devices.messages import Inbound, decode_inbound, decoded
from server_common.devices.mqtt_topics import StarWord
from server_common.errors import DeviceMessageError
from server_common.limits import DEVICE_EVENT_BYTES, DEVICE_RECORD_BYTES

_Text = Annotated[str, Meta(max_length=200, pattern=whole(TEXT_PATTERN))]
_Time = Annotated[int, Meta(ge=0, le=253_402_300_799_000)]


class StarSaid(Struct, frozen=True):
    """A Star printer's message, as the gateway took it."""

    mac: Annotated[str, Meta(pattern=whole(MAC_PATTERN))]
    word: StarWord
    at_ms: _Time
    """When the gateway took it, by its clock: milliseconds since the Unix epoch."""
    payload: msgspec.Raw
    """The JSON that the printer sent; `star_payload_of` reads it."""

    @property
    def key(self) -> bytes:
        """The record's key, which keeps one printer's messages in order."""
        return self.mac.encode()

    @property
    def kind(self) -> str:
        """Its kind in the metrics."""
        return "star"


class StarAction(Struct, frozen=True):
    """The printer's answer to a question about itself."""

    request: _Text
    result: Any = None


class StarStatus(Struct, frozen=True, rename="camel"):
    """`client-status`: the printer's status. Any field may be missing or null."""

    status_code: _Text | None = None
    printing_in_progress: bool | None = None
    client_action: list[StarAction] | None = None


class StarResult(Struct, frozen=True, rename="camel"):
    """`print-result`: the outcome of a job. Any field may be missing or null."""

    status_code: _Text | None = None
    job_token: _Text | None = None
    print_succeeded: bool | None = None


class StarWill(Struct, frozen=True):
    """`client-will`: the printer's connection is lost."""


StarPayload: TypeAlias = StarStatus | StarResult | StarWill

_said: Final = msgspec.json.Decoder(StarSaid)
_payloads: Final[dict[StarWord, msgspec.json.Decoder[Any]]] = {
    "client-status": msgspec.json.Decoder(StarStatus),
    "print-result": msgspec.json.Decoder(StarResult),
    "client-will": msgspec.json.Decoder(StarWill),
}


def star_payload_of(word: StarWord, payload: bytes | msgspec.Raw) -> StarPayload:
    """Read what a Star printer sent.

    Raises:
        DeviceMessageError: too large, not JSON, or not as the vendor has described it.
    """
    read: StarPayload = decoded(_payloads[word], bytes(payload), DEVICE_EVENT_BYTES)
    return read


def decode_said(value: bytes | None) -> Inbound | StarSaid:
    """Read a value of `devices.inbound`; raises as `decode_inbound`."""
    try:
        return decode_inbound(value)
    except DeviceMessageError as error:
        try:
            return decoded(_said, value, DEVICE_RECORD_BYTES)
        except DeviceMessageError:
            raise error from None
