"""Channels and event ids: the names by which a client follows an ordered log.

`store:{store_id}` is the owner's channel, `table:{store_id}/{table_id}` the guest's. An event id is
`{channel}@{seq}`. Ids are 1 to 64 characters of `A-Z a-z 0-9 _ . -`, so that no separator of a
channel, an event id or a cursor can stand inside one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from client_sdk.contract.errors import ChannelError, CursorError
from client_sdk.contract.text import DIGITS_PATTERN, ID_PATTERN, number_of, shown

MAX_SEQ: Final = 2**63 - 1
"""The largest seq: what a signed 64-bit integer holds."""

CHANNEL_PATTERN: Final = rf"(?:store:{ID_PATTERN}|table:{ID_PATTERN}/{ID_PATTERN})"

NAME_FORM: Final = rf"^{ID_PATTERN}$(?!\n)"
"""An id or an epoch, for msgspec, which searches instead of matching the whole text."""

_CHANNEL: Final = re.compile(rf"(?:(store):({ID_PATTERN})|(table):({ID_PATTERN})/({ID_PATTERN}))")
_EVENT_ID: Final = re.compile(rf"({CHANNEL_PATTERN})@({DIGITS_PATTERN})")


@dataclass(frozen=True, slots=True, order=True)
class Channel:
    """A parsed channel name; ``str()`` gives the name back."""

    kind: Literal["store", "table"]
    store_id: str
    table_id: str | None = None

    def __str__(self) -> str:
        if self.table_id is None:
            return f"store:{self.store_id}"
        return f"table:{self.store_id}/{self.table_id}"


def parse_channel(text: str) -> Channel:
    """Read a channel name.

    Raises:
        ChannelError: the text is not a channel name.
    """
    match = _CHANNEL.fullmatch(text)
    if match is None:
        raise ChannelError(
            f"{shown(text)} is not a channel: write store:{{store_id}} or "
            "table:{store_id}/{table_id}, each id 1 to 64 of A-Z a-z 0-9 _ . -"
        )
    if match[1]:
        return Channel("store", match[2])
    return Channel("table", match[4], match[5])


def parse_seq(text: str) -> int:
    """Read a seq: decimal digits, 0 (before the first event) to `MAX_SEQ`.

    Raises:
        CursorError: the text is not such a number.
    """
    seq = number_of(text, MAX_SEQ)
    if seq is None:
        raise CursorError(f"{shown(text)} is not a seq: write a whole number from 0 to {MAX_SEQ}")
    return seq


def parse_event_id(text: str) -> tuple[str, int]:
    """Read an event id `{channel}@{seq}` as (channel name, seq).

    Raises:
        CursorError: the text is not an event id.
    """
    match = _EVENT_ID.fullmatch(text)
    if match is None:
        raise CursorError(f"{shown(text)} is not an event id: write {{channel}}@{{seq}}")
    seq = int(match[2])
    return match[1], seq if seq <= MAX_SEQ else parse_seq(match[2])


def event_id(channel: str, seq: int) -> str:
    """The id of one event, as it stands in the SSE `id:` field."""
    return f"{channel}@{seq}"
