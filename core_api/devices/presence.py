"""Whether a device is online, by its status messages and its last will. Pure.

Messages may come late, twice and again after a broker's restart, so an older one never replaces a
newer one; and the last will of a connection does not apply to the next connection.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from client_sdk.contract.state.values import Value
from core_api.devices.times import rfc3339
from server_common.devices.messages import Status

SILENT_S: Final = 150.0
"""A device that renews its status each minute has missed two of them by then."""


class DevicePresence(Struct, frozen=True):
    """The newest known state of a device's connection."""

    connection: str
    boot: int
    at: int
    """Grows with each status of the boot."""
    online: bool


def heard(before: DevicePresence | None, status: Status) -> DevicePresence | None:
    """The state after a status; None: the status is older than the known state, or the same."""
    said = DevicePresence(status.connection, status.boot, status.at, status.online)
    if before is None:
        return said
    if status.connection == before.connection and not status.online:
        # A will was written when its connection began, so its time is not that of the event.
        newest = max(status.order, (before.boot, before.at))
        return DevicePresence(before.connection, *newest, online=False) if before.online else None
    return said if status.order > (before.boot, before.at) else None


def status_value(current: Value | None, status: Status, now: datetime) -> Value:
    """The value of the document after a status; `at` stays as it is while nothing else changes.

    Args:
        current: the value so far; None: there is no document.
        status: what the device says, or its last will.
        now: by the database's clock.
    """
    return _since(
        current,
        {
            "online": status.online,
            "connection": status.connection,
            "firmware": status.firmware or (current or {}).get("firmware", ""),
            # A will does not have the faults reported since the device connected.
            "troubles": list(status.troubles)
            if status.online
            else (current or {}).get("troubles", list(status.troubles)),
        },
        now,
    )


def offline_value(current: Value | None, now: datetime) -> Value | None:
    """The document of a device that went offline; None: there is no document."""
    return None if current is None else _since(current, {**current, "online": False}, now)


def _since(current: Value | None, said: dict[str, Any], now: datetime) -> Value:
    said.pop("at", None)
    same = current is not None and {**current, "at": None} == {**said, "at": None}
    return {**said, "at": current["at"] if same and current else rfc3339(now)}
