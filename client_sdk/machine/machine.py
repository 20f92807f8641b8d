"""The client's state machine, sans-I/O: inputs in, commands out. Pure; time is passed in.

    IDLE ──▶ SYNCING ──▶ CONNECTING ──▶ LIVE
               ▲  ▲          │           │ bye, gap, sync-required, end
               │  └──────────┴───────────┘
               │ n failures, bye degraded, 503, watermark stands still
               ▼
            POLLING   syncs on and on; a stream is tried beside it, and only when it has said hello
                      and a sync begun after that is done does the machine go LIVE
    any ──▶ CLOSED (Close) · FAILED (no permission, or the consumer's own error)

`inputs_by_state.py` is the table of what counts in which state, `sync_connect_or_poll.py` says what
each input leads to, `actions.py` what can be done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import assert_never

from client_sdk.machine import sync_connect_or_poll as rules
from client_sdk.machine.actions import Actions
from client_sdk.machine.freshness import Freshness
from client_sdk.machine.inputs_by_state import COUNTS
from client_sdk.machine.messages import (
    Acknowledged,
    Close,
    Command,
    Diverged,
    Failure,
    GiveUp,
    Input,
    Start,
    State,
    StreamBye,
    StreamDocument,
    StreamEnded,
    StreamEvent,
    StreamHeartbeat,
    StreamHello,
    StreamSyncRequired,
    SyncDone,
    SyncFailed,
    Tick,
)
from client_sdk.machine.sequencing import Positions
from client_sdk.machine.sse_or_websocket import Via
from client_sdk.machine.sync_state import Counters
from client_sdk.machine.tracks import NEVER
from client_sdk.settings import Settings


class Machine:
    """The machine of one client.

    Args:
        positions: the channels, each with the seq it goes on from, or None to start anew.
        epoch: the epoch of those seqs.
        settings: its numbers.
        uniform: a random number evenly between two.
    """

    def __init__(
        self,
        positions: Mapping[str, int | None],
        epoch: str | None,
        settings: Settings,
        uniform: Callable[[float, float], float],
    ) -> None:
        self._client = Actions(positions, epoch, settings, uniform)

    def handle(self, signal: Input, now: float) -> list[Command]:
        """Take one input.

        Args:
            signal: what has happened.
            now: seconds; a clock that goes back stands still.

        Returns:
            What to do, in this order.
        """
        client = self._client
        now = client.begin(now)
        if client.state in COUNTS[type(signal)]:
            _apply(client, signal, now)
        return client.out

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._client.state

    @property
    def positions(self) -> Positions:
        """What has been taken in."""
        return self._client.positions

    @property
    def epoch(self) -> str | None:
        """The epoch of the positions."""
        return self._client.epoch

    @property
    def counters(self) -> Counters:
        """What happened so far."""
        return self._client.counters

    @property
    def freshness(self) -> Freshness:
        """Up to when Core's log is known here."""
        return self._client.freshness

    @property
    def watermark(self) -> datetime | None:
        """All that Core committed before it has been received, while live."""
        return self._client.watermark

    @property
    def last_failure(self) -> Failure | None:
        """The last thing that did not work."""
        return self._client.last_failure

    @property
    def pending(self) -> int:
        """Changes that were delivered and are not acknowledged."""
        return self._client.pressure.pending

    @property
    def diverged(self) -> int:
        """Channels that begin anew because what they hold had another digest."""
        return self._client.sync_state.diverged

    @property
    def paused(self) -> bool:
        """Whether it waits for the consumer, and for nothing else."""
        return self._client.pressure.paused

    @property
    def failing(self) -> bool:
        """Whether the last sync failed: the client cannot know what it misses."""
        return self._client.failing

    @property
    def via(self) -> Via:
        """What carried the last stream that said hello."""
        return self._client.carried_by

    @property
    def deadline(self) -> float:
        """When the machine wants a Tick, in seconds; infinity: not at all."""
        client = self._client
        if client.state in (State.CLOSED, State.FAILED):
            return NEVER
        return min(client.sync.due_at, client.sync.deadline, client.stream.deadline)


def _apply(client: Actions, signal: Input, now: float) -> None:
    # The most frequent first.
    match signal:
        case StreamEvent() | StreamDocument():
            rules.event(client, signal, now)
        case Acknowledged():
            rules.acknowledged(client, signal, now)
        case StreamHeartbeat():
            rules.heartbeat(client, signal, now)
        case Tick():
            rules.tick(client, signal, now)
        case SyncDone():
            rules.sync_done(client, signal, now)
        case SyncFailed():
            rules.sync_failed(client, signal, now)
        case StreamHello():
            rules.hello(client, signal, now)
        case StreamSyncRequired():
            rules.sync_required(client, signal, now)
        case StreamBye():
            rules.bye(client, signal, now)
        case StreamEnded():
            rules.ended(client, signal, now)
        case Diverged():
            rules.diverge(client, signal, now)
        case Start():
            rules.start(client, signal, now)
        case GiveUp():
            rules.give_up(client, signal, now)
        case Close():
            rules.close(client, signal, now)
        case _:
            assert_never(signal)
