"""On which devices one order is. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from client_sdk.contract.device import DeviceMode

SEEN_WITHIN_S: Final = 24 * 3600.0
"""A device that was not seen for longer is left out: it will not show the order."""

Holding = Literal["received", "sent", "waiting"]


class Holder(Struct, frozen=True):
    """One device of the order's store."""

    device: str
    subject: str
    """Of the token that it syncs with."""
    state: Holding
    """`received`: it has said that it has applied the order; `sent`: it follows the store, so it
    has been sent it or is about to be; `waiting`: it does not follow the store now."""
    mode: DeviceMode
    last_seen: datetime


class OrderDevices(Struct, frozen=True):
    """The answer of `GET /v1/orders/{id}/devices`."""

    devices: list[Holder]
    """The last seen first."""


def holding(mode: DeviceMode, applied: int, seq: int | None) -> Holding:
    """Whether a device has an order.

    Args:
        mode: how it received events when it was last heard of.
        applied: the seq up to which it has applied the store's channel.
        seq: where the order was placed in it; None: so long ago that the log no longer says.
    """
    if applied and (seq is None or applied >= seq):
        return "received"
    return "sent" if mode in ("live", "polling") else "waiting"
