"""What the machine can do: start and end syncs and streams, pause, poll, end. Pure.

`sync_connect_or_poll.py` decides when, and when a client falls back to polling. While it polls, it
tries a stream in the background from `probe_at` on (`Actions.polled`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from client_sdk.contract.sync import SyncResponse
from client_sdk.machine.backoff import Backoff, Restarts
from client_sdk.machine.freshness import Freshness
from client_sdk.machine.healing_backoff import HealingBackoff
from client_sdk.machine.messages import (
    CancelSync,
    CheckDigest,
    CheckDocuments,
    CloseStream,
    Command,
    Deliver,
    Failure,
    Finished,
    OpenStream,
    StartSync,
    State,
)
from client_sdk.machine.sequencing import Positions
from client_sdk.machine.sse_or_websocket import TransportChoice, Via
from client_sdk.machine.sync_state import Counters, SyncState, TakenAnswer
from client_sdk.machine.tracks import NEVER, Pressure, StreamTrack, SyncTrack
from client_sdk.settings import Settings

LONG_POLL_GAP_S: Final = 0.2
"""After a long poll that brought something the next one waits for a random part of this."""
LONG_FAULT: Final = 3
"""After so many failed syncs in a row, the next good one also resets the stream's back-off."""


class Actions:
    """The state of one client, and what can be done with it.

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
        self.state = State.IDLE
        self.last_failure: Failure | None = None
        self.freshness = Freshness()
        self.watermark: datetime | None = None
        self.settings = settings
        self.uniform = uniform
        self.sync_state = SyncState(positions, epoch)
        self.sync = SyncTrack()
        self.stream = StreamTrack()
        self.choice = TransportChoice()
        self.carried_by: Via = "sse"
        self.pressure = Pressure(settings.max_pending)
        self.restarts = Restarts(settings.healthy_after)
        self.now = float("-inf")
        self.probe_at = 0.0
        self.kept_away_until = 0.0
        self.lost_at = float("-inf")
        self.poll_after_s = 1.0
        self.needs_token = False
        self.stream_backoff = Backoff(settings, uniform)
        self.sync_backoff = Backoff(settings, uniform)
        self.healing = HealingBackoff(settings, uniform)
        self.out: list[Command] = []

    @property
    def positions(self) -> Positions:
        """What has been taken in."""
        return self.sync_state.positions

    @property
    def epoch(self) -> str | None:
        """The epoch of the positions."""
        return self.sync_state.epoch

    @property
    def counters(self) -> Counters:
        """What happened so far."""
        return self.sync_state.counters

    @property
    def failing(self) -> bool:
        """Whether the last sync failed: the client cannot know what it misses."""
        return self.sync_backoff.failures > 0

    def begin(self, now: float) -> float:
        """Start with the next input. Returns its time, which never goes back."""
        self.now = max(now, self.now)
        self.out = []
        return self.now

    # ── syncs ────────────────────────────────────────────────────────────────

    def go_sync(self, now: float, after_s: float) -> None:
        """Sync after a while; POLLING stays POLLING, any other state becomes SYNCING."""
        if self.state is not State.POLLING:
            self.state = State.SYNCING
        if after_s > 0.0:
            self.sync.due_at = now + after_s
        else:
            self.sync_now(now)

    def sync_now(self, now: float) -> None:
        """Sync now, unless the consumer is behind or a sync is under way."""
        self.sync.due_at = NEVER
        if self.pressure.full:
            self.pause()
        elif not (self.sync.active or self.pressure.paused):
            self.start_sync(now)

    def start_sync(self, now: float) -> None:
        """Ask Core."""
        question = self.sync_state.question()
        self.sync.fills = question.fills
        self.sync.new_token = self.needs_token
        self.sync.wait_s = 0.0 if question.fills else self.wait(now)
        self.sync.begin(now, self.settings.sync_timeout + self.sync.wait_s)
        self.out.append(
            StartSync(
                self.sync.generation,
                question.after,
                question.epoch,
                self.sync.wait_s,
                self.needs_token,
            )
        )

    def wait(self, now: float) -> float:
        """How long Core may hold the answer: never while something else waits for it."""
        if self.state is not State.POLLING or self.stream.open or self.failing:
            return 0.0
        # The next try of the stream needs a ticket, so an answer, by then.
        return min(self.settings.long_poll, max(0.0, self.probe_at - now))

    def cancel_sync(self) -> None:
        """End the sync under way, if there is one; its answer does not count."""
        if self.sync.active:
            self.out.append(CancelSync(self.sync.generation))
            self.sync.end()

    def sync_has_failed(self, failure: Failure, now: float) -> None:
        """Try again with back-off; replace a refused token once; end if refused for good."""
        self.counters.sync_failures += 1
        self.last_failure = failure
        fresh, unauthorized = self.sync.new_token, failure.kind == "unauthorized"
        if fresh and failure.kind not in ("token", "unreachable"):
            self.needs_token = False
        if failure.kind == "refused" or (unauthorized and fresh):
            self.end(State.FAILED, failure)
        elif unauthorized:
            self.needs_token = True
            self.go_sync(now, 0.0)
        else:
            delay = self.sync_backoff.failed(now)
            self.go_sync(now, max(delay, failure.retry_after or 0.0))

    def polled(self, response: SyncResponse, news: bool, now: float) -> None:
        """After a poll: go LIVE if the stream has proven itself, else poll on and perhaps try one.

        Args:
            response: Core's answer; its ticket is used for the stream.
            news: whether the answer had anything that was not known.
            now: monotonic seconds.
        """
        hello_at = self.stream.hello_at
        if hello_at is not None and self.sync.began_at >= hello_at:
            self.go_live(now)
            return
        # A long poll that was answered early and brought nothing was not held: do not spin.
        held = now - self.sync.began_at >= self.sync.wait_s / 2
        if self.sync.wait_s > 0.0 and (news or held):
            self.sync.due_at = now + self.uniform(0.0, LONG_POLL_GAP_S)
        else:
            jitter = self.settings.poll_jitter
            self.sync.due_at = now + self.poll_after_s * self.uniform(1 - jitter, 1 + jitter)
        if now >= self.probe_at and not (self.stream.open or self.pressure.full):
            self.open_stream(response, now)

    # ── streams ──────────────────────────────────────────────────────────────

    def open_stream(self, response: SyncResponse, now: float) -> None:
        """Open a stream with the ticket of this answer, if it has one."""
        if response.stream is None:
            return
        via = self.choice.via
        self.stream.begin(now, self.settings.connect_timeout, via)
        grant = response.stream
        self.out.append(
            OpenStream(self.stream.generation, grant.url, grant.ticket, self.positions.known, via)
        )

    def judge_transport(self, now: float) -> None:
        """The stream ends by itself: what that says about what carries it."""
        if self.stream.hello_at is None:
            self.choice.could_not_be_had()
        elif self.stream.was_too_short(now, self.settings.short_stream):
            self.choice.ended_at_once()
        else:
            self.choice.lasted()

    def drop_stream(self) -> None:
        """End the stream, if there is one."""
        if self.stream.open:
            self.out.append(CloseStream(self.stream.generation))
            self.stream.end()

    def go_live(self, now: float) -> None:
        """The stream has proven itself."""
        self.state = State.LIVE
        self.sync.due_at = NEVER
        self.stream_backoff.well(now)

    def go_poll(self, now: float, probe_after_s: float) -> None:
        """Poll from now on; the stream is tried again after a while."""
        self.probe_at = now + probe_after_s
        if self.state is not State.POLLING:
            self.state = State.POLLING
            self.sync_now(now)
        elif not self.sync.active and self.sync.due_at == NEVER:
            self.sync.due_at = now + self.poll_after_s

    def try_stream_now(self, now: float) -> None:
        """Try the stream with this answer's ticket, unless its server asked for more time."""
        self.probe_at = max(min(self.probe_at, now), self.kept_away_until)

    # ── the rest ─────────────────────────────────────────────────────────────

    def put_out(self, taken: TakenAnswer) -> None:
        """Hand out what an answer brought."""
        if taken.epoch_changed:
            self.drop_stream()
            self.freshness.forget()
        for command in taken.commands:
            if isinstance(command, Deliver):
                self.deliver(command)
            else:
                if isinstance(command, CheckDigest | CheckDocuments):
                    self.healing.checked(command.channel)
                self.out.append(command)

    def deliver(self, delivery: Deliver) -> None:
        """Hand a change to the consumer."""
        self.pressure.pending += 1
        self.out.append(delivery)

    def pause(self) -> None:
        """The consumer does not keep up: no stream and no sync until it has caught up."""
        self.pressure.paused = True
        self.sync.due_at = NEVER
        if self.state is not State.POLLING:
            self.state = State.SYNCING

    def end(self, state: State, cause: Failure | Exception | None) -> None:
        """End everything."""
        self.drop_stream()
        self.cancel_sync()
        self.state = state
        self.out.append(Finished(cause))
