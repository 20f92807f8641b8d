"""The values of a buffered start: its states, settings, result and commands. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from client_sdk.machine.sequencing import Change


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
    """Its numbers; times in seconds."""

    overlap_window: float = 1.5
    buffer_size: int = 1000
    buffer_lifetime: float = 30.0
    fetch_timeout: float = 10.0
    subscribe_timeout: float = 5.0
    max_pending: int = 1000
    """With so many changes not handled nothing more is taken in; one answer and the
    buffer may come on top."""


@dataclass(frozen=True, slots=True)
class StartResult:
    """How a start went; `total_time` in seconds."""

    success: bool
    state: StartState
    orders_loaded: int
    buffered_processed: int
    duplicates_removed: int
    total_time: float
    error: str | None


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


@dataclass(frozen=True, slots=True)
class Warn:
    """A warning for a person."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """READY or ERROR is reached."""

    result: StartResult


StartCommand = Connect | Subscribe | Fetch | Hand | Warn | Done
