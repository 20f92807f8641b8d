"""The documents of a device, which Core alone makes from its messages and commands. Pure.

They are defined in any case, as commands and alarms need them. A document has no fractions, so a
measured 3.5 is stored as the text "3.5".
"""

from __future__ import annotations

from typing import Any, Final

from core_api.documents.definitions import Definition
from core_api.documents.schemas import DAY_S, by_id, whole_object
from server_common.devices.messages import MEDIA_TYPES
from server_common.limits import DEVICE_MEASUREMENTS, DEVICE_TROUBLES, SNAPSHOT_BYTES

_SCOPE: Final = frozenset({"device"})
_WORD: Final = {"type": "string", "maxLength": 64}
_TEXT: Final = {"type": "string", "maxLength": 500}
_TIME: Final = {"type": "string", "maxLength": 40}


def _of_core(key: str, schema: dict[str, Any], days: int, **more: Any) -> Definition:
    """A document that has no writers."""
    return Definition(
        key=key,
        scopes=_SCOPE,
        strategy="last",
        writers=frozenset(),
        schema=schema,
        history_s=days * DAY_S,
        max_age_s=DAY_S,
        **more,
    )


STATUS: Final = _of_core(
    "status",
    whole_object(
        {
            "online": {"type": "boolean"},
            "connection": _WORD,
            "firmware": _WORD,
            "troubles": {
                "type": "array",
                "items": {"type": "string", "maxLength": 100},
                "maxItems": DEVICE_TROUBLES,
            },
            "at": _TIME,
        }
    ),
    7,
)
"""Whether it is connected, and its faults; `at` is when that last changed."""

TELEMETRY: Final = _of_core(
    "telemetry",
    by_id(
        whole_object(
            {"value": {"type": ["integer", "string", "boolean"]}, "unit": _WORD, "at": _TIME},
            "unit",
        ),
        DEVICE_MEASUREMENTS,
    ),
    1,
)
"""The newest of each measurement, by its name."""

SNAPSHOT: Final = _of_core(
    "snapshot",
    whole_object(
        {
            "media_type": {"enum": list(MEDIA_TYPES)},
            "bytes": {"type": "integer", "minimum": 1, "maximum": SNAPSHOT_BYTES},
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "at": _TIME,
        }
    ),
    7,
)
"""The newest picture, which itself is fetched by its own route."""

EVENT: Final = _of_core(
    "event",
    whole_object(
        {
            "boot": {"type": "integer", "minimum": 0},
            "n": {"type": "integer", "minimum": 1},
            "data": {"type": "object"},
            "at": _TIME,
        }
    ),
    30,
    is_family=True,
)
"""`event.{name}`: the last event of this name; the history has all of them."""

COMMAND: Final = _of_core(
    "command",
    whole_object(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": 64},
            "arguments": {"type": "object"},
            "state": {"enum": ["sent", "done", "failed", "expired"]},
            "detail": _TEXT,
            "expires_at": _TIME,
            "by": {"type": "string", "maxLength": 300},
        }
    ),
    30,
    is_family=True,
    lifetime="each",
)
"""`command.{id}`: a command to it, and its answer."""

DEVICE_DEFINITIONS: Final = (STATUS, TELEMETRY, SNAPSHOT, EVENT, COMMAND)
"""The definitions of every channel of a device."""
