"""The client's state machine, sans-I/O: inputs in, commands out; time and randomness are passed in.

    IDLE ──▶ SYNCING ──▶ CONNECTING ──▶ LIVE
               ▲  ▲          │           │ bye, gap, sync-required, end
               │  └──────────┴───────────┘
               │ n failures, bye degraded, 503, watermark stands still
               ▼
            POLLING   syncs on and on; a stream is tried beside it, and only when it has said hello
                      and a sync begun after that is done does the machine go LIVE
    any ──▶ CLOSED (Close) · FAILED (no permission, or the consumer's own error)

`table.py` says for each state and input which rule answers; it is total.
Syncs and streams carry a generation: what comes from an older one is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from client_sdk.contract.sync import SyncResponse
from client_sdk.merge import Positions, Reset, Verdict, changes_of
from client_sdk.pacing import Backoff
from client_sdk.signals import (
    Acknowledged,
    CancelSync,
    CheckDigest,
    Close,
    CloseStream,
    Command,
    Deliver,
    Diverged,
    Failure,
    Fill,
    Finished,
    GiveUp,
    Input,
    OpenStream,
    RefreshToken,
    Settings,
    Start,
    StartSync,
    State,
    StreamBye,
    StreamEnded,
    StreamEvent,
    StreamHeartbeat,
    StreamHello,
    StreamSyncRequired,
    SyncDone,
    SyncFailed,
    Tick,
    TokenRefreshed,
)
from client_sdk.table import IGNORE, TABLE

_NEVER: Final = float("inf")
_OVER: Final = frozenset({State.CLOSED, State.FAILED})


class Counters:
    """What happened, for status and metrics."""

    def __init__(self) -> None:
        self.duplicates = 0
        self.gaps = 0
        self.resets = 0
        self.divergences = 0
        self.stream_failures = 0
        self.sync_failures = 0


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
        self.state = State.IDLE
        self.positions = Positions(positions)
        self.epoch = epoch
        self.counters = Counters()
        self.last_failure: Failure | None = None
        self.certain_at: float | None = None
        """When it was last certain to know everything: a sync at the head, or a heartbeat."""
        self.watermark: datetime | None = None
        self._settings = settings
        self._uniform = uniform
        self._sync_generation = 0
        self._stream_generation = 0
        self._syncing = False
        self._stream_open = False
        self._filling = False
        # A client that goes on from a stored cursor has no orders to show yet.
        self._to_fill = {c for c, seq in positions.items() if seq is not None}
        self._diverged: set[str] = set()
        self._pending = 0
        self._paused = False
        self._awaiting_token = False
        self._token_tries = 0
        self._hello_at: float | None = None
        self._sync_began_at = 0.0
        self._stream_began_at = 0.0
        self._stream_events = 0
        self._sync_at = _NEVER
        self._sync_deadline = _NEVER
        self._stream_deadline = _NEVER
        self._probe_at = 0.0
        self._poll_after_s = 1.0
        self._stream_backoff = Backoff(settings, uniform)
        self._sync_backoff = Backoff(settings, uniform)
        self._divergence_backoff = Backoff(settings, uniform)
        self._out: list[Command] = []

    @property
    def deadline(self) -> float:
        """When the machine wants a Tick; infinity: not at all."""
        if self.state in _OVER:
            return _NEVER
        return min(self._sync_at, self._sync_deadline, self._stream_deadline)

    @property
    def failing(self) -> bool:
        """Whether the last sync failed: the client cannot know what it misses."""
        return self._sync_backoff.failures > 0

    def handle(self, signal: Input, now: float) -> list[Command]:
        """Take one input at `now` (seconds that only go forward); what is to be done."""
        self._out = []
        rule = TABLE[self.state, type(signal)]
        if rule is not IGNORE:
            getattr(self, f"_{rule}")(signal, now)
        return self._out

    # ── rules ────────────────────────────────────────────────────────────────

    def _start(self, signal: Start, now: float) -> None:
        """IDLE → SYNCING: always sync before anything else."""
        self._go_sync(now)

    def _sync_done(self, signal: SyncDone, now: float) -> None:
        """Take the answer in; then connect, poll on, or ask for more."""
        if not self._is_current_sync(signal.generation):
            return
        self._end_sync()
        began_at, filling, self._filling = self._sync_began_at, self._filling, False
        if filling:
            self._take_fill(signal.response)
            self._sync_or_pause(now)
            return
        if not self._take(signal.response):
            self._sync_has_failed(Failure("malformed", "the answer leaves a gap"), now)
            return
        self._sync_backoff.forget()
        self._token_tries = 0
        self._poll_after_s = signal.response.poll_after_ms / 1000
        if signal.response.has_more or self._diverged:
            self._sync_or_pause(now)
            return
        self.certain_at = now
        if self.state is State.POLLING:
            self._polled(signal.response, began_at, now)
        elif self.state is State.SYNCING:
            self._connect(signal.response, now)

    def _sync_failed(self, signal: SyncFailed, now: float) -> None:
        """Try again later; a refused token is refreshed once, a refusal for good ends it."""
        if not self._is_current_sync(signal.generation):
            return
        self._end_sync()
        self._filling = False
        self._sync_has_failed(signal.failure, now)

    def _hello(self, signal: StreamHello, now: float) -> None:
        """CONNECTING → LIVE; beside POLLING the stream must still prove itself by a sync."""
        if not self._is_current_stream(signal.generation) or self._hello_at is not None:
            return
        if signal.epoch != self.epoch:
            self._drop_stream()
            failure = Failure("malformed", "the stream is of another epoch than the last sync")
            self._stream_has_failed(failure, now)
            return
        self._hello_at = now
        self._stream_deadline = now + self._settings.watermark_timeout
        self.watermark = signal.watermark
        if self.state is State.CONNECTING:
            self._enter(State.LIVE)
        else:
            # What was begun before the hello proves nothing; a waiting poll would hold us up.
            self._cancel_sync()
            self._sync_or_pause(now)

    def _event(self, signal: StreamEvent, now: float) -> None:
        """n+1 on top of n; a duplicate is dropped; a gap leads to a sync."""
        if not self._is_current_stream(signal.generation) or self._hello_at is None:
            return
        self._stream_events += 1
        match self.positions.take(signal.event):
            case Verdict.APPLY:
                self._deliver(Deliver(signal.event, self.epoch or ""))
                if self._pending >= self._settings.max_pending:
                    self._drop_stream()
                    self._pause()
            case Verdict.DUPLICATE:
                self.counters.duplicates += 1
            case Verdict.GAP:
                self.counters.gaps += 1
                self._drop_stream()
                self._sync_again(Failure("malformed", "the stream left a gap"), now)

    def _heartbeat(self, signal: StreamHeartbeat, now: float) -> None:
        """A watermark that moves proves the stream; one that stands still does not."""
        if not self._is_current_stream(signal.generation) or self._hello_at is None:
            return
        if self.watermark is None or signal.watermark > self.watermark:
            self.watermark = signal.watermark
            self._stream_deadline = now + self._settings.watermark_timeout
            if self.state is State.LIVE:
                self.certain_at = now

    def _sync_required(self, signal: StreamSyncRequired, now: float) -> None:
        """Sync, then connect."""
        if self._is_current_stream(signal.generation):
            self._drop_stream()
            failure = Failure("unreachable", f"the server says sync-required: {signal.reason}")
            self._sync_again(failure, now)

    def _bye(self, signal: StreamBye, now: float) -> None:
        """The planned end: sync and connect again, spread by the server's word."""
        if not self._is_current_stream(signal.generation):
            return
        too_short = self._was_too_short(now)
        self._drop_stream()
        if signal.reason == "degraded":
            self._go_poll(now, signal.reconnect_after_ms / 1000)
        elif too_short:
            failure = Failure("unreachable", f"the stream ended at once: bye {signal.reason}")
            self._stream_has_failed(failure, now)
        else:
            self._go_sync(now + signal.reconnect_after_ms / 1000)

    def _ended(self, signal: StreamEnded, now: float) -> None:
        """The stream broke or could not be had."""
        if self._is_current_stream(signal.generation):
            self._stream_open = False
            self._drop_stream()
            self._stream_has_failed(signal.failure, now)

    def _tick(self, signal: Tick, now: float) -> None:
        """A deadline came: a sync is due or overdue, or the stream is silent."""
        if now >= self._sync_deadline:
            generation = self._sync_generation
            self._out.append(CancelSync(generation))
            self._sync_failed(
                SyncFailed(generation, Failure("unreachable", "the sync was not answered")), now
            )
        if now >= self._stream_deadline and self.state not in _OVER:
            said_hello = self._hello_at is not None
            self._drop_stream()
            if said_hello:
                self._note(Failure("unreachable", "the watermark stands still"))
                self.counters.stream_failures += 1
                self._go_poll(now, self._stream_backoff.failed(now))
            else:
                failure = Failure("unreachable", "the stream did not say hello in time")
                self._stream_has_failed(failure, now)
        if now >= self._sync_at and self.state not in _OVER:
            self._sync_or_pause(now)

    def _acknowledged(self, signal: Acknowledged, now: float) -> None:
        """The consumer caught up; once half is done, a paused client syncs again."""
        self._pending -= signal.count
        if self._paused and self._pending <= self._settings.max_pending // 2:
            self._paused = False
            self._sync_or_pause(now)

    def _diverge(self, signal: Diverged, now: float) -> None:
        """The book is wrong: take a snapshot of the channel; with back-off if it stays wrong."""
        if signal.channel in self._diverged:
            return
        self.counters.divergences += 1
        self._diverged.add(signal.channel)
        self.positions.move(signal.channel, None)
        self._drop_stream()
        self._cancel_sync()
        delay = self._divergence_backoff.failed(now)
        self._go_sync(now + (delay if self._divergence_backoff.failures > 1 else 0.0))

    def _token_refreshed(self, signal: TokenRefreshed, now: float) -> None:
        """Go on with the new token."""
        if self._awaiting_token:
            self._awaiting_token = False
            self._sync_or_pause(now)

    def _give_up(self, signal: GiveUp, now: float) -> None:
        """any → FAILED."""
        self._fail(signal.cause)

    def _close(self, signal: Close, now: float) -> None:
        """any → CLOSED."""
        self._drop_stream()
        self._cancel_sync()
        self._enter(State.CLOSED)
        self._out.append(Finished(None))

    # ── syncs ────────────────────────────────────────────────────────────────

    def _go_sync(self, at: float) -> None:
        """Sync at `at`; the polling state goes on polling, every other state becomes SYNCING."""
        if self.state is not State.POLLING:
            self._enter(State.SYNCING)
        self._sync_at = at

    def _sync_or_pause(self, now: float) -> None:
        self._sync_at = _NEVER
        if self._pending >= self._settings.max_pending:
            self._pause()
        elif not (self._syncing or self._awaiting_token or self._paused):
            self._start_sync(now)

    def _start_sync(self, now: float) -> None:
        self._sync_generation += 1
        self._syncing = True
        self._sync_began_at = now
        after = self.positions.all
        wait_s = 0.0
        if self._to_fill:
            self._filling = True
            after = dict.fromkeys(self._to_fill)
        elif self.state is State.POLLING and self._hello_at is None and not self.failing:
            wait_s = self._settings.long_poll
        self._sync_deadline = now + self._settings.sync_timeout + wait_s
        epoch = None if self._filling else self.epoch
        self._out.append(StartSync(self._sync_generation, after, epoch, wait_s))

    def _end_sync(self) -> None:
        self._syncing = False
        self._sync_deadline = _NEVER

    def _cancel_sync(self) -> None:
        if self._syncing:
            self._out.append(CancelSync(self._sync_generation))
            self._end_sync()
            self._filling = False

    def _is_current_sync(self, generation: int) -> bool:
        return self._syncing and generation == self._sync_generation

    def _take(self, response: SyncResponse) -> bool:
        """Take an answer in; whether it is sound."""
        self.epoch = response.epoch
        sound = True
        for answer in response.channels:
            if answer.channel not in self.positions:
                continue
            changes, whole = changes_of(self.positions, answer)
            sound = sound and whole
            for change in changes:
                if isinstance(change, Reset):
                    self.counters.resets += 1
                    if answer.channel in self._diverged:
                        self._diverged.discard(answer.channel)
                        change = Reset(change.channel, "digest", change.head, change.orders)
                self._deliver(Deliver(change, response.epoch))
            if whole and self.positions[answer.channel] == answer.head:
                self._out.append(CheckDigest(answer.channel, answer.digest))
        return sound

    def _take_fill(self, response: SyncResponse) -> None:
        self._to_fill.clear()
        for answer in response.channels:
            if answer.snapshot is not None and response.epoch == self.epoch:
                orders = tuple(answer.snapshot.orders)
                filled = Reset(answer.channel, "first_sync", answer.snapshot.head, orders)
                self._out.append(Fill(filled))

    def _sync_has_failed(self, failure: Failure, now: float) -> None:
        self.counters.sync_failures += 1
        self._note(failure)
        if failure.kind == "refused":
            self._fail(failure)
        elif failure.kind == "unauthorized":
            self._token_tries += 1
            if self._token_tries > 1:
                self._fail(failure)
            else:
                self._awaiting_token = True
                self._out.append(RefreshToken())
        else:
            delay = self._sync_backoff.failed(now)
            self._go_sync(now + max(delay, failure.retry_after or 0.0))

    def _polled(self, response: SyncResponse, began_at: float, now: float) -> None:
        """A poll is done: go LIVE if the stream has proven itself, else poll on and perhaps try."""
        if self._hello_at is not None and began_at >= self._hello_at:
            self._enter(State.LIVE)
            return
        jitter = self._settings.poll_jitter
        delay = self._poll_after_s * self._uniform(1 - jitter, 1 + jitter)
        self._sync_at = now + (0.0 if self._settings.long_poll else delay)
        if self._settings.long_poll and began_at == now:
            self._sync_at = now + delay  # an answer that took no time must not spin
        if now >= self._probe_at and not self._stream_open:
            self._open_stream(response, now)

    # ── streams ──────────────────────────────────────────────────────────────

    def _connect(self, response: SyncResponse, now: float) -> None:
        if response.stream is None:
            self._go_poll(now, self._stream_backoff.failed(now))
            return
        self._enter(State.CONNECTING)
        self._open_stream(response, now)

    def _open_stream(self, response: SyncResponse, now: float) -> None:
        if response.stream is None:
            return
        self._stream_generation += 1
        self._stream_open = True
        self._hello_at = None
        self._stream_began_at = now
        self._stream_events = 0
        self._stream_deadline = now + self._settings.connect_timeout
        grant = response.stream
        self._out.append(
            OpenStream(self._stream_generation, grant.url, grant.ticket, self.positions.known)
        )

    def _drop_stream(self) -> None:
        if self._stream_open:
            self._out.append(CloseStream(self._stream_generation))
        self._stream_open = False
        self._hello_at = None
        self._stream_deadline = _NEVER

    def _is_current_stream(self, generation: int) -> bool:
        return self._stream_open and generation == self._stream_generation

    def _was_too_short(self, now: float) -> bool:
        lasted = now - self._stream_began_at
        return lasted < self._settings.short_stream and self._stream_events == 0

    def _stream_has_failed(self, failure: Failure, now: float) -> None:
        self.counters.stream_failures += 1
        self._note(failure)
        delay = max(self._stream_backoff.failed(now), failure.retry_after or 0.0)
        enough = self._stream_backoff.failures >= self._settings.stream_failures
        if self.state is State.POLLING or failure.kind == "busy" or enough:
            self._go_poll(now, delay)
        else:
            self._go_sync(now + delay)

    def _sync_again(self, failure: Failure, now: float) -> None:
        """Only a sync helps: at once the first time, with back-off when it keeps happening."""
        self._stream_has_failed(failure, now)
        if self._stream_backoff.failures == 1:
            self._go_sync(now)

    def _go_poll(self, now: float, probe_after_s: float) -> None:
        """Poll from now on; the stream is tried again after a while."""
        was_polling = self.state is State.POLLING
        self._probe_at = now + probe_after_s
        self._enter(State.POLLING)
        if not was_polling:
            self._sync_or_pause(now)
        elif not self._syncing and self._sync_at == _NEVER:
            self._sync_at = now + self._poll_after_s

    # ── the rest ─────────────────────────────────────────────────────────────

    def _deliver(self, delivery: Deliver) -> None:
        self._pending += 1
        self._out.append(delivery)

    def _pause(self) -> None:
        """The consumer does not keep up: no stream and no sync until it has caught up."""
        self._paused = True
        self._sync_at = _NEVER
        if self.state in (State.CONNECTING, State.LIVE):
            self._enter(State.SYNCING)

    def _note(self, failure: Failure) -> None:
        self.last_failure = failure

    def _enter(self, state: State) -> None:
        self.state = state
        if state is State.LIVE:
            self._sync_at = _NEVER

    def _fail(self, cause: Failure | Exception) -> None:
        self._drop_stream()
        self._cancel_sync()
        self._enter(State.FAILED)
        self._out.append(Finished(cause))
