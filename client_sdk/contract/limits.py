"""The sizes that clients and servers must agree on. Pure.

Limits in other modules of the contract (`cursor.MAX_CHANNELS`, `sync.MAX_LIMIT`,
`sse.MAX_EVENT_BYTES`) are not repeated here. `server_common/limit_table` has the table of all sizes
and how they depend on each other.
"""

from __future__ import annotations

from typing import Final

from client_sdk.contract.text import MAX_SUBJECT

MAX_ORDER_BYTES: Final = 58 * 1024
"""The most that an order may have, as JSON in UTF-8 and as the owner sees it, when it is placed or
changed. A later step may add a reason; the event must still fit `MAX_EVENT_LINE_BYTES`."""

MAX_EVENT_LINE_BYTES: Final = 64 * 1024 - 1
"""The longest line of a stream. Common SSE clients stop at a line of 64 KiB."""

MAX_SYNC_BYTES: Final = 64 << 20
"""The longest answer of Fetch Sync that a client reads."""

MAX_PAGES: Final = 10_000
"""More pages than any sync has."""

MAX_ANEW: Final = 3
"""How often the pages of one sync may restart, as when retention has deleted events."""

MAX_EMPTY_PAGES: Final = 20
"""How many pages in a row may have no order and still name a next page."""

MAX_PAGED_SYNC_BYTES: Final = 128 << 20
"""The most bytes of JSON of one sync, over all its pages."""

MAX_SYNC_BODY_BYTES: Final = 128 * 1024
"""The longest body of `POST /v1/sync`: enough for `MAX_CHANNELS` of the longest names."""

MAX_TICKET_CHARS: Final = 112 * 1024
"""The longest ticket: enough for `MAX_CHANNELS` channels with the longest names."""

MAX_URL_CHARS: Final = 2048
"""The longest address of an event server that a client accepts."""

MAX_NEXT_CHARS: Final = 1024
"""The longest `next` of a snapshot that a client accepts."""

MAX_VALUE_BYTES: Final = 256 * 1024
"""The most that a document's value may have, as JSON in the form of RFC 8785."""

MAX_SHOWN_VALUE_BYTES: Final = 16 * 1024
"""A larger value or diff is left out of events and snapshots: clients fetch it."""

MAX_VALUE_DEPTH: Final = 32
"""How deep objects and arrays may be nested in a document, which itself counts as 1."""

MAX_EDIT_BYTES: Final = 64 * 1024
"""The most that one edit may have, as JSON in UTF-8, including `seen`."""

MAX_METADATA_BYTES: Final = 4 * 1024
"""The most that an edit's metadata may have, as JSON in the form of RFC 8785: it stands in the
event."""

MAX_EDITS: Final = 100
"""The most edits that `POST /v1/edits` takes at once."""

MAX_EDITS_BODY_BYTES: Final = 1 << 20
"""The longest body of `POST /v1/edits`."""

MAX_EDITS_ANSWER_BYTES: Final = 32 << 20
"""The longest answer of `POST /v1/edits`, or of a document or its history, that a client reads."""

MAX_SUBJECT_CHARS: Final = MAX_SUBJECT
"""The longest subject that fits into a ticket for `MAX_CHANNELS` channels."""

_ID: Final = "x" * 64
_SEQ: Final = 2**63 - 1

LONGEST_CHANNEL: Final = f"device:{_ID}/{_ID}"
"""A channel's name of the greatest length."""

LONGEST_CURSOR_BYTES_EACH: Final = len(f"{LONGEST_CHANNEL}@{_SEQ},")
"""The most characters that each channel adds to a cursor."""

LONGEST_JSON_BYTES_EACH: Final = len(f'"{LONGEST_CHANNEL}": {_SEQ}, ')
"""What each channel may add to a state vector in JSON, with the spaces that most writers put in."""

ENVELOPE_BYTES: Final = len(
    f'data: {{"id":"{LONGEST_CHANNEL}@{_SEQ}","seq":{_SEQ},"type":"order.preparing",'
    '"occurred_at":"2026-11-21T03:00:38.624170Z",'
    '"order_id":"01a1fc0c-7a60-77c9-ba73-87c38a9e69f5","order_version":2147483647,"data":}'
)
"""The bytes of a stream's line in addition to the order."""

REASON_BYTES: Final = 500 * 6 + 64
"""What a step may add to an order: a reason of 500 characters, each escaped as \\u0001 is, a longer
status and more digits of the version."""
