"""The stream's own events: hello, heartbeat, sync-required and bye, as JSON in an SSE `data:`.

Order events travel as `OrderEvent` JSON under their own type (`order.placed` …) and id.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from client_sdk.contract.json_decoding import reader
from client_sdk.contract.sync import Epoch, Milliseconds

HELLO: Final = "hello"
HEARTBEAT: Final = "heartbeat"
SYNC_REQUIRED: Final = "sync-required"
BYE: Final = "bye"

ByeReason = Literal["timeout", "drain", "degraded", "slow", "expired"]
SyncRequiredReason = Literal["gap", "ring", "restart"]
"""The reasons that this version knows; a newer server may send others."""


class Hello(Struct, frozen=True):
    """The stream's first event."""

    server: str
    epoch: Epoch
    watermark: str
    """RFC 3339, UTC: this server has received everything that Core committed before."""
    ends_in_ms: int
    replayed: int
    """How many events from the ring follow before the live ones."""


class Heartbeat(Struct, frozen=True):
    """Everything that was committed before the watermark has been sent on this stream."""

    watermark: str


class SyncRequired(Struct, frozen=True):
    """The server cannot prove that it covers the client's cursor; the stream ends after it.

    `gap`: a record is missing in the pipeline; `ring`: the cursor is older than the ring or the
    ticket older than the replay window; `restart`: there is a new log (another epoch).
    """

    channel: str
    reason: str


class Bye(Struct, frozen=True):
    """The stream's planned end: sync, then connect again after `reconnect_after_ms`."""

    reason: str
    reconnect_after_ms: Milliseconds


decode_hello: Final = reader(Hello)
decode_heartbeat: Final = reader(Heartbeat)
decode_sync_required: Final = reader(SyncRequired)
decode_bye: Final = reader(Bye)
