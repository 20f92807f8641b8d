"""The values of a buffered start: its states, settings, result and commands. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from client_sdk.contract.json_decoding import reader
from client_sdk.contract.order import OrderEvent
from client_sdk.machine.sequencing import Change


class PushedEvent(OrderEvent, frozen=True):
    """An event from a transport that sends the log's epoch with each event."""

    epoch: str


_pushed_decoder: Final = reader(PushedEvent)


def decode_pushed_event(data: bytes) -> PushedEvent:
    """Read such an event from its JSON.

    Raises:
        msgspec.DecodeError: not JSON, or (as its subclass ValidationError) not an event.
    """
    event = _pushed_decoder(data)
    event.data.__dict__["_event"] = data
    return event


class StartState(Enum):
    """The states of a buffered start."""

    IDLE = "idle"
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    BUFFERING = "buffering"
    FETCHING = "fetching"
    OVERLAP_WAIT = "overlap_wait"
    MERGING = "merging"
    READY = "ready"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class BufferedSettings:
    """The settings of a buffered start; times in seconds."""

    overlap_window: float = 1.5
    """How long after a sync the buffered events are merged, so that those on their way are there.
    """
    buffer_size: int = 1000
    """How many pushed events are buffered during a sync; beyond it the oldest is dropped, and the
    next sync brings it."""
    buffer_lifetime: float = 30.0
    """An event that was buffered for longer is dropped in the same way."""
    fetch_timeout: float = 10.0
    """A sync without an answer by then has failed, and with it the start."""
    subscribe_timeout: float = 5.0
    """How long connecting may take, and how long subscribing."""
    max_pending: int = 1000
    """With so many unhandled changes no more are taken; one answer and the buffer may exceed it."""


@dataclass(frozen=True, slots=True)
class StartResult:
    """The result of a start; `total_time` in seconds."""

    success: bool
    state: StartState
    """`READY` or `ERROR`."""
    orders_loaded: int
    """The orders and events from Fetch Sync."""
    buffered_processed: int
    """The events from the buffer."""
    duplicates_removed: int
    """The pushed events that were known already."""
    total_time: float
    error: str | None
    """Why it failed; None: it succeeded."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect the transport; answer with `connected` or `failed`."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe to these channels; answer with `subscribed` or `failed`."""

    channels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Fetch:
    """Call Fetch Sync; answer with `fetched` or `failed`."""

    after: Mapping[str, int | None]
    epoch: str | None


@dataclass(frozen=True, slots=True)
class Hand:
    """Hand this change to the consumer."""

    change: Change
    epoch: str | None = field(default=None, compare=False)
    """The epoch of its seq."""


@dataclass(frozen=True, slots=True)
class Warn:
    """A warning for a person."""

    text: str


@dataclass(frozen=True, slots=True)
class StartDone:
    """READY or ERROR is reached."""

    result: StartResult


StartCommand = Connect | Subscribe | Fetch | Hand | Warn | StartDone
