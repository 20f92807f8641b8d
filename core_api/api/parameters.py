"""The parameters of Core's API, as the OpenAPI document describes them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from client_sdk.contract.channel import CHANNEL_PATTERN
from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.device import FORM, HEADER
from client_sdk.contract.sync import MAX_LIMIT, MAX_ORDERS, MAX_WAIT_S
from client_sdk.contract.text import (
    EPOCH_PATTERN,
    ID_PATTERN,
    KEY_PATTERN,
    ORDER_ID_PATTERN,
    TIME_PATTERN,
)
from server_common.limits import HISTORY_ENTRIES

ETAG_PATTERN: Final = '"([1-9][0-9]{0,9})"'
"""An order's version as an entity tag."""
UPDATED_AT: Final = "Yabam-If-Updated-At"
"""The header that says when the version in If-Match was made."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a request."""

    name: str
    where: Literal["path", "query", "header"]
    schema: dict[str, Any]
    """Its JSON Schema."""
    description: str


def _text(pattern: str, **more: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern}$", **more}


def _number(kind: str, least: int, most: float) -> dict[str, Any]:
    return {"type": kind, "minimum": least, "maximum": most}


def _query(name: str, schema: dict[str, Any], description: str) -> Parameter:
    return Parameter(name, "query", schema, description)


def _header(name: str, pattern: str, description: str) -> Parameter:
    return Parameter(name, "header", _text(pattern), description)


ORDER_ID: Final = Parameter("id", "path", _text(ORDER_ID_PATTERN, format="uuid"), "The order's id")
STORE_ID: Final = Parameter("id", "path", _text(ID_PATTERN), "The store")
PRINT_ID: Final = Parameter("print", "path", _text(ID_PATTERN), "The print job")
DEVICE_ID: Final = Parameter("device", "path", _text(ID_PATTERN), "The registered device")
TABLE_ID: Final = Parameter("table", "path", _text(ID_PATTERN), "The table")
BROWSER_ID: Final = Parameter("device", "path", _text(ID_PATTERN), "The browser's own name")
WEBHOOK_ID: Final = Parameter("webhook", "path", _text(ID_PATTERN), "The webhook")
END_OLD: Final = _query(
    "end_old",
    {"type": "string", "enum": ["true", "false"]},
    "Whether older secrets stop signing now, because one has leaked",
)
CLIENT: Final = _query("client", _text(ID_PATTERN), "The client's id")
DOCUMENT_CHANNEL: Final = _query("channel", _text(CHANNEL_PATTERN), "The document's channel")
DOCUMENT_KEY: Final = _query("key", _text(ID_PATTERN), "The document's key")
VERSION: Final = _query("version", _number("integer", 0, 2**31 - 1), "As it was at this version")
AFTER: Final = _query("after", _number("integer", 0, 2**31 - 1), "What comes behind this version")
AFTER_ENTRY: Final = _query(
    "after", {"type": "string"}, "Only what comes after this version; or the `next` of a page"
)
ENTRIES: Final = _query(
    "limit", _number("integer", 1, HISTORY_ENTRIES), "The most entries in the answer"
)
KEY: Final = _header("Idempotency-Key", KEY_PATTERN, "The same key and body get the same answer")
IF_MATCH: Final = _header(
    "If-Match", ETAG_PATTERN, "The version that the decision rests on, as its ETag gave it"
)
IF_UPDATED_AT: Final = _header(
    UPDATED_AT, TIME_PATTERN, "When that version was made: the order's updated_at as Core gave it"
)
DEVICE: Final = _header(
    HEADER.title(),
    FORM,
    "Which device asks, how it received events before, and how many wait there for its user",
)
SYNC: Final = (
    _query(
        "channel",
        {
            "type": "array",
            "items": _text(CHANNEL_PATTERN),
            "minItems": 1,
            "maxItems": MAX_CHANNELS,
            "uniqueItems": True,
        },
        "The channels to sync; without it, those of lastEventId",
    ),
    _query(
        "lastEventId",
        {"type": "string"},
        "A seq, an event id or a cursor; without it, each channel starts with a snapshot",
    ),
    _query("epoch", _text(EPOCH_PATTERN), "The epoch of the cursor"),
    _query("limit", _number("integer", 1, MAX_LIMIT), "The most events in the answer"),
    _query("wait", _number("number", 0, MAX_WAIT_S), "Seconds to wait for something new"),
    _query(
        "orders",
        _number("integer", 1, MAX_ORDERS),
        "The most orders in one page of a snapshot; without it, snapshots come whole",
    ),
    _query(
        "page",
        {"type": "string"},
        "The `next` of a snapshot, to get its next page; takes no other parameter but orders",
    ),
)
"""The parameters of `GET /v1/sync`."""
