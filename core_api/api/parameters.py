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


ORDER_ID: Final = Parameter("id", "path", _text(ORDER_ID_PATTERN, format="uuid"), "The order's id")
STORE_ID: Final = Parameter("id", "path", _text(ID_PATTERN), "The store")
PRINT_ID: Final = Parameter("print", "path", _text(ID_PATTERN), "The print job")
DEVICE_ID: Final = Parameter("device", "path", _text(ID_PATTERN), "The registered device")
TABLE_ID: Final = Parameter("table", "path", _text(ID_PATTERN), "The table")
BROWSER_ID: Final = Parameter("device", "path", _text(ID_PATTERN), "The browser's own name")
WEBHOOK_ID: Final = Parameter("webhook", "path", _text(ID_PATTERN), "The webhook")
END_OLD: Final = Parameter(
    "end_old",
    "query",
    {"type": "string", "enum": ["true", "false"]},
    "Whether the secrets before sign no longer, because one has leaked",
)
CLIENT: Final = Parameter("client", "query", _text(ID_PATTERN), "The client's id")
DOCUMENT_CHANNEL: Final = Parameter(
    "channel", "query", _text(CHANNEL_PATTERN), "The document's channel"
)
DOCUMENT_KEY: Final = Parameter("key", "query", _text(ID_PATTERN), "The document's key")
VERSION: Final = Parameter(
    "version", "query", _number("integer", 0, 2**31 - 1), "As it was at this version"
)
AFTER: Final = Parameter(
    "after", "query", _number("integer", 0, 2**31 - 1), "What comes behind this version"
)
AFTER_ENTRY: Final = Parameter(
    "after",
    "query",
    {"type": "string"},
    "What comes behind this version; or the `next` of a page",
)
ENTRIES: Final = Parameter(
    "limit", "query", _number("integer", 1, HISTORY_ENTRIES), "The most entries in the answer"
)
KEY: Final = Parameter(
    "Idempotency-Key", "header", _text(KEY_PATTERN), "The same key and body get the same answer"
)
IF_MATCH: Final = Parameter(
    "If-Match",
    "header",
    _text(ETAG_PATTERN),
    "The version that the decision rests on, as its ETag gave it",
)
IF_UPDATED_AT: Final = Parameter(
    UPDATED_AT,
    "header",
    _text(TIME_PATTERN),
    "When that version was made: the order's updated_at as Core gave it",
)
DEVICE: Final = Parameter(
    HEADER.title(),
    "header",
    _text(FORM),
    "Which device asks, how it received events before, and how many wait there for its user",
)
SYNC: Final = (
    Parameter(
        "channel",
        "query",
        {
            "type": "array",
            "items": _text(CHANNEL_PATTERN),
            "minItems": 1,
            "maxItems": MAX_CHANNELS,
            "uniqueItems": True,
        },
        "The channels to sync; without it, those of lastEventId",
    ),
    Parameter(
        "lastEventId",
        "query",
        {"type": "string"},
        "A seq, an event id or a cursor; without it, the channels start anew",
    ),
    Parameter("epoch", "query", _text(EPOCH_PATTERN), "The epoch of the cursor"),
    Parameter("limit", "query", _number("integer", 1, MAX_LIMIT), "The most events in the answer"),
    Parameter(
        "wait", "query", _number("number", 0, MAX_WAIT_S), "Seconds to wait for something new"
    ),
    Parameter(
        "orders",
        "query",
        _number("integer", 1, MAX_ORDERS),
        "The most orders in one page of a snapshot; without it, snapshots come whole",
    ),
    Parameter(
        "page",
        "query",
        {"type": "string"},
        "The `next` of a snapshot, to get its next page; takes no other parameter but orders",
    ),
)
"""The parameters of `GET /v1/sync`."""
