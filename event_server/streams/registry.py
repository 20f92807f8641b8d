"""The open streams: how each begins, goes on and ends. Every push path shares this.

A push path passes a subscriber to `open` and calls `close` when the connection is gone; all between
(heartbeats, lifetimes, slow clients, drain, degradation) happens in `turn`, which one timer calls.
No await, no clock of its own: `now` is monotonic seconds.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

from client_sdk.contract.errors import TicketError
from client_sdk.contract.stream import ByeReason, Hello, SyncRequired
from event_server.errors import StreamRefusedError
from event_server.replay.audience import Subscriber
from event_server.replay.database_clock import rfc3339
from event_server.replay.frames import Frames
from event_server.replay.hub import Hub
from event_server.streams.health import Health
from event_server.streams.lifetimes import Timing
from event_server.streams.request_rules import Accepted, Placement, StreamRequest, accept
from event_server.streams.signed_out import SignedOut
from event_server.streams.timer_wheel import Deadlines, Rota
from server_common.access.tickets import TicketKeys
from server_common.revocations.holders import Holder

TICK_S: Final = 0.1
_RETRY_AFTER_S: Final = (1.0, 5.0)
_WARM_AFTER_S: Final = (0.2, 1.0)
"""A restarted server has usually read the latest events after so many seconds."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What bounds the open streams."""

    max_streams: int
    heartbeat_s: float
    abort_after_s: float
    """How long a last frame may take to leave before the connection is cut."""
    window_s: float
    """How long an event stays in the rings."""


class Streams:
    """All open streams of this process.

    Args:
        server: this server's name, for hello.
        hub: delivers.
        frames: in the same wire form as the hub's.
        health: whether streams may be served.
        keys: verify tickets.
        placement: which channels are ours.
        timing: lifetimes and retries.
        limits: bounds.
        now: the monotonic time of the start.
    """

    def __init__(
        self,
        server: str,
        hub: Hub,
        frames: Frames,
        health: Health,
        keys: TicketKeys,
        placement: Placement,
        timing: Timing,
        limits: StreamLimits,
        now: float,
    ) -> None:
        self.hub = hub
        self.health = health
        self.opened = 0
        self.ended: Counter[str] = Counter()
        self._server = server
        self.frames = frames
        self._keys = keys
        self._placement = placement
        self._timing = timing
        self._limits = limits
        self._started = now
        self._next_expiry = now
        self._deadlines: Deadlines[Subscriber] = Deadlines()
        self._ending: Deadlines[Subscriber] = Deadlines()
        self._rota: Rota[Subscriber] = Rota(max(1, round(limits.heartbeat_s / TICK_S)))
        self._period = max(1, round(limits.heartbeat_s / TICK_S))
        self._turned_at = now
        self._holders: dict[Subscriber, tuple[Holder, ...]] = {}
        self.signed_out = SignedOut(now)
        hub.on_end = self._ended_by_hub

    def __len__(self) -> int:
        return self._deadlines.count() + self._ending.count()

    # A request ------------------------------------------------------------------------------

    def judge(self, request: StreamRequest, now: float) -> Accepted:
        """Whether the request may be served; `open` must follow without an await between.

        Raises:
            StreamRefusedError: it may not; the error says which problem to answer.
        """
        try:
            self.check_ready(now)
        except StreamRefusedError:
            self._learn_the_time(request, now)
            raise
        if self._deadlines.count() + self._ending.count() >= self._limits.max_streams:
            raise self._come_again("overloaded", "this server has no room for another stream")
        return self._accepted(request, now)

    def judge_further(self, request: StreamRequest, now: float) -> Accepted:
        """Whether an open stream may follow a further ticket; `extend` must follow without an await
        between.

        Raises:
            StreamRefusedError: as `judge`.
        """
        self.check_ready(now)
        return self._accepted(request, now)

    def _accepted(self, request: StreamRequest, now: float) -> Accepted:
        time = self.hub.clock.estimate(now)
        if time is None:
            raise self._come_again("degraded", "this server does not know the time yet")
        accepted = accept(request, self._keys, time, self._placement)
        if self.signed_out.cover(accepted.ticket.holder):
            raise StreamRefusedError(
                "bad-ticket", "the token behind this ticket has been revoked: sign in again"
            )
        if self.hub.clock.observe(accepted.ticket.issued_at, now):
            self.check_ready(now)  # the ticket may prove that this server lags behind
        return accepted

    def _learn_the_time(self, request: StreamRequest, now: float) -> None:
        """Learn the database's time from a refused ticket, too, so that the lag stays known while
        clients retry."""
        with contextlib.suppress(TicketError):
            self.hub.clock.observe(self._keys.verify(request.ticket, 0.0).issued_at, now)

    def check_ready(self, now: float) -> None:
        """Whether streams may be served at all.

        Raises:
            StreamRefusedError: they may not.
        """
        state = self.health.state(now)
        if state == "draining":
            raise self._come_again("unavailable", "this server is stopping: another one takes over")
        if state == "warming":
            detail = "this server has not read the latest events yet"
            raise self._come_again("degraded", detail, _WARM_AFTER_S)
        if state == "degraded":
            raise self._come_again("degraded", "this server cannot prove that it is up to date")
        if self.health.trouble() is not None:
            raise self._come_again("degraded", "a part of this server does not work now")

    def open(self, subscriber: Subscriber, accepted: Accepted, now: float) -> None:
        """Begin the stream: the subscriber is sent its first frames, and follows from now on.

        If it must sync instead, `sync-required` is its last frame.

        Args:
            subscriber: its connection, which has been sent nothing yet.
            accepted: the checked request that opens it.
            now: monotonic seconds.
        """
        ticket = accepted.ticket
        self.opened += 1
        replay = self.hub.attach(
            subscriber, accepted.positions, ticket.cursor, ticket.issued_at, ticket.epoch
        )
        if isinstance(replay, SyncRequired):
            self.ended["sync-required"] += 1
            self._ending.set(subscriber, self._tick(now + self._limits.abort_after_s))
            subscriber.end(self.frames.sync_required(replay))
            return
        lifetime = self._timing.lifetime()
        hello = Hello(
            self._server,
            self.hub.epoch,
            rfc3339(self.hub.watermark or 0.0),
            round(lifetime * 1000),
            len(replay),
        )
        self._deadlines.set(subscriber, self._tick(now + lifetime))
        self._holders[subscriber] = (ticket.holder,)
        self._rota.add(subscriber, math.floor(self._timing.uniform(0, self._period - 1e-9)))
        subscriber.send(self.frames.opening(self._timing.retry(), hello) + b"".join(replay))

    def extend(self, subscriber: Subscriber, accepted: Accepted) -> list[bytes] | SyncRequired:
        """Let an open stream follow the channels of a further ticket; its lifetime stays as it is.

        Returns:
            What it missed there, to be written before anything else; or why it must sync: then
            nothing changes.
        """
        ticket = accepted.ticket
        holders = self._holders.get(subscriber, ())
        if ticket.holder not in holders:
            self._holders[subscriber] = (*holders, ticket.holder)
        return self.hub.attach(
            subscriber, accepted.positions, ticket.cursor, ticket.issued_at, ticket.epoch
        )

    def is_open(self, subscriber: Subscriber) -> bool:
        """Whether it is open and its last frame has not been sent."""
        return subscriber in self._deadlines

    def close(self, subscriber: Subscriber) -> None:
        """Remove the stream: its connection is gone, or its response is complete."""
        if subscriber in self._deadlines:
            self.ended["client"] += 1
        self.hub.detach(subscriber)
        self._rota.discard(subscriber)
        self._forget(subscriber)
        self._ending.discard(subscriber)

    def slow(self, subscriber: Subscriber, now: float) -> None:
        """End a stream whose buffer is over its limit; its client may sync."""
        if subscriber in self._deadlines:
            self._bye(subscriber, "slow", now)

    # The timer ------------------------------------------------------------------------------

    def turn(self, now: float) -> None:
        """Do what is due by now; call this every `TICK_S`."""
        self._turned_at, tick = now, self._tick(now)
        if self.health.state(now) == "degraded":
            self.end_all("degraded", now)
        if self.signed_out.has_news(now):
            self._end_signed_out(now)
        reason: ByeReason = "drain" if self.health.draining else "timeout"
        for subscriber in self._deadlines.turn(tick):
            self._bye(subscriber, reason, now)
        for subscriber in self._ending.turn(tick):
            self.ended["aborted"] += 1
            with contextlib.suppress(Exception):
                subscriber.abort()
        watermark = self.hub.watermark
        if watermark is not None:
            # It is made only if it is somebody's turn.
            heartbeat = b""
            for subscriber in self._rota.turn(tick):
                heartbeat = heartbeat or self.frames.heartbeat(watermark)
                try:
                    subscriber.send(heartbeat)
                except Exception as error:
                    self.hub.cut_off(subscriber, error)
        if now >= self._next_expiry:
            self._next_expiry = now + 1.0
            time = self.hub.clock.estimate(now)
            if time is not None:
                self.hub.rings.expire(time - self._limits.window_s)

    def end_all(self, reason: ByeReason, now: float) -> None:
        """End every stream with this `bye`."""
        for subscriber in self._deadlines.items():
            self._bye(subscriber, reason, now)

    def drain(self, over_s: float, now: float) -> None:
        """Take no new stream, and end the open ones evenly over `over_s` seconds."""
        self.health.draining = True
        streams = self._deadlines.items()
        for position, subscriber in enumerate(streams):
            at = self._tick(now + over_s * position / len(streams))
            self._deadlines.set(subscriber, min(at, self._deadlines.tick_of(subscriber)))

    def _end_signed_out(self, now: float) -> None:
        """End the streams of all whose tokens have been revoked."""
        for subscriber, holders in list(self._holders.items()):
            if any(map(self.signed_out.cover, holders)):
                self._bye(subscriber, "expired", now)

    def _forget(self, subscriber: Subscriber) -> None:
        self._deadlines.discard(subscriber)
        self._holders.pop(subscriber, None)

    def _bye(self, subscriber: Subscriber, reason: ByeReason, now: float) -> None:
        self.ended[reason] += 1
        self.hub.detach(subscriber)
        self._rota.discard(subscriber)
        self._forget(subscriber)
        self._ending.set(subscriber, self._tick(now + self._limits.abort_after_s))
        try:
            subscriber.end(self.frames.bye(reason, self._timing.reconnect(reason)))
        except Exception as error:
            self.hub.cut_off(subscriber, error)

    def _ended_by_hub(self, subscriber: Subscriber) -> None:
        """The hub has written the stream's last frame."""
        if subscriber not in self._deadlines:
            return
        self._rota.discard(subscriber)
        self._forget(subscriber)
        self.ended["sync-required"] += 1
        # Its last event may take as long as if the stream had ended on the next turn.
        due = self._tick(self._turned_at + TICK_S + self._limits.abort_after_s)
        self._ending.set(subscriber, due)

    def give_up(self, subscriber: Subscriber) -> None:
        """The subscriber could not be written to, and has been cut off."""
        if subscriber in self._deadlines:
            self.ended["failed"] += 1
        self._rota.discard(subscriber)
        self._forget(subscriber)
        self._ending.discard(subscriber)

    def _come_again(
        self, slug: str, detail: str, after_s: tuple[float, float] = _RETRY_AFTER_S
    ) -> StreamRefusedError:
        return StreamRefusedError(slug, detail, retry_after=self._timing.uniform(*after_s))

    def _tick(self, now: float) -> int:
        return int((now - self._started) / TICK_S)
