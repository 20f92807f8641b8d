"""The header with which a device sends its name and state to Core at each sync.

    Yabam-Device: till-1; mode=live; pending=0

It is a structured field (RFC 9651): an item, here a token, with parameters. The device has applied
all up to the sync's cursor, except the `pending` events: those it has received and not yet passed
to its user. If the sync resets channels because their digest differed, `diverged` is their number:
`; diverged=1`.

Between its syncs an owner's device reports what it has applied by `POST /v1/receipts`, with the
same header, or by the message `received` of a WebSocket. It reports the orders that it has shown to
a person by `POST /v1/orders/seen`.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, cast, get_args
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.errors import DeviceError
from client_sdk.contract.text import DEVICE_PATTERN, EPOCH_PATTERN, whole

HEADER: Final = "yabam-device"
MAX_PENDING: Final = 1_000_000
MAX_DIVERGED: Final = 999
RECEIPTS_PATH: Final = "/v1/receipts"
MAX_RECEIPTS_BODY_BYTES: Final = 128 * 1024
"""Enough for a cursor of `MAX_CHANNELS` channels with the longest names."""
SEEN_PATH: Final = "/v1/orders/seen"
MAX_SEEN_ORDERS: Final = 100
"""The most orders that one request may name."""
RECEIPTS_EVERY_S: Final = 1.0
"""How long a client collects receipts: the alarm expects them within 2 s."""
DeviceMode = Literal["live", "polling", "starting", "offline"]

_NAME: Final = re.compile(DEVICE_PATTERN)
FORM: Final = (
    rf"({DEVICE_PATTERN}); ?mode=({'|'.join(get_args(DeviceMode))})"
    r"; ?pending=([0-9]{1,7})(?:; ?diverged=([0-9]{1,3}))?"
)
"""The header's value, as a regular expression."""


class DeviceReport(Struct, frozen=True):
    """What one sync reports of the device."""

    device: str
    """Its name, unique within the store: a token of at most 64 characters."""
    mode: DeviceMode
    """How it received events before this sync."""
    pending: int
    """Events received and not yet passed to its user, over all its channels."""
    diverged: int = 0
    """The number of channels that this sync resets because their digest differed."""


def check_device(name: str) -> str:
    """Return the name if it is valid.

    Raises:
        DeviceError: it is not valid.
    """
    if not _NAME.fullmatch(name):
        raise DeviceError(
            f"{name[:80]!a} is not a device name: use 1 to 64 letters, digits and . _ ~ : / * - "
            "beginning with a letter"
        )
    return name


def format_device(report: DeviceReport) -> str:
    """The header's value."""
    pending = min(report.pending, MAX_PENDING)
    value = f"{report.device}; mode={report.mode}; pending={pending}"
    return f"{value}; diverged={min(report.diverged, MAX_DIVERGED)}" if report.diverged else value


def parse_device(value: str) -> DeviceReport:
    """Read the header's value.

    Raises:
        DeviceError: it is malformed.
    """
    found = re.fullmatch(FORM, value.strip())
    if found is None:
        raise DeviceError(
            f"Yabam-Device {value[:80]!a} is malformed: it looks like till-1; mode=live; pending=0"
        )
    name, mode, pending, diverged = found.groups()
    return DeviceReport(name, cast("DeviceMode", mode), int(pending), int(diverged or 0))


class ReceiptsBody(Struct, frozen=True):
    """The body of `POST /v1/receipts`: what is applied."""

    cursor: str
    """A cursor of channels of orders; channels of other kinds are ignored."""
    epoch: Annotated[str, Meta(pattern=whole(EPOCH_PATTERN))]
    """The epoch of the log that the cursor belongs to."""


class ReceiptsTaken(Struct, frozen=True):
    """The answer."""

    taken: int
    """The number of stores for which it was noted."""


class SeenBody(Struct, frozen=True):
    """The body of `POST /v1/orders/seen`."""

    orders: Annotated[list[UUID], Meta(min_length=1, max_length=MAX_SEEN_ORDERS)]
    """Ids of orders that this device has shown to a person."""


class SeenTaken(Struct, frozen=True):
    """The answer."""

    taken: int
    """How many of them are orders of this token's stores."""


def encode_receipts_body(body: ReceiptsBody) -> bytes:
    """The body as JSON."""
    return msgspec.json.encode(body)
