"""Cursors: what a client has applied, as a state vector `{channel: seq}`.

Written `store:12@482,store:15@77`: event ids joined by commas, sorted by channel, each channel
once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from client_sdk.contract.channel import event_id, parse_event_id
from client_sdk.contract.errors import CursorError

MAX_CHANNELS: Final = 500
"""How many channels one cursor, one sync or one stream may name."""


def parse_cursor(text: str) -> dict[str, int]:
    """Read a cursor; the empty text is the empty cursor.

    Raises:
        CursorError: a part is not an event id, a channel is repeated, or there are too many.
    """
    if not text:
        return {}
    parts = text.split(",", MAX_CHANNELS)
    if len(parts) > MAX_CHANNELS:
        raise CursorError(f"the cursor names more than {MAX_CHANNELS} channels")
    cursor: dict[str, int] = {}
    for part in parts:
        channel, seq = parse_event_id(part)
        if channel in cursor:
            raise CursorError(f"the cursor names the channel {channel} twice")
        cursor[channel] = seq
    return cursor


def format_cursor(cursor: Mapping[str, int]) -> str:
    """Write a cursor, sorted by channel."""
    return ",".join(event_id(channel, cursor[channel]) for channel in sorted(cursor))
