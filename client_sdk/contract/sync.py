"""Fetch Sync: the answer of `GET /v1/sync` and `POST /v1/sync`, and the limits of the request.

The same call serves the first start, every reconnect and polling (see `docs/protocol.md`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.channel import MAX_SEQ, NAME_FORM
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.limits import MAX_NEXT_CHARS, MAX_TICKET_CHARS, MAX_URL_CHARS
from client_sdk.contract.order import EventContent, Order, OrderEvent, keep_content

MAX_LIMIT: Final = 1000
"""The most events of one channel in one answer."""
MAX_ORDERS: Final = 1000
"""The most orders that a client may ask for in one page of a snapshot."""
MAX_WAIT_S: Final = 25.0
"""The longest `wait`, in seconds: below the idle timeout of common proxies."""

Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
Epoch = Annotated[str, Meta(pattern=NAME_FORM)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A time to wait: an integer that clients in every language can represent."""
DigestText = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$(?!\n)")]

ResetReason = Literal["first_sync", "retention", "epoch", "ahead"]


class Snapshot(Struct, frozen=True):
    """The channel's open orders, and the head that they belong to."""

    head: Seq
    orders: list[Order]
    next: Annotated[str, Meta(max_length=MAX_NEXT_CHARS)] | None = None
    """Pass this to get the next page; None: this is the last or the only page."""


class ChannelSync(Struct, frozen=True):
    """What is new in one channel."""

    channel: str
    head: Seq
    digest: DigestText
    """The older digest of the open orders at `head`, 16 hex digits."""
    reset: str | None
    """Why the client must replace its state by `snapshot`, one of `ResetReason` or a reason of a
    newer Core; None: continue from the cursor."""
    events: list[OrderEvent]
    snapshot: Snapshot | None
    has_more: bool = False
    content_digest: str | None = None
    """The content digest of the open orders at `head`, 32 hex digits; None: Core does not know."""


class StreamGrant(Struct, frozen=True):
    """Where to connect, and the ticket that proves this sync; `expires_in` in seconds."""

    url: Annotated[str, Meta(max_length=MAX_URL_CHARS)]
    ticket: Annotated[str, Meta(max_length=MAX_TICKET_CHARS)]
    expires_in: float


class SyncResponse(Struct, frozen=True):
    """The answer of one Fetch Sync."""

    epoch: Epoch
    server_time: Annotated[datetime, Meta(tz=True)]
    cursor: str
    """The cursor after this answer is applied."""
    has_more: bool
    channels: list[ChannelSync]
    stream: StreamGrant | None
    poll_after_ms: Milliseconds


class _SnapshotContent(Struct, frozen=True):
    orders: list[msgspec.Raw]


class _ChannelContent(Struct, frozen=True):
    events: list[EventContent]
    snapshot: _SnapshotContent | None


class _Content(Struct, frozen=True):
    """An answer with its orders as the received texts."""

    channels: list[_ChannelContent]


_decoder: Final = reader(SyncResponse)
_content_decoder: Final = reader(_Content)
_channel_decoder: Final = reader(ChannelSync)
_channel_content_decoder: Final = reader(_ChannelContent)


def decode_sync(body: bytes) -> SyncResponse:
    """Read an answer of Fetch Sync.

    Raises:
        msgspec.DecodeError: not JSON, or (as its subclass ValidationError) not such an answer.
    """
    answer = _decoder(body)
    if any(channel.events or channel.snapshot for channel in answer.channels):
        _keep_contents(answer, _content_decoder(body))
    return answer


def decode_channel_sync(data: bytes | msgspec.Raw) -> ChannelSync:
    """Read one channel's part of an answer; raises as `decode_sync`."""
    channel = _channel_decoder(data)
    if channel.events or channel.snapshot:
        _keep_contents_of(channel, _channel_content_decoder(data))
    return channel


def _keep_contents(answer: SyncResponse, content: _Content) -> None:
    for channel, received in zip(answer.channels, content.channels, strict=True):
        _keep_contents_of(channel, received)


def _keep_contents_of(channel: ChannelSync, received: _ChannelContent) -> None:
    for event, event_content in zip(channel.events, received.events, strict=True):
        keep_content(event.data, event_content.data)
    if channel.snapshot is not None and received.snapshot is not None:
        for order, data in zip(channel.snapshot.orders, received.snapshot.orders, strict=True):
            keep_content(order, data)
