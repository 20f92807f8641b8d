"""What goes into the machine and what comes out of it: inputs and commands. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal

from client_sdk.contract.order import OrderEvent
from client_sdk.contract.state.document import DocumentEvent
from client_sdk.contract.sync import SyncResponse
from client_sdk.machine.sequencing import Change, DocumentChange, Reset
from client_sdk.machine.sse_or_websocket import Via


class State(Enum):
    """The client's states; `machine.py` draws them."""

    IDLE = "idle"
    SYNCING = "syncing"
    CONNECTING = "connecting"
    LIVE = "live"
    POLLING = "polling"
    CLOSED = "closed"
    FAILED = "failed"


FailureKind = Literal[
    "unreachable", "busy", "unauthorized", "token", "ticket", "refused", "malformed", "consumer"
]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a sync or a stream did not work.

    `unreachable`: no answer, or the connection broke; `busy`: 429 or 503, with `retry_after` in
    seconds; `unauthorized`: the token was refused; `token`: the callback gave none; `ticket`: 401
    from a stream; `refused`: our server refuses for good; `malformed`: an answer that breaks the
    contract; `consumer`: what `GiveUp` brought.
    """

    kind: FailureKind
    detail: str
    retry_after: float | None = None
    cause: Exception | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Begin."""


@dataclass(frozen=True, slots=True)
class SyncDone:
    """The sync of this generation was answered."""

    generation: int
    response: SyncResponse


@dataclass(frozen=True, slots=True)
class SyncFailed:
    """The sync of this generation failed."""

    generation: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class StreamHello:
    """The stream of this generation said hello."""

    generation: int
    epoch: str
    watermark: datetime


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """The stream of this generation brought an event."""

    generation: int
    event: OrderEvent


@dataclass(frozen=True, slots=True)
class StreamDocument:
    """The stream of this generation brought an event of a document."""

    generation: int
    event: DocumentEvent


@dataclass(frozen=True, slots=True)
class StreamHeartbeat:
    """The stream of this generation proved its silence up to the watermark."""

    generation: int
    watermark: datetime


@dataclass(frozen=True, slots=True)
class StreamSyncRequired:
    """The server of this generation's stream cannot prove that it covers the cursor."""

    generation: int
    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class StreamBye:
    """The stream of this generation ends as planned."""

    generation: int
    reason: str
    reconnect_after_ms: int


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The stream of this generation is over without a bye, or could not be had."""

    generation: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline that the machine asked for has come."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The consumer is done with this many changes."""

    count: int


@dataclass(frozen=True, slots=True)
class Diverged:
    """What the channel holds here does not match Core's digest at the same head."""

    channel: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The shell cannot go on: the handler failed for good, or something that nobody foresaw."""

    cause: Exception


@dataclass(frozen=True, slots=True)
class Close:
    """The consumer wants no more."""


Input = (
    Start
    | SyncDone
    | SyncFailed
    | StreamHello
    | StreamEvent
    | StreamDocument
    | StreamHeartbeat
    | StreamSyncRequired
    | StreamBye
    | StreamEnded
    | Tick
    | Acknowledged
    | Diverged
    | GiveUp
    | Close
)


@dataclass(frozen=True, slots=True)
class StartSync:
    """Call Fetch Sync; answer with SyncDone or SyncFailed of this generation."""

    generation: int
    after: Mapping[str, int | None]
    epoch: str | None
    wait_s: float
    new_token: bool = False
    """The token was refused: get another one first; failing that is a failure of kind `token`."""


@dataclass(frozen=True, slots=True)
class CancelSync:
    """The sync of this generation is not wanted any more."""

    generation: int


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect; answer with the Stream inputs of this generation."""

    generation: int
    url: str
    ticket: str
    cursor: Mapping[str, int]
    """Where to go on from: it is what the ticket is bound to."""
    via: Via = "sse"


@dataclass(frozen=True, slots=True)
class CloseStream:
    """The stream of this generation is not wanted any more."""

    generation: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand this change to the consumer, after all before it; `epoch` belongs to its cursor."""

    change: Change
    epoch: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Show these orders in the book, after all deliveries before; the consumer is told nothing."""

    snapshot: Reset


@dataclass(frozen=True, slots=True)
class CheckDigest:
    """After all deliveries before: the book's digests must be these; else answer with Diverged.

    It comes once per position and digests, so there are never more of them than deliveries (and
    channels), however long a consumer is busy.
    """

    channel: str
    digest: str
    content_digest: str | None = None
    """None: Core does not know it now."""


@dataclass(frozen=True, slots=True)
class DeliverDocument:
    """Show this change of documents; no consumer acknowledges it, so it exerts no pressure."""

    change: DocumentChange
    epoch: str


@dataclass(frozen=True, slots=True)
class CheckDocuments:
    """The documents of the channel must have this digest now; else answer with Diverged."""

    channel: str
    content_digest: str


@dataclass(frozen=True, slots=True)
class Finished:
    """It is over; `cause` is None after a Close."""

    cause: Failure | Exception | None


Command = (
    StartSync
    | CancelSync
    | OpenStream
    | CloseStream
    | Deliver
    | Fill
    | CheckDigest
    | DeliverDocument
    | CheckDocuments
    | Finished
)
