"""Channels and event ids: the names by which a client follows an ordered log.

`KINDS` is the table of all kinds of channels. `store:{store}` is the owner's channel of orders,
`table:{store}/{table}` the guest's; the others carry documents (`docs/state.md`). An event id is
`{channel}@{seq}`. Ids are 1 to 64 characters of `A-Z a-z 0-9 _ . -`, so they cannot contain a
separator of a channel, an event id or a cursor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from msgspec import Struct

from client_sdk.contract.errors import ChannelError, CursorError
from client_sdk.contract.text import DIGITS_PATTERN, ID_PATTERN, number_of, shown

MAX_SEQ: Final = 2**63 - 1
"""The largest seq: what a signed 64-bit integer holds."""

ChannelKind = Literal["store", "table", "public", "team", "party", "device", "brand", "global"]


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One kind of channel."""

    ids: tuple[str, ...]
    """The ids in its name after the colon, separated by a slash; empty: the name is the kind."""
    carries: Literal["orders", "documents"]

    @property
    def is_of_a_store(self) -> bool:
        """Whether its first id is a store's. Otherwise its events go to every partition."""
        return self.ids[:1] == ("store",)

    def form(self, kind: str) -> str:
        """The form of the names of this kind."""
        return f"{kind}:{'/'.join(f'{{{name}}}' for name in self.ids)}" if self.ids else kind


KINDS: Final[dict[ChannelKind, ChannelSpec]] = {
    "store": ChannelSpec(("store",), "orders"),
    "table": ChannelSpec(("store", "table"), "orders"),
    "public": ChannelSpec(("store",), "documents"),
    "team": ChannelSpec(("store",), "documents"),
    "party": ChannelSpec(("store", "table"), "documents"),
    "device": ChannelSpec(("store", "device"), "documents"),
    "brand": ChannelSpec(("brand",), "documents"),
    "global": ChannelSpec((), "documents"),
}


_KIND_OF: Final[dict[str, ChannelKind]] = {kind: kind for kind in KINDS}


def _pattern(kind: ChannelKind) -> str:
    ids = "/".join([ID_PATTERN] * len(KINDS[kind].ids))
    return f"{kind}:{ids}" if ids else kind


CHANNEL_PATTERN: Final = f"(?:{'|'.join(map(_pattern, KINDS))})"

NAME_FORM: Final = rf"^{ID_PATTERN}$(?!\n)"
"""An id or an epoch, for msgspec, which searches instead of matching the whole text."""

_CHANNEL: Final = re.compile(CHANNEL_PATTERN)
_EVENT_ID: Final = re.compile(rf"({CHANNEL_PATTERN})@({DIGITS_PATTERN})")


class Channel(Struct, frozen=True, order=True):
    """A parsed channel name; ``str()`` gives the name back."""

    kind: ChannelKind
    root: str = ""
    """Its first id: of the store or the brand; empty: it has none."""
    part: str | None = None
    """Its second id: of the table or the device."""

    def __str__(self) -> str:
        if self.part is not None:
            return f"{self.kind}:{self.root}/{self.part}"
        return f"{self.kind}:{self.root}" if self.root else self.kind

    @property
    def store_id(self) -> str | None:
        """The store that it belongs to; None: its events go to every partition."""
        return self.root if KINDS[self.kind].is_of_a_store else None

    @property
    def table_id(self) -> str | None:
        """The table that it belongs to; None: it belongs to none."""
        return self.part if self.kind in ("table", "party") else None

    @property
    def carries(self) -> Literal["orders", "documents"]:
        """What its events are about: orders or documents."""
        return KINDS[self.kind].carries


def parse_channel(text: str) -> Channel:
    """Read a channel name.

    Raises:
        ChannelError: the text is not a channel name.
    """
    if _CHANNEL.fullmatch(text) is None:
        forms = [kind.form(name) for name, kind in KINDS.items()]
        raise ChannelError(
            f"{shown(text)} is not a channel: write {', '.join(forms[:-1])} or {forms[-1]}, "
            "each id 1 to 64 of A-Z a-z 0-9 _ . -"
        )
    name, _, ids = text.partition(":")
    root, _, part = ids.partition("/")
    return Channel(_KIND_OF[name], root, part or None)


def carries_documents(channel: str) -> bool:
    """Whether the channel carries documents; False: orders, or it is not a channel."""
    kind = _KIND_OF.get(channel.partition(":")[0])
    return kind is not None and KINDS[kind].carries == "documents"


def is_in_every_partition(channel: str) -> bool:
    """Whether the channel belongs to no store; False: it does, or it is not a channel."""
    kind = _KIND_OF.get(channel.partition(":")[0])
    return kind is not None and not KINDS[kind].is_of_a_store


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
    """The id of one event, as in the SSE `id:` field."""
    return f"{channel}@{seq}"
