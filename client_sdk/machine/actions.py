"""What the machine can do: start and end syncs and streams, pause, poll, end. Pure.

`machine.py` decides when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from client_sdk.contract.sync import SyncResponse
from client_sdk.machine.attempts import NEVER, Knowledge, Pressure, Restarts, StreamTrack, SyncTrack
from client_sdk.machine.backoff import Backoff
from client_sdk.machine.healing import Healing
from client_sdk.machine.messages import (
    CancelSync,
    CheckDigest,
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
from client_sdk.machine.sync_state import Counters, Intake, Taken
from client_sdk.settings import Settings

POLL_AFTER_MS: Final = (100, 300_000)
"""The bounds of `poll_after_ms`, whatever Core says."""
LONG_POLL_GAP_S: Final = 0.2
"""Long polls that bring something follow each other after a random part of this."""
LONG_FAULT: Final = 3
"""After so many failed syncs in a row the next good one makes the stream's failures old news."""


class Conduct:
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
        self.knowledge = Knowledge()
        self.watermark: datetime | None = None
        self._settings = settings
        self._uniform = uniform
        self._intake = Intake(positions, epoch)
        self._sync = SyncTrack()
        self._stream = StreamTrack()
        self._pressure = Pressure(settings.max_pending)
        self._restarts = Restarts(settings.healthy_after)
        self._now = float("-inf")
        self._probe_at = 0.0
        self._kept_away_until = 0.0
        self._poll_after_s = 1.0
        self._needs_token = False
        self._stream_backoff = Backoff(settings, uniform)
        self._sync_backoff = Backoff(settings, uniform)
        self._healing = Healing(settings, uniform)
        self._out: list[Command] = []

    @property
    def positions(self) -> Positions:
        """What has been taken in."""
        return self._intake.positions

    @property
    def epoch(self) -> str | None:
        """The epoch of the positions."""
        return self._intake.epoch

    @property
    def counters(self) -> Counters:
        """What happened so far."""
        return self._intake.counters

    @property
    def pending(self) -> int:
        """Changes that were delivered and are not acknowledged."""
        return self._pressure.pending

    @property
    def diverged(self) -> int:
        """Channels that begin anew because their orders had another digest."""
        return self._intake.diverged

    @property
    def paused(self) -> bool:
        """Whether it waits for the consumer, and for nothing else."""
        return self._pressure.paused

    @property
    def deadline(self) -> float:
        """When the machine wants a Tick; infinity: not at all."""
        if self.state in (State.CLOSED, State.FAILED):
            return NEVER
        return min(self._sync.due_at, self._sync.deadline, self._stream.deadline)

    @property
    def failing(self) -> bool:
        """Whether the last sync failed: the client cannot know what it misses."""
        return self._sync_backoff.failures > 0

    # ── syncs ────────────────────────────────────────────────────────────────

    def _go_sync(self, now: float, after_s: float) -> None:
        """Sync after a while; the polling state goes on polling, any other becomes SYNCING."""
        if self.state is not State.POLLING:
            self.state = State.SYNCING
        if after_s > 0.0:
            self._sync.due_at = now + after_s
        else:
            self._sync_or_pause(now)

    def _sync_or_pause(self, now: float) -> None:
        self._sync.due_at = NEVER
        if self._pressure.full:
            self._pause()
        elif not (self._sync.active or self._pressure.paused):
            self._start_sync(now)

    def _start_sync(self, now: float) -> None:
        question = self._intake.question()
        self._sync.fills = question.fills
        self._sync.new_token = self._needs_token
        self._sync.wait_s = 0.0 if question.fills else self._wait(now)
        self._sync.begin(now, self._settings.sync_timeout + self._sync.wait_s)
        self._out.append(
            StartSync(
                self._sync.generation,
                question.after,
                question.epoch,
                self._sync.wait_s,
                self._needs_token,
            )
        )

    def _wait(self, now: float) -> float:
        """How long Core may hold the answer: never while something else waits for it."""
        if self.state is not State.POLLING or self._stream.open or self.failing:
            return 0.0
        # The next try of the stream needs a ticket, so an answer, by then.
        return min(self._settings.long_poll, max(0.0, self._probe_at - now))

    def _cancel_sync(self) -> None:
        if self._sync.active:
            self._out.append(CancelSync(self._sync.generation))
            self._sync.end()

    def _sync_has_failed(self, failure: Failure, now: float) -> None:
        self.counters.sync_failures += 1
        self._note(failure)
        fresh, unauthorized = self._sync.new_token, failure.kind == "unauthorized"
        if fresh and failure.kind not in ("token", "unreachable"):
            self._needs_token = False
        if failure.kind == "refused" or (unauthorized and fresh):
            self._end(State.FAILED, failure)
        elif unauthorized:
            self._needs_token = True
            self._go_sync(now, 0.0)
        else:
            delay = self._sync_backoff.failed(now)
            self._go_sync(now, max(delay, failure.retry_after or 0.0))

    def _polled(self, response: SyncResponse, news: bool, now: float) -> None:
        """A poll is done: go LIVE if the stream has proven itself, else poll on and perhaps try."""
        hello_at = self._stream.hello_at
        if hello_at is not None and self._sync.began_at >= hello_at:
            self._go_live(now)
            return
        # A long poll that was answered early and brought nothing was not held: do not spin.
        held = now - self._sync.began_at >= self._sync.wait_s / 2
        if self._sync.wait_s > 0.0 and (news or held):
            self._sync.due_at = now + self._uniform(0.0, LONG_POLL_GAP_S)
        else:
            jitter = self._settings.poll_jitter
            self._sync.due_at = now + self._poll_after_s * self._uniform(1 - jitter, 1 + jitter)
        if now >= self._probe_at and not (self._stream.open or self._pressure.full):
            self._open_stream(response, now)

    # ── streams ──────────────────────────────────────────────────────────────

    def _open_stream(self, response: SyncResponse, now: float) -> None:
        if response.stream is None:
            return
        self._stream.begin(now, self._settings.connect_timeout)
        grant = response.stream
        self._out.append(
            OpenStream(self._stream.generation, grant.url, grant.ticket, self.positions.known)
        )

    def _drop_stream(self) -> None:
        if self._stream.open:
            self._out.append(CloseStream(self._stream.generation))
            self._stream.end()

    def _go_live(self, now: float) -> None:
        self.state = State.LIVE
        self._sync.due_at = NEVER
        self._stream_backoff.well(now)

    def _stream_has_failed(self, failure: Failure, now: float) -> None:
        self.counters.stream_failures += 1
        self._note(failure)
        self._kept_away_until = now + (failure.retry_after or 0.0)
        delay = max(self._stream_backoff.failed(now), failure.retry_after or 0.0)
        enough = self._stream_backoff.failures >= self._settings.stream_failures
        if self.state is State.POLLING or failure.kind == "busy" or enough:
            self._go_poll(now, delay)
        else:
            self._go_sync(now, delay)

    def _sync_again(self, failure: Failure, now: float) -> None:
        """Only a sync helps: at once the first time, with back-off when it keeps happening."""
        self._stream_has_failed(failure, now)
        if self._stream_backoff.failures == 1:
            self._go_sync(now, 0.0)

    def _go_poll(self, now: float, probe_after_s: float) -> None:
        """Poll from now on; the stream is tried again after a while."""
        self._probe_at = now + probe_after_s
        if self.state is not State.POLLING:
            self.state = State.POLLING
            self._sync_or_pause(now)
        elif not self._sync.active and self._sync.due_at == NEVER:
            self._sync.due_at = now + self._poll_after_s

    def _try_stream_now(self, now: float) -> None:
        """Try the stream with this answer's ticket, unless its server asked for more time."""
        self._stream_backoff.forget()
        self._probe_at = max(min(self._probe_at, now), self._kept_away_until)

    # ── the rest ─────────────────────────────────────────────────────────────

    def _put_out(self, taken: Taken, now: float) -> None:
        if taken.epoch_changed:
            self._drop_stream()
            self.knowledge.forget()
        for command in taken.commands:
            if isinstance(command, Deliver):
                self._deliver(command)
            else:
                if isinstance(command, CheckDigest):
                    self._healing.checked(command.channel)
                self._out.append(command)

    def _deliver(self, delivery: Deliver) -> None:
        self._pressure.pending += 1
        self._out.append(delivery)

    def _pause(self) -> None:
        """The consumer does not keep up: no stream and no sync until it has caught up."""
        self._pressure.paused = True
        self._sync.due_at = NEVER
        if self.state is not State.POLLING:
            self.state = State.SYNCING

    def _note(self, failure: Failure) -> None:
        self.last_failure = failure

    def _end(self, state: State, cause: Failure | Exception | None) -> None:
        self._drop_stream()
        self._cancel_sync()
        self.state = state
        self._out.append(Finished(cause))
