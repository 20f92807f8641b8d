"""Measurements gathered in memory, so that a device that measures often makes few versions.

The newest of each name wins. A process that dies loses what it gathered: devices measure again, and
nothing depends on a single measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from client_sdk.contract.digest import MAX_INTEGER
from client_sdk.contract.limits import MAX_VALUE_DEPTH
from client_sdk.contract.state.values import Value
from core_api.devices.times import rfc3339
from server_common.devices.messages import Telemetry
from server_common.limits import DEVICE_MEASUREMENTS

EVERY_S: Final = 10.0
"""The shortest time between two versions of a device's measurements, in seconds."""
MAX_DEVICES: Final = 20_000
"""The most devices whose measurements are held; those of further devices are dropped."""
_KEPT_S: Final = 4 * EVERY_S

Of = tuple[str, str]
"""Store and device."""


class Measured(Struct, frozen=True):
    """One measurement, with the time at which the gateway took it."""

    at_ms: int
    telemetry: Telemetry
    generation: int | None
    partition: int
    """Where it was read."""


class Measurements:
    """Measurements that are not written yet.

    Args:
        clock: seconds that only go forward.
        dropped: called for each measurement for which there is no room.
    """

    def __init__(
        self, clock: Callable[[], float], dropped: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._dropped = dropped
        self._waiting: dict[Of, dict[str, Measured]] = {}
        self._written_at: dict[Of, float] = {}

    def note(self, of: Of, name: str, measured: Measured) -> None:
        """Take in a measurement, unless a newer one of its name waits already.

        Args:
            of: the device that has measured.
            name: the measurement's, as its topic has it.
            measured: its value, and when the gateway took it.
        """
        names = self._waiting.get(of)
        if names is None:
            if len(self._waiting) >= MAX_DEVICES:
                self._dropped()
                return
            names = self._waiting[of] = {}
        before = names.get(name)
        if before is None and len(names) >= DEVICE_MEASUREMENTS:
            self._dropped()
        elif before is None or before.at_ms <= measured.at_ms:
            names[name] = measured

    def due(self) -> dict[Of, dict[str, Measured]]:
        """Remove and return what is due; the caller writes it, or puts it back."""
        now = self._clock()
        for of in [of for of, at in self._written_at.items() if now - at > _KEPT_S]:
            del self._written_at[of]
        ready = [of for of in self._waiting if now - self._written_at.get(of, -EVERY_S) >= EVERY_S]
        self._written_at.update(dict.fromkeys(ready, now))
        return {of: self._waiting.pop(of) for of in ready}

    def put_back(self, of: Of, names: Mapping[str, Measured]) -> None:
        """Take back what could not be written; measurements that came meanwhile win."""
        for name, measured in names.items():
            self.note(of, name, measured)


def telemetry_value(current: Value | None, names: Mapping[str, Measured], now: datetime) -> Value:
    """The value of the document with these measurements; an older one never replaces a newer one.

    No time lies beyond now: a gateway whose clock was fast must not keep out what comes later. A
    measurement with a new name is left out once there are `DEVICE_MEASUREMENTS` names.

    Args:
        current: the value so far, which is left as it is; None: there is no document.
        names: the newest measurement of each name.
        now: by the database's clock.
    """
    value = dict(current or {})
    for name, one in names.items():
        at = rfc3339(min(now, datetime.fromtimestamp(one.at_ms / 1000, UTC)))
        known = value.get(name)
        if known is None and len(value) >= DEVICE_MEASUREMENTS:
            continue
        if known is None or known["at"] <= at:
            entry: dict[str, Any] = {"value": without_fractions(one.telemetry.value), "at": at}
            if one.telemetry.unit is not None:
                entry["unit"] = one.telemetry.unit
            value[name] = entry
    return value


def without_fractions(value: Any, levels: int = MAX_VALUE_DEPTH) -> Any:
    """The value as a document may hold it: numbers other than integers of 53 bits become text.

    Args:
        value: what a device has sent.
        levels: how deep it is read. What is deeper stays as it is: no document may hold it.
    """
    if levels == 0:
        return value
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) <= MAX_INTEGER else repr(value)
    if type(value) is int and abs(value) > MAX_INTEGER:
        return str(value)
    if type(value) is dict:
        return {name: without_fractions(part, levels - 1) for name, part in value.items()}
    if type(value) is list:
        return [without_fractions(part, levels - 1) for part in value]
    return value
