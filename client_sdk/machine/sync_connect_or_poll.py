"""When to sync, connect or poll: what each input leads to, one function for each. Pure.

A client syncs before each connect, polls after several failures of its stream, and tries the stream
again in the background (`_stream_delay` says when, `actions.py:Actions.polled` does it).
`inputs_by_state.py` says in which states an input counts, `actions.py` what can be done,
`sse_or_websocket.py` by what the next stream is opened. Syncs and streams carry a generation: what
comes from an older one is ignored.

Every way back has a guard, so that no mistake of a server becomes a tight loop. A failure, a gap, a
sync-required and a wrong digest come with back-off. A page must bring something. A stream that
brought nothing new and ends at once has failed. Channels that begin anew again and again are a
fault. What a server says about waiting is kept within bounds.
"""

from __future__ import annotations

from typing import Final

from client_sdk.machine.actions import LONG_FAULT, Actions
from client_sdk.machine.messages import (
    Acknowledged,
    Close,
    Deliver,
    DeliverDocument,
    Diverged,
    Failure,
    GiveUp,
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
from client_sdk.machine.sequencing import Verdict

LEAST_POLL_AFTER_MS: Final = 100
MAX_POLL_AFTER_MS: Final = 300_000
"""The bounds of `poll_after_ms`, whatever Core says."""
MAX_RECONNECT_MS: Final = 60_000
"""The longest that a `bye` can keep a client away."""


def start(client: Actions, signal: Start, now: float) -> None:
    """IDLE → SYNCING: always sync before anything else.

    Args:
        client: the state of the client; it is changed, and the commands are added to `client.out`.
        signal: what has happened.
        now: monotonic seconds, never less than at the last input.
    """
    client.go_sync(now, 0.0)


def sync_done(client: Actions, signal: SyncDone, now: float) -> None:
    """Take the answer in; then connect, poll on, or ask for more.

    Args:
        client, now: as for `start`.
        signal: Core's answer.
    """
    if not client.sync.is_current(signal.generation):
        return
    response, fills = signal.response, client.sync.fills
    client.sync.end()
    taken = client.sync_state.fill(response) if fills else client.sync_state.take(response)
    client.put_out(taken)
    fault = taken.fault
    if taken.restarted and client.restarts.too_many(now):
        fault = fault or "channels begin anew again and again"
    if fault is not None:
        client.sync_has_failed(Failure("malformed", fault), now)
        return
    if client.sync_backoff.failures >= LONG_FAULT:
        # What broke the syncs broke the streams, too: their back-off must not come on top.
        client.stream_backoff.forget()
        client.try_stream_now(now)
    client.sync_backoff.forget()
    client.needs_token = False
    wait_ms = min(max(response.poll_after_ms, LEAST_POLL_AFTER_MS), MAX_POLL_AFTER_MS)
    client.poll_after_s = wait_ms / 1000
    if fills or response.has_more:
        client.sync_now(now)
        return
    client.freshness.proven(response.server_time, now)
    if client.state is State.POLLING:
        client.polled(response, taken.news, now)
    elif response.stream is None:
        client.go_poll(now, _stream_delay(client, now))
    elif client.pressure.full:
        client.pause()
    else:
        client.state = State.CONNECTING
        client.open_stream(response, now)


def sync_failed(client: Actions, signal: SyncFailed, now: float) -> None:
    """Try again later; a refused token is replaced once, a refusal for good ends it.

    Args:
        client, now: as for `start`.
        signal: why there is no answer.
    """
    if client.sync.is_current(signal.generation):
        client.sync.end()
        client.sync_has_failed(signal.failure, now)


def hello(client: Actions, signal: StreamHello, now: float) -> None:
    """CONNECTING → LIVE; beside POLLING the stream must still prove itself by a sync.

    Args:
        client, now: as for `start`.
        signal: the stream's first message.
    """
    if not client.stream.is_current(signal.generation) or client.stream.hello_at is not None:
        return
    if signal.epoch != client.epoch:
        client.drop_stream()
        failure = Failure("malformed", "the stream is of another epoch than the last sync")
        _stream_has_failed(client, failure, now)
        return
    client.stream.hello_at = now
    client.stream.deadline = now + client.settings.watermark_timeout
    client.watermark = signal.watermark
    client.carried_by = client.stream.via
    if client.state is State.CONNECTING:
        client.go_live(now)
    else:
        # What was begun before the hello proves nothing; a waiting poll would hold us up.
        client.cancel_sync()
        client.sync_now(now)


def event(client: Actions, signal: StreamEvent | StreamDocument, now: float) -> None:
    """n+1 on top of n; a duplicate is dropped; a gap leads to a sync.

    Args:
        client, now: as for `start`.
        signal: an event of an order or of a document.
    """
    if not client.stream.is_current(signal.generation) or client.stream.hello_at is None:
        return
    verdict = client.sync_state.take_event(signal.event)
    if verdict is Verdict.APPLY:
        client.stream.events += 1
        epoch = client.epoch or ""
        if isinstance(signal, StreamDocument):
            client.out.append(DeliverDocument(signal.event, epoch))
            return
        client.deliver(Deliver(signal.event, epoch))
        if client.pressure.full:
            client.drop_stream()
            client.pause()
    elif verdict is Verdict.GAP:
        client.drop_stream()
        _sync_again(client, Failure("malformed", "the stream left a gap"), now)


def heartbeat(client: Actions, signal: StreamHeartbeat, now: float) -> None:
    """A watermark that moves proves the stream; one that stands still does not.

    Args:
        client, now: as for `start`.
        signal: the stream's watermark.
    """
    if not client.stream.is_current(signal.generation) or client.stream.hello_at is None:
        return
    if client.watermark is None or signal.watermark > client.watermark:
        client.watermark = signal.watermark
        client.stream.deadline = now + client.settings.watermark_timeout
        if client.state is State.LIVE:
            client.freshness.proven(signal.watermark, now)


def sync_required(client: Actions, signal: StreamSyncRequired, now: float) -> None:
    """Sync, then connect.

    Args:
        client, now: as for `start`.
        signal: the server's reason.
    """
    if client.stream.is_current(signal.generation):
        client.drop_stream()
        failure = Failure("unreachable", f"the server says sync-required: {signal.reason}")
        _sync_again(client, failure, now)


def bye(client: Actions, signal: StreamBye, now: float) -> None:
    """The planned end: sync and connect again, spread by the server's word.

    Args:
        client, now: as for `start`.
        signal: the server's reason, and how long to stay away.
    """
    if not client.stream.is_current(signal.generation):
        return
    too_short = client.stream.was_too_short(now, client.settings.short_stream)
    client.judge_transport(now)
    client.drop_stream()
    after_s = min(max(signal.reconnect_after_ms, 0), MAX_RECONNECT_MS) / 1000
    if signal.reason == "degraded":
        client.last_failure = Failure("busy", "the server says bye: degraded")
        client.kept_away_until = now + after_s
        client.go_poll(now, max(after_s, _stream_delay(client, now)))
    elif too_short:
        failure = Failure("unreachable", f"the stream ended at once: bye {signal.reason}")
        _stream_has_failed(client, failure, now)
    elif client.state is State.POLLING:
        client.go_poll(now, after_s)
    else:
        client.go_sync(now, after_s)


def ended(client: Actions, signal: StreamEnded, now: float) -> None:
    """The stream broke or could not be had.

    Args:
        client, now: as for `start`.
        signal: how it failed.
    """
    if not client.stream.is_current(signal.generation):
        return
    if signal.failure.kind not in ("busy", "ticket"):  # else the server itself has answered
        client.judge_transport(now)
    client.stream.end()
    if signal.failure.kind == "ticket":
        _sync_again(client, signal.failure, now)
    else:
        _stream_has_failed(client, signal.failure, now)


def tick(client: Actions, signal: Tick, now: float) -> None:
    """A deadline came: a sync is due or overdue, or the stream is silent.

    Args:
        client, now: as for `start`.
        signal: says nothing more; `now` tells which deadline has come.
    """
    if now >= client.sync.deadline:
        client.cancel_sync()
        client.sync_has_failed(Failure("unreachable", "the sync was not answered"), now)
    if now >= client.stream.deadline:
        said_hello = client.stream.hello_at is not None
        client.drop_stream()
        if said_hello:
            client.last_failure = Failure("unreachable", "the watermark stands still")
            client.counters.stream_failures += 1
            client.go_poll(now, _stream_delay(client, now))
        else:
            client.choice.silent()
            failure = Failure("unreachable", "the stream did not say hello in time")
            _stream_has_failed(client, failure, now)
    if now >= client.sync.due_at:
        client.sync_now(now)


def acknowledged(client: Actions, signal: Acknowledged, now: float) -> None:
    """The consumer caught up; once half is done, a paused client syncs again.

    Args:
        client, now: as for `start`.
        signal: how many changes it has handled.
    """
    if client.pressure.acknowledged(signal.count):
        client.sync_now(now)


def diverge(client: Actions, signal: Diverged, now: float) -> None:
    """The book is wrong: take a snapshot; with back-off if that does not help.

    Args:
        client, now: as for `start`.
        signal: the channel with another digest than Core's.
    """
    client.last_failure = Failure("malformed", f"{signal.channel} differs from Core's digest")
    # Should a snapshot not help, the next one waits; all else goes on meanwhile.
    heal = client.healing.may_begin(signal.channel, now)
    if not client.sync_state.diverge(signal.channel, heal=heal):
        return
    client.healing.began(signal.channel, now)
    client.drop_stream()
    client.cancel_sync()
    client.go_sync(now, 0.0)


def give_up(client: Actions, signal: GiveUp, now: float) -> None:
    """any → FAILED.

    Args:
        client, now: as for `start`.
        signal: the error that the consumer ends with.
    """
    client.last_failure = Failure("consumer", str(signal.cause) or repr(signal.cause))
    client.end(State.FAILED, signal.cause)


def close(client: Actions, signal: Close, now: float) -> None:
    """any → CLOSED.

    Args:
        client, now: as for `start`.
        signal: says nothing more.
    """
    client.end(State.CLOSED, None)


def _stream_delay(client: Actions, now: float) -> float:
    """Count a failure of the stream. Returns how long to wait until the next is tried.

    One that was well is mostly lost because its server starts anew, and is soon back. So for a
    while it is tried with the answer of each poll, which costs less than the poll itself does; and
    Core slows the polls down where there are too many. A transport that never worked, or that
    breaks again and again, gets no such haste.
    """
    settings = client.settings
    if client.stream_backoff.well_for(now) >= settings.watermark_timeout:
        client.lost_at = now
    if now - client.lost_at >= settings.healthy_after:
        return client.stream_backoff.failed(now)
    return client.stream_backoff.failed(now, max(settings.backoff_first, client.poll_after_s / 2))


def _stream_has_failed(client: Actions, failure: Failure, now: float) -> None:
    """Fall back to polling after several failures, or where the server is busy; else sync.

    Either way the stream is tried again, with back-off.
    """
    client.counters.stream_failures += 1
    client.last_failure = failure
    client.kept_away_until = now + (failure.retry_after or 0.0)
    delay = max(_stream_delay(client, now), failure.retry_after or 0.0)
    enough = client.stream_backoff.failures >= client.settings.stream_failures
    if client.state is State.POLLING or failure.kind == "busy" or enough:
        client.go_poll(now, delay)
    else:
        client.go_sync(now, delay)


def _sync_again(client: Actions, failure: Failure, now: float) -> None:
    """Sync, as nothing else helps: at once the first time, with back-off when it recurs."""
    _stream_has_failed(client, failure, now)
    if client.stream_backoff.failures == 1:
        client.go_sync(now, 0.0)
