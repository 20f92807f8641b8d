"""The header by which a device tells Core, at each sync, who it is and how it stands.

    Yabam-Device: till-1; mode=live; pending=0

It is a structured field (RFC 9651): an item, here a token, with parameters. What the device has
applied follows from the sync's own cursor, less what is `pending`: events that it has taken in and
not handed to its user yet.
"""

from __future__ import annotations

import re
from typing import Final, Literal, cast

from msgspec import Struct

from client_sdk.contract.errors import DeviceError

HEADER: Final = "yabam-device"
MAX_PENDING: Final = 1_000_000
DeviceMode = Literal["starting", "live", "polling", "offline"]

_NAME: Final = re.compile(r"[A-Za-z*][A-Za-z0-9._~:/*-]{0,63}")
FORM: Final = (
    r"([A-Za-z*][A-Za-z0-9._~:/*-]{0,63}); ?mode=(starting|live|polling|offline)"
    r"; ?pending=([0-9]{1,7})"
)
"""The header's value, as a regular expression."""


class DeviceReport(Struct, frozen=True):
    """What one sync says of the device that asks."""

    device: str
    """Its name, unique within the store: a token of at most 64 characters."""
    mode: DeviceMode
    """How it was fed before this sync."""
    pending: int
    """Events taken in and not handed to its user yet, over all its channels."""


def check_device(name: str) -> str:
    """The name, if it may be one.

    Raises:
        DeviceError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise DeviceError(
            f"{name[:80]!a} is no device name: use 1 to 64 letters, digits and . _ ~ : / * - "
            "beginning with a letter"
        )
    return name


def format_device(report: DeviceReport) -> str:
    """The header's value."""
    pending = min(report.pending, MAX_PENDING)
    return f"{report.device}; mode={report.mode}; pending={pending}"


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
    name, mode, pending = found.groups()
    return DeviceReport(name, cast("DeviceMode", mode), int(pending))
