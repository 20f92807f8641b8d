"""The client's state machine, sans-I/O: inputs in, commands out. Pure; time is passed in.

    IDLE ──▶ SYNCING ──▶ CONNECTING ──▶ LIVE
               ▲  ▲          │           │ bye, gap, sync-required, end
               │  └──────────┴───────────┘
               │ n failures, bye degraded, 503, watermark stands still
               ▼
            POLLING   syncs on and on; a stream is tried beside it, and only when it has said hello
                      and a sync begun after that is done does the machine go LIVE
    any ──▶ CLOSED (Close) · FAILED (no permission, or the consumer's own error)

`transitions.py` says for each state and input which rule answers; it is total.
Syncs and streams carry a generation: what comes from an older one is ignored.

Every way back has a guard, so that no mistake of a server becomes a tight loop: a failure, a gap, a
sync-required and a wrong digest come with back-off, a page must bring something, a stream that
brought nothing new and ends at once has failed, channels that begin anew again and again are a
fault, and what a server says about waiting is kept within bounds.
"""

from __future__ import annotations

from typing import Final

from client_sdk.machine.actions import LONG_FAULT, POLL_AFTER_MS, Conduct
from client_sdk.machine.messages import (
    Acknowledged,
    Close,
    Command,
    Deliver,
    Diverged,
    Failure,
    GiveUp,
    Input,
    Start,
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
)
from client_sdk.machine.sequencing import Verdict
from client_sdk.machine.transitions import IGNORE, TABLE

MOST_RECONNECT_MS: Final = 60_000
"""The longest that a `bye` can keep a client away."""


class Machine(Conduct):
    """The machine of one client: which input leads to what."""

    def handle(self, signal: Input, now: float) -> list[Command]:
        """Take one input at `now` (seconds; a clock that goes back stands still); what to do."""
        self._now = now = max(now, self._now)
        self._out = []
        rule = TABLE[self.state, type(signal)]
        if rule is not IGNORE:
            getattr(self, f"_{rule}")(signal, now)
        return self._out

    def _start(self, signal: Start, now: float) -> None:
        """IDLE → SYNCING: always sync before anything else."""
        self._go_sync(now, 0.0)

    def _sync_done(self, signal: SyncDone, now: float) -> None:
        """Take the answer in; then connect, poll on, or ask for more."""
        if not self._sync.is_current(signal.generation):
            return
        response, fills = signal.response, self._sync.fills
        self._sync.end()
        taken = self._intake.fill(response) if fills else self._intake.take(response)
        self._put_out(taken, now)
        fault = taken.fault
        if taken.restarted and self._restarts.too_many(now):
            fault = fault or "channels begin anew again and again"
        if fault is not None:
            self._sync_has_failed(Failure("malformed", fault), now)
            return
        if self._sync_backoff.failures >= LONG_FAULT:
            # What broke the syncs broke the streams, too: their back-off must not come on top.
            self._try_stream_now(now)
        self._sync_backoff.forget()
        self._needs_token = False
        least, most = POLL_AFTER_MS
        self._poll_after_s = min(max(response.poll_after_ms, least), most) / 1000
        if fills or response.has_more:
            self._sync_or_pause(now)
            return
        self.knowledge.proven(response.server_time, now)
        if self.state is State.POLLING:
            self._polled(response, taken.news, now)
        elif response.stream is None:
            self._go_poll(now, self._stream_backoff.failed(now))
        elif self._pressure.full:
            self._pause()
        else:
            self.state = State.CONNECTING
            self._open_stream(response, now)

    def _sync_failed(self, signal: SyncFailed, now: float) -> None:
        """Try again later; a refused token is replaced once, a refusal for good ends it."""
        if self._sync.is_current(signal.generation):
            self._sync.end()
            self._sync_has_failed(signal.failure, now)

    def _hello(self, signal: StreamHello, now: float) -> None:
        """CONNECTING → LIVE; beside POLLING the stream must still prove itself by a sync."""
        if not self._stream.is_current(signal.generation) or self._stream.hello_at is not None:
            return
        if signal.epoch != self.epoch:
            self._drop_stream()
            failure = Failure("malformed", "the stream is of another epoch than the last sync")
            self._stream_has_failed(failure, now)
            return
        self._stream.hello_at = now
        self._stream.deadline = now + self._settings.watermark_timeout
        self.watermark = signal.watermark
        if self.state is State.CONNECTING:
            self._go_live(now)
        else:
            # What was begun before the hello proves nothing; a waiting poll would hold us up.
            self._cancel_sync()
            self._sync_or_pause(now)

    def _event(self, signal: StreamEvent, now: float) -> None:
        """n+1 on top of n; a duplicate is dropped; a gap leads to a sync."""
        if not self._stream.is_current(signal.generation) or self._stream.hello_at is None:
            return
        verdict = self._intake.take_event(signal.event)
        if verdict is Verdict.APPLY:
            self._stream.events += 1
            self._deliver(Deliver(signal.event, self.epoch or ""))
            if self._pressure.full:
                self._drop_stream()
                self._pause()
        elif verdict is Verdict.GAP:
            self._drop_stream()
            self._sync_again(Failure("malformed", "the stream left a gap"), now)

    def _heartbeat(self, signal: StreamHeartbeat, now: float) -> None:
        """A watermark that moves proves the stream; one that stands still does not."""
        if not self._stream.is_current(signal.generation) or self._stream.hello_at is None:
            return
        if self.watermark is None or signal.watermark > self.watermark:
            self.watermark = signal.watermark
            self._stream.deadline = now + self._settings.watermark_timeout
            if self.state is State.LIVE:
                self.knowledge.proven(signal.watermark, now)

    def _sync_required(self, signal: StreamSyncRequired, now: float) -> None:
        """Sync, then connect."""
        if self._stream.is_current(signal.generation):
            self._drop_stream()
            failure = Failure("unreachable", f"the server says sync-required: {signal.reason}")
            self._sync_again(failure, now)

    def _bye(self, signal: StreamBye, now: float) -> None:
        """The planned end: sync and connect again, spread by the server's word."""
        if not self._stream.is_current(signal.generation):
            return
        too_short = self._stream.was_too_short(now, self._settings.short_stream)
        self._drop_stream()
        after_s = min(max(signal.reconnect_after_ms, 0), MOST_RECONNECT_MS) / 1000
        if signal.reason == "degraded":
            self._note(Failure("busy", "the server says bye: degraded"))
            self._kept_away_until = now + after_s
            self._go_poll(now, max(after_s, self._stream_backoff.failed(now)))
        elif too_short:
            failure = Failure("unreachable", f"the stream ended at once: bye {signal.reason}")
            self._stream_has_failed(failure, now)
        elif self.state is State.POLLING:
            self._go_poll(now, after_s)
        else:
            self._go_sync(now, after_s)

    def _ended(self, signal: StreamEnded, now: float) -> None:
        """The stream broke or could not be had."""
        if not self._stream.is_current(signal.generation):
            return
        self._stream.end()
        if signal.failure.kind == "ticket":
            self._sync_again(signal.failure, now)
        else:
            self._stream_has_failed(signal.failure, now)

    def _tick(self, signal: Tick, now: float) -> None:
        """A deadline came: a sync is due or overdue, or the stream is silent."""
        if now >= self._sync.deadline:
            self._cancel_sync()
            self._sync_has_failed(Failure("unreachable", "the sync was not answered"), now)
        if now >= self._stream.deadline:
            said_hello = self._stream.hello_at is not None
            self._drop_stream()
            if said_hello:
                self._note(Failure("unreachable", "the watermark stands still"))
                self.counters.stream_failures += 1
                self._go_poll(now, self._stream_backoff.failed(now))
            else:
                failure = Failure("unreachable", "the stream did not say hello in time")
                self._stream_has_failed(failure, now)
        if now >= self._sync.due_at:
            self._sync_or_pause(now)

    def _acknowledged(self, signal: Acknowledged, now: float) -> None:
        """The consumer caught up; once half is done, a paused client syncs again."""
        if self._pressure.acknowledged(signal.count):
            self._sync_or_pause(now)

    def _diverge(self, signal: Diverged, now: float) -> None:
        """The book is wrong: take a snapshot; with back-off if that does not help."""
        self._note(Failure("malformed", f"{signal.channel} differs from Core's digest"))
        # Should a snapshot not help, the next one waits; all else goes on meanwhile.
        heal = self._healing.may_begin(signal.channel, now)
        if not self._intake.diverge(signal.channel, heal=heal):
            return
        self._healing.began(signal.channel, now)
        self._drop_stream()
        self._cancel_sync()
        self._go_sync(now, 0.0)

    def _give_up(self, signal: GiveUp, now: float) -> None:
        """any → FAILED."""
        self._note(Failure("consumer", str(signal.cause) or repr(signal.cause)))
        self._end(State.FAILED, signal.cause)

    def _close(self, signal: Close, now: float) -> None:
        """any → CLOSED."""
        self._end(State.CLOSED, None)
