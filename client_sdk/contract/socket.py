"""The messages of a WebSocket: the events of a stream, and the client's messages.

Every message is text: one JSON object with the name of an `event`, its `data`, and for an event of
the log its `id`. The events of a stream (`contract/stream.py`, orders, documents) are the same on
both. An answer to a client's message has the `ref` that the client chose.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.errors import FrameError
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.problem import Problem
from client_sdk.contract.stream import SyncRequired

SUBPROTOCOL: Final = "yabam.v1"
STREAM_PATH: Final = "/v1/stream"
SOCKET_PATH: Final = "/v1/socket"

MAX_INBOUND_BYTES: Final = 4 * 1024
"""The longest message that a client may send."""
MAX_SHORT_BYTES: Final = 1024
"""The longest `body` of a message to a channel's other clients."""
MAX_REF_CHARS: Final = 64
MAX_NAME_CHARS: Final = 64

SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"
PING: Final = "ping"
RECEIVED: Final = "received"
MESSAGE: Final = "message"
"""The names of a message to a channel's other clients: as sent, and as received."""

SUBSCRIBED: Final = "subscribed"
UNSUBSCRIBED: Final = "unsubscribed"
PONG: Final = "pong"
REFUSED: Final = "refused"

Ref = Annotated[str, Meta(max_length=MAX_REF_CHARS)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS)]


class Envelope(Struct, frozen=True):
    """Any message, with its data not decoded yet."""

    event: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    id: str = ""


class Subscribe(Struct, frozen=True):
    """Follow the channels of a further ticket on this connection."""

    ticket: str
    last_event_id: str = msgspec.field(default="", name="lastEventId")
    ref: Ref = ""


class Unsubscribe(Struct, frozen=True):
    """Stop following these channels."""

    channels: Annotated[list[str], Meta(min_length=1, max_length=MAX_CHANNELS)]
    ref: Ref = ""


class Ping(Struct, frozen=True):
    """Is answered by a pong: browsers cannot send the WebSocket protocol's own pings."""

    ref: Ref = ""


class Received(Struct, frozen=True):
    """A cursor: what this device has applied. It has no answer."""

    cursor: str


class ShortMessage(Struct, frozen=True):
    """A message to a channel's other connected clients; it is never stored."""

    channel: str
    name: Name
    body: msgspec.Raw = msgspec.Raw(b"null")
    ref: Ref = ""


class Subscribed(Struct, frozen=True):
    """The ticket's channels are followed; so many events from the ring follow next."""

    ref: str
    channels: list[str]
    replayed: int


class Unsubscribed(Struct, frozen=True):
    """These channels are not followed any more."""

    ref: str
    channels: list[str]


class Pong(Struct, frozen=True):
    """The answer to a ping."""

    ref: str


class Refused(Struct, frozen=True, omit_defaults=True):
    """A request of the client on the open connection was refused."""

    ref: str
    event: str
    """The event name of its request."""
    problem: Problem
    sync_required: SyncRequired | None = None
    """With a `subscribe`: the ring does not cover its cursor. Sync, then subscribe again."""


class Told(Struct, frozen=True):
    """A message from another client of the channel."""

    channel: str
    name: str
    sender: str
    """The subject of the sender's ticket."""
    body: msgspec.Raw


_envelope: Final = reader(Envelope)


def decode_envelope(text: bytes | str) -> Envelope:
    """Read a message.

    Raises:
        FrameError: it is not JSON in UTF-8, or not such an object.
    """
    try:
        return _envelope(text)
    except msgspec.DecodeError as error:
        raise FrameError(f"the message is malformed: {error}") from error


def encode_message(event: str, data: bytes, event_id: str = "") -> bytes:
    """A message.

    Args:
        event: the name of its event.
        data: its data, as JSON in UTF-8.
        event_id: the id, of an event of the log; "": it has none.
    """
    name = msgspec.json.encode(event)
    if not event_id:
        return b'{"event":%b,"data":%b}' % (name, data)
    return b'{"id":%b,"event":%b,"data":%b}' % (msgspec.json.encode(event_id), name, data)


def socket_url(stream_url: str) -> str | None:
    """The socket's address for a stream's; None: the stream's address has another path."""
    if not stream_url.endswith(STREAM_PATH):
        return None
    base = stream_url.removesuffix(STREAM_PATH)
    for http, socket in (("https://", "wss://"), ("http://", "ws://")):
        if base.startswith(http):
            return socket + base.removeprefix(http) + SOCKET_PATH
    return None
