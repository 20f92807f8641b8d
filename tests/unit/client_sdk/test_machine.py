"""The machine's rules, a spec line each; time and chance are numbers here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import TypeVar, get_args

import pytest

from client_sdk.contract.order import OrderEvent
from client_sdk.contract.stream import ByeReason
from client_sdk.contract.sync import Snapshot, SyncResponse
from client_sdk.errors import RefusedError
from client_sdk.machine.inputs_by_state import COUNTS
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    Acknowledged,
    CancelSync,
    CheckDigest,
    Close,
    CloseStream,
    Command,
    Deliver,
    Diverged,
    Failure,
    FailureKind,
    Fill,
    Finished,
    GiveUp,
    Input,
    OpenStream,
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
)
from client_sdk.machine.sequencing import Reset
from client_sdk.machine.sync_connect_or_poll import MAX_RECONNECT_MS
from client_sdk.settings import Settings
from tests.unit.client_sdk.samples import (
    EPOCH,
    NOW,
    channel_sync,
    event,
    order,
    sync_response,
)

C = TypeVar("C")
CHANNEL = "store:12"


def highest(low: float, high: float) -> float:
    """Chance at its worst: every wait is as long as it may be."""
    return high


class Rig:
    """One machine that is told what happened, and what it said to that."""

    def __init__(
        self,
        position: int | None = 0,
        settings: Settings | None = None,
        *,
        filled: bool = True,
        uniform: Callable[[float, float], float] = highest,
    ) -> None:
        self.now = 1000.0
        epoch = EPOCH if position is not None else None
        self.machine = Machine({CHANNEL: position}, epoch, settings or Settings(), uniform)
        self.said: list[Command] = []
        self.log: list[Command] = []
        self.head = position or 0
        self.tell(Start())
        if filled and position is not None:
            self.answer(sync_response(channel_sync(reset="first_sync", snapshot=Snapshot(0, []))))

    def state(self) -> State:
        return self.machine.state

    def tell(self, signal: Input, after: float = 0.0) -> list[Command]:
        self.now += after
        self.said = self.machine.handle(signal, self.now)
        self.log += self.said
        return self.said

    def of(self, kind: type[C], said: Sequence[Command] | None = None) -> list[C]:
        return [c for c in (self.said if said is None else said) if isinstance(c, kind)]

    @property
    def sync(self) -> int:
        """The generation of the newest sync."""
        return self.of(StartSync, self.log)[-1].generation

    @property
    def stream(self) -> int:
        """The generation of the newest stream."""
        return self.of(OpenStream, self.log)[-1].generation

    def answer(self, response: SyncResponse | None = None, after: float = 0.0) -> list[Command]:
        """The sync under way is answered; by default with nothing new."""
        head = self.machine.positions[CHANNEL] or 0
        plain = response or sync_response(channel_sync(head=head))
        return self.tell(SyncDone(self.sync, plain), after)

    def fail_sync(
        self, kind: FailureKind = "unreachable", retry_after: float | None = None
    ) -> None:
        self.tell(SyncFailed(self.sync, Failure(kind, kind, retry_after)))

    def hello(self, after: float = 0.0, epoch: str = EPOCH) -> list[Command]:
        return self.tell(StreamHello(self.stream, epoch, NOW), after)

    def push(self, seq: int, after: float = 0.0) -> list[Command]:
        return self.tell(StreamEvent(self.stream, event(seq)), after)

    def bye(self, reason: ByeReason = "timeout", ms: int = 0, after: float = 0.0) -> list[Command]:
        return self.tell(StreamBye(self.stream, reason, ms), after)

    def end(self, kind: FailureKind = "unreachable", retry_after: float | None = None) -> None:
        self.tell(StreamEnded(self.stream, Failure(kind, kind, retry_after)))

    def tick(self) -> list[Command]:
        """Wait for the deadline."""
        assert self.machine.deadline < float("inf")
        return self.tell(Tick(), max(0.0, self.machine.deadline - self.now))

    def live(self) -> Rig:
        self.answer()
        self.hello()
        assert self.state() is State.LIVE
        return self

    def polling(self) -> Rig:
        """Polling, with the first answer still out."""
        self.live()
        self.bye("degraded", after=5.0)
        assert self.state() is State.POLLING
        return self

    @property
    def delivered(self) -> list[int]:
        changes = [c.change for c in self.of(Deliver, self.log)]
        return [c.seq for c in changes if isinstance(c, OrderEvent)]

    @property
    def resets(self) -> list[str]:
        changes = [c.change for c in self.of(Deliver, self.log)]
        return [c.reason for c in changes if isinstance(c, Reset)]


def snapshot(head: int, *ids: str) -> Snapshot:
    return Snapshot(head, [order(name) for name in ids])


# ── the table ────────────────────────────────────────────────────────────────


def test_the_table_has_every_input() -> None:
    assert set(COUNTS) == set(get_args(Input))


def test_every_input_counts_somewhere() -> None:
    assert all(COUNTS.values())


def test_every_state_but_closed_can_be_closed() -> None:
    assert COUNTS[Close] == set(State) - {State.CLOSED}


def test_after_close_nothing_is_said_any_more() -> None:
    rig = Rig().live()
    assert rig.tell(Close())[-1] == Finished(None)
    for signal in (Tick(), Start(), Acknowledged(1), Diverged(CHANNEL), Close()):
        assert rig.tell(signal) == []
    assert rig.machine.deadline == float("inf")


# ── the start ────────────────────────────────────────────────────────────────


def test_it_syncs_before_it_connects() -> None:
    rig = Rig(None)
    assert [type(c) for c in rig.log] == [StartSync]
    rig.answer(sync_response(channel_sync(reset="first_sync", snapshot=snapshot(7, "a"))))
    (stream,) = rig.of(OpenStream)
    assert stream.cursor == {CHANNEL: 7}
    assert rig.state() is State.CONNECTING


def test_a_first_sync_asks_for_everything_and_delivers_a_reset() -> None:
    rig = Rig(None)
    (sync,) = rig.of(StartSync)
    assert (sync.after, sync.epoch) == ({CHANNEL: None}, None)
    rig.answer(sync_response(channel_sync(reset="first_sync", snapshot=snapshot(7, "a"))))
    (delivered,) = rig.of(Deliver)
    assert isinstance(delivered.change, Reset)
    assert (delivered.change.head, delivered.epoch) == (7, EPOCH)


def test_a_start_from_a_cursor_first_brings_back_the_book_and_then_goes_on_after_the_cursor() -> (
    None
):
    rig = Rig(5, filled=False)
    (sync,) = rig.of(StartSync)
    assert sync.after == {CHANNEL: None}
    rig.answer(sync_response(channel_sync(reset="first_sync", snapshot=snapshot(8, "a"))))
    assert [type(c) for c in rig.said] == [Fill, StartSync]
    assert rig.of(StartSync)[0].after == {CHANNEL: 5}
    assert rig.of(StartSync)[0].epoch == EPOCH
    rig.answer(sync_response(channel_sync([event(6), event(7), event(8)])))
    assert rig.delivered == [6, 7, 8]
    assert rig.resets == []


def test_a_book_of_another_epoch_is_not_brought_back() -> None:
    rig = Rig(5, filled=False)
    later = channel_sync(reset="first_sync", snapshot=snapshot(2, "a"))
    rig.answer(sync_response(later, epoch="02"))
    assert rig.of(Fill) == []
    rig.answer(sync_response(channel_sync(reset="epoch", snapshot=snapshot(2, "a")), epoch="02"))
    assert rig.resets == ["epoch"]


def test_pages_are_asked_for_to_the_end_before_it_connects() -> None:
    rig = Rig()
    rig.answer(sync_response(channel_sync([event(1), event(2)], head=4, has_more=True)))
    assert [type(c) for c in rig.said] == [Deliver, Deliver, StartSync]
    rig.answer(sync_response(channel_sync([event(3), event(4)])))
    assert rig.delivered == [1, 2, 3, 4]
    assert rig.state() is State.CONNECTING


def test_pages_that_bring_nothing_are_a_failure_and_no_tight_loop() -> None:
    rig = Rig()
    rig.answer(sync_response(channel_sync(head=4, has_more=True)))
    assert rig.of(StartSync) == []
    assert rig.machine.failing
    assert rig.machine.deadline > rig.now


# ── contiguity ───────────────────────────────────────────────────────────────


def test_the_next_event_is_delivered_and_a_duplicate_is_not() -> None:
    rig = Rig().live()
    rig.push(1)
    rig.push(1)
    rig.push(2)
    assert rig.delivered == [1, 2]
    assert rig.machine.counters.duplicates == 1


def test_a_gap_closes_the_stream_and_syncs_at_once_the_first_time() -> None:
    rig = Rig().live()
    rig.push(1)
    said = rig.push(3)
    assert [type(c) for c in said] == [CloseStream, StartSync]
    assert rig.of(StartSync)[0].after == {CHANNEL: 1}
    assert rig.delivered == [1]


def test_the_same_order_again_is_another_event() -> None:
    """A cancellation has the order's id; only the seq tells events apart."""
    rig = Rig().live()
    rig.tell(StreamEvent(rig.stream, event(1, order("a", 1))))
    rig.tell(StreamEvent(rig.stream, event(2, order("a", 2, "cancelled"))))
    assert rig.delivered == [1, 2]


def test_an_event_of_a_foreign_channel_is_never_delivered() -> None:
    rig = Rig().live()
    rig.tell(StreamEvent(rig.stream, event(1, channel="store:13")))
    assert rig.delivered == []
    assert rig.state() is State.SYNCING


def test_an_event_before_hello_is_not_taken() -> None:
    rig = Rig()
    rig.answer()
    assert rig.push(1) == []


def test_each_channel_counts_by_itself() -> None:
    machine = Machine({"store:1": None, "store:2": None}, None, Settings(), highest)
    machine.handle(Start(), 0.0)
    both = [
        channel_sync(channel=c, reset="first_sync", snapshot=Snapshot(h, []))
        for c, h in (("store:1", 5), ("store:2", 9))
    ]
    machine.handle(SyncDone(1, sync_response(*both)), 0.0)
    machine.handle(StreamHello(1, EPOCH, NOW), 0.0)
    assert machine.handle(StreamEvent(1, event(6, channel="store:1")), 0.0)
    assert machine.handle(StreamEvent(1, event(10, channel="store:2")), 0.0)
    assert machine.positions.known == {"store:1": 6, "store:2": 10}


@pytest.mark.parametrize(
    "bad",
    [
        channel_sync([event(2)]),
        channel_sync([event(1), event(3)]),
        channel_sync([event(1)], head=2),
        channel_sync([event(1, channel="store:13")], head=1),
        channel_sync(channel="store:13"),
        channel_sync(reset="retention", head=3),
    ],
    ids=[
        "gap first",
        "gap within",
        "ends early",
        "foreign event",
        "channel left out",
        "no snapshot",
    ],
)
def test_an_answer_that_leaves_a_gap_is_a_failure_and_is_asked_for_again(bad: object) -> None:
    rig = Rig()
    rig.answer(sync_response(bad))  # type: ignore[arg-type]
    assert rig.state() is State.SYNCING
    assert rig.machine.failing
    assert rig.of(OpenStream) == []
    rig.tick()
    assert rig.of(StartSync)[0].after == {CHANNEL: len(rig.delivered)}


def test_an_answer_older_than_the_question_is_a_failure() -> None:
    """A replica that lags must not be believed to be the head."""
    rig = Rig(5)
    rig.answer(sync_response(channel_sync(head=3)))
    assert rig.machine.failing
    assert rig.machine.positions[CHANNEL] == 5


# ── resets ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reason", ["retention", "ahead"])
def test_a_reset_replaces_and_events_go_on_after_it(reason: str) -> None:
    rig = Rig(20 if reason == "ahead" else 2)
    reset = channel_sync([event(11)], reset=reason, snapshot=snapshot(10, "a"))  # type: ignore[arg-type]
    rig.answer(sync_response(reset))
    assert rig.resets == [reason]
    assert rig.delivered == [11]
    assert rig.machine.counters.resets == 1


def test_a_new_epoch_needs_a_reset_of_every_channel() -> None:
    rig = Rig(5)
    rig.answer(sync_response(channel_sync([event(6)]), epoch="02"))
    assert rig.delivered == []
    rig.tick()
    assert rig.of(StartSync)[0].after == {CHANNEL: None}


def test_a_stream_of_the_old_epoch_does_not_outlive_the_new_one() -> None:
    rig = Rig(5).polling()
    rig.answer()
    rig.tick()
    rig.answer(after=60.0)
    rig.hello()
    reset = channel_sync(reset="epoch", snapshot=snapshot(2))
    rig.answer(sync_response(reset, epoch="02"))
    assert rig.of(CloseStream)
    assert rig.state() is State.POLLING
    assert rig.push(3) == []


def test_a_stream_of_another_epoch_is_closed_at_hello() -> None:
    rig = Rig()
    rig.answer()
    rig.hello(epoch="02")
    assert rig.of(CloseStream)
    assert rig.state() is State.SYNCING


def test_a_snapshot_that_the_stream_has_passed_is_left_out() -> None:
    """Else events would be delivered twice."""
    rig = Rig(5).polling()
    rig.answer()
    rig.tick()
    rig.answer(after=60.0)
    rig.hello()
    rig.push(6)
    rig.push(7)
    rig.answer(sync_response(channel_sync(reset="retention", snapshot=snapshot(6))))
    assert rig.resets == []
    assert rig.machine.positions[CHANNEL] == 7


# ── the stream's end ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("reason", ["timeout", "drain", "slow", "expired"])
def test_a_planned_end_waits_as_it_was_told_then_syncs(reason: ByeReason) -> None:
    rig = Rig().live()
    rig.bye(reason, ms=800, after=50.0)
    assert rig.state() is State.SYNCING
    assert rig.of(StartSync) == []
    assert rig.machine.deadline == rig.now + 0.8
    rig.tick()
    assert rig.of(StartSync)
    assert rig.machine.counters.stream_failures == 0


def test_no_server_can_keep_a_client_away_for_long() -> None:
    rig = Rig().live()
    rig.bye(ms=10**9, after=50.0)
    assert rig.machine.deadline == rig.now + MAX_RECONNECT_MS / 1000


def test_a_stream_that_ends_within_a_second_without_an_event_has_failed() -> None:
    rig = Rig().live()
    rig.bye(after=0.5)
    assert rig.machine.counters.stream_failures == 1


def test_a_short_stream_with_an_event_has_not_failed() -> None:
    rig = Rig().live()
    rig.push(1)
    rig.bye(after=0.5)
    assert rig.machine.counters.stream_failures == 0


def test_a_stream_that_never_said_hello_has_failed_however_it_ended() -> None:
    rig = Rig()
    rig.answer()
    rig.bye(after=5.0)
    assert rig.machine.counters.stream_failures == 1


def test_a_stream_that_does_not_say_hello_in_time_has_failed() -> None:
    rig = Rig(settings=Settings(connect_timeout=10.0))
    rig.answer()
    assert rig.machine.deadline == rig.now + 10.0
    assert rig.of(CloseStream, rig.tick())
    assert rig.machine.counters.stream_failures == 1


def test_sync_required_syncs_at_once_the_first_time_and_then_with_back_off() -> None:
    rig = Rig().live()
    rig.tell(StreamSyncRequired(rig.stream, CHANNEL, "ring"))
    assert rig.of(StartSync)
    rig.answer()
    rig.hello()
    rig.tell(StreamSyncRequired(rig.stream, CHANNEL, "ring"))
    assert rig.of(StartSync) == []
    assert rig.now < rig.machine.deadline <= rig.now + 1.0


def test_an_expired_ticket_leads_to_a_sync_at_once() -> None:
    rig = Rig()
    rig.answer()
    rig.end("ticket")
    assert rig.of(StartSync)
    assert rig.state() is State.SYNCING


# ── polling ──────────────────────────────────────────────────────────────────


def test_it_polls_after_so_many_failures_of_the_stream() -> None:
    rig = Rig(settings=Settings(stream_failures=3))
    for n in (1, 2, 3):
        rig.answer()
        rig.end()
        assert rig.state() is (State.POLLING if n == 3 else State.SYNCING)
        if n < 3:
            rig.tick()


def test_it_polls_at_once_when_the_server_is_degraded() -> None:
    rig = Rig().live()
    said = rig.bye("degraded", after=10.0)
    assert rig.state() is State.POLLING
    assert rig.of(StartSync, said)


def test_it_polls_at_once_on_503_and_does_not_try_before_retry_after() -> None:
    rig = Rig()
    rig.answer()
    rig.end("busy", retry_after=40.0)
    assert rig.state() is State.POLLING
    refused_at = rig.now
    rig.answer()
    while not rig.of(OpenStream):
        rig.tick()
        rig.answer()
    assert rig.now - refused_at >= 40.0


def test_it_polls_when_the_watermark_stands_still_however_often_it_is_repeated() -> None:
    rig = Rig(settings=Settings(watermark_timeout=15.0)).live()
    for _ in range(2):
        rig.tell(StreamHeartbeat(rig.stream, NOW), 5.0)
    said = rig.tick()
    assert rig.state() is State.POLLING
    assert [type(c) for c in said] == [CloseStream, StartSync]


def test_it_polls_when_nothing_comes_at_all() -> None:
    """A half-open connection: no FIN, no byte."""
    rig = Rig().live()
    began = rig.now
    rig.tick()
    assert rig.state() is State.POLLING
    assert rig.now - began == 15.0


def test_a_watermark_that_moves_keeps_it_live() -> None:
    rig = Rig().live()
    for n in range(1, 20):
        rig.tell(StreamHeartbeat(rig.stream, NOW + timedelta(seconds=5 * n)), 5.0)
    assert rig.state() is State.LIVE
    assert rig.machine.freshness.certain_at == rig.now


def test_polls_come_as_core_says_with_jitter() -> None:
    for uniform, expected in ((min, 2.4), (max, 3.6)):
        rig = Rig(uniform=uniform).polling()
        rig.answer(sync_response(channel_sync(head=0), stream=None, poll_after_ms=3000))
        assert rig.machine.deadline == pytest.approx(rig.now + expected)


@pytest.mark.parametrize(("ms", "least"), [(-5, 0.0), (0, 0.0), (10**9, 100.0)])
def test_what_core_says_about_polling_is_kept_within_bounds(ms: int, least: float) -> None:
    rig = Rig().polling()
    rig.answer(sync_response(channel_sync(head=0), stream=None, poll_after_ms=ms))
    wait = rig.machine.deadline - rig.now
    assert least < wait <= 300.0 * 1.2


def test_long_polls_follow_each_other_while_they_bring_something() -> None:
    rig = Rig(settings=Settings(long_poll=25.0, backoff_first=30.0)).polling()
    assert rig.of(StartSync, rig.log)[-1].wait_s == 25.0
    rig.answer(sync_response(channel_sync([event(1)]), stream=None), after=3.0)
    assert rig.machine.deadline <= rig.now + 0.2
    rig.tick()
    rig.answer(sync_response(channel_sync(head=1), stream=None), after=24.0)
    assert rig.machine.deadline <= rig.now + 0.2


def test_a_long_poll_that_core_does_not_hold_does_not_spin() -> None:
    rig = Rig(settings=Settings(long_poll=25.0, backoff_first=30.0)).polling()
    rig.answer(sync_response(channel_sync(head=0), stream=None), after=0.01)
    assert rig.machine.deadline >= rig.now + 2.4


def test_a_long_poll_does_not_hold_up_the_next_try_of_the_stream() -> None:
    rig = Rig(settings=Settings(long_poll=25.0, backoff_first=8.0)).polling()
    assert rig.of(StartSync, rig.log)[-1].wait_s == pytest.approx(8.0)


def test_a_bye_while_polling_does_not_put_off_the_polls() -> None:
    rig = Rig().polling()
    rig.answer(after=60.0)
    rig.bye("drain", ms=50_000)
    assert rig.state() is State.POLLING
    assert rig.machine.deadline <= rig.now + 3.6


def test_polling_goes_on_while_a_new_stream_is_tried() -> None:
    """Never blind: the stream hangs, and the polls go on beside it."""
    rig = Rig(settings=Settings(connect_timeout=10.0)).polling()
    rig.answer(after=60.0)
    assert rig.of(OpenStream)
    for n in range(1, 3):
        rig.tick()
        assert rig.of(StartSync)
        rig.answer(sync_response(channel_sync([event(n)])))
    assert rig.delivered == [1, 2]
    assert rig.state() is State.POLLING


def test_it_goes_live_only_after_hello_and_a_sync_begun_after_it() -> None:
    rig = Rig().polling()
    rig.answer(after=60.0)
    rig.tick()
    before = rig.sync
    said = rig.hello()
    assert [type(c) for c in said] == [CancelSync, StartSync]
    assert rig.state() is State.POLLING
    rig.tell(SyncDone(before, sync_response(channel_sync(head=0))))
    assert rig.state() is State.POLLING, "a sync from before the hello proves nothing"
    rig.answer()
    assert rig.state() is State.LIVE


def test_the_way_back_leaves_no_gap_and_no_double() -> None:
    rig = Rig().polling()
    rig.answer(after=60.0)
    rig.hello()
    rig.push(1)
    rig.push(2)
    rig.answer(sync_response(channel_sync([event(1), event(2), event(3)])))
    assert rig.state() is State.LIVE
    rig.push(3)
    rig.push(4)
    assert rig.delivered == [1, 2, 3, 4]


def test_a_stream_that_dies_while_it_is_tried_does_not_stop_the_polls() -> None:
    rig = Rig().polling()
    rig.answer(after=60.0)
    rig.hello()
    rig.end()
    assert rig.state() is State.POLLING
    rig.answer()
    assert rig.state() is State.POLLING
    assert rig.machine.deadline <= rig.now + 3.6


def test_an_answer_without_a_stream_leads_to_polling() -> None:
    rig = Rig()
    rig.answer(sync_response(channel_sync(head=0), stream=None))
    assert rig.state() is State.POLLING


# ── back-off ─────────────────────────────────────────────────────────────────


def after_a_long_fault(retry_after: float | None = None) -> Rig:
    """Polling; the stream was refused until its back-off was longest, then three syncs failed."""
    rig = Rig()
    refused = 0
    while refused < 10:
        rig.answer()
        if rig.of(OpenStream):
            refused += 1
            rig.end("busy", retry_after)
        if refused < 10:
            rig.tick()
    for _ in range(3):
        rig.tick()
        rig.fail_sync()
    rig.tick()
    return rig


def test_the_first_answer_after_a_long_fault_lets_the_stream_be_tried_at_once() -> None:
    rig = after_a_long_fault()
    assert rig.of(OpenStream, rig.answer())


def test_a_stream_that_fails_after_a_long_fault_begins_a_back_off_of_its_own() -> None:
    rig = after_a_long_fault()
    rig.answer()
    rig.end("busy")
    rig.tick()
    assert rig.of(OpenStream, rig.answer()), "the first back-off is shorter than a poll"


def test_two_failed_syncs_are_no_long_fault() -> None:
    rig = Rig().polling()
    for _ in range(2):
        rig.fail_sync()
        rig.tick()
    rig.machine._client.probe_at = rig.now + 30.0
    assert not rig.of(OpenStream, rig.answer())


def test_after_a_long_fault_the_server_s_own_word_about_waiting_still_holds() -> None:
    rig = after_a_long_fault(retry_after=50.0)
    assert not rig.of(OpenStream, rig.answer())


def test_back_off_doubles_up_to_its_most_with_full_jitter() -> None:
    rig = Rig(settings=Settings(backoff_first=1.0, backoff_most=8.0))
    waits = []
    for _ in range(6):
        rig.fail_sync()
        waits.append(rig.machine.deadline - rig.now)
        rig.tick()
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    rig = Rig(uniform=min)
    rig.fail_sync()
    assert rig.of(StartSync), "full jitter goes down to nothing"


def test_a_mere_connect_does_not_forget_the_back_off() -> None:
    rig = Rig(settings=Settings(stream_failures=3))
    for _ in range(3):
        rig.answer()
        rig.hello()
        rig.push((rig.machine.positions[CHANNEL] or 0) + 1)
        rig.end()
        if rig.state() is State.SYNCING:
            rig.tick()
    assert rig.state() is State.POLLING


def test_a_healthy_time_forgets_the_back_off_and_planned_ends_do_not_break_it() -> None:
    rig = Rig(settings=Settings(stream_failures=2, healthy_after=60.0))
    rig.answer()
    rig.end()
    rig.tick()
    rig.live()
    rig.bye(after=40.0)
    rig.live()
    rig.tell(StreamHeartbeat(rig.stream, NOW + timedelta(seconds=5)), 21.0)
    rig.end()
    assert rig.state() is State.SYNCING


def refused_for(rig: Rig, seconds: float) -> None:
    """The stream's server is gone for so long: whoever comes is refused."""
    until = rig.now + seconds
    while rig.now < until:
        if rig.machine._client.stream.open:
            rig.end()
        elif rig.machine._client.sync.active:
            rig.answer()
        else:
            rig.tick()


def back_after(rig: Rig) -> float:
    """Seconds until it is live, now that nothing fails any more."""
    began = rig.now
    while rig.state() is not State.LIVE:
        if rig.machine._client.sync.active:
            rig.answer()
        elif rig.machine._client.stream.open:
            rig.hello()
        else:
            rig.tick()
    return rig.now - began


@pytest.mark.parametrize("gone", [1.0, 6.0, 20.0, 50.0])
def test_a_lost_stream_is_tried_with_each_poll_while_its_server_starts_anew(gone: float) -> None:
    rig = Rig().live()
    rig.tell(StreamHeartbeat(rig.stream, NOW + timedelta(seconds=5)), 14.0)
    rig.tell(StreamHeartbeat(rig.stream, NOW + timedelta(seconds=9)), 5.0)
    rig.end()
    refused_for(rig, gone)
    assert back_after(rig) <= 3.0 * 1.2, "more than one poll has passed"


def tries(rig: Rig, seconds: float) -> int:
    """How often it tries the stream while its server is gone for so long."""
    before = len(rig.of(OpenStream, rig.log))
    refused_for(rig, seconds)
    return len(rig.of(OpenStream, rig.log)) - before


def test_a_server_that_stays_away_is_tried_more_and_more_seldom() -> None:
    rig = Rig().live()
    rig.tell(StreamHeartbeat(rig.stream, NOW + timedelta(seconds=5)), 14.0)
    rig.tell(StreamHeartbeat(rig.stream, NOW + timedelta(seconds=9)), 5.0)
    rig.end()
    assert tries(rig, 60.0) >= 15
    assert tries(rig, 60.0) <= 4


def test_a_stream_that_was_never_well_for_long_is_tried_with_back_off() -> None:
    rig = Rig().live()
    rig.push(1, after=10.0)
    rig.end()
    assert tries(rig, 60.0) <= 8


def test_a_lost_stream_whose_server_asks_for_time_is_given_it() -> None:
    rig = Rig().live()
    rig.tell(StreamHeartbeat(rig.stream, NOW + timedelta(seconds=5)), 14.0)
    rig.tell(StreamHeartbeat(rig.stream, NOW + timedelta(seconds=9)), 5.0)
    rig.end("busy", 25.0)
    assert back_after(rig) >= 25.0


def test_time_without_a_stream_is_not_healthy_time() -> None:
    rig = Rig(settings=Settings(stream_failures=2, healthy_after=60.0))
    rig.answer()
    rig.end()
    rig.tick()
    rig.tell(Tick(), 0.0)
    rig.answer(after=29.0)
    rig.end()
    assert rig.state() is State.POLLING


@pytest.mark.parametrize("kind", ["busy", "unreachable", "malformed", "token"])
def test_a_failing_sync_never_leads_to_a_full_resync(kind: FailureKind) -> None:
    rig = Rig(5)
    for _ in range(10):
        rig.fail_sync(kind)
        assert rig.state() is State.SYNCING
        rig.tick()
        assert rig.of(StartSync)[0].after == {CHANNEL: 5}


def test_retry_after_of_a_sync_is_honoured() -> None:
    rig = Rig()
    rig.fail_sync("busy", retry_after=77.0)
    assert rig.machine.deadline == rig.now + 77.0


def test_a_sync_that_is_not_answered_is_given_up_and_tried_again() -> None:
    rig = Rig()
    said = rig.tick()
    assert [type(c) for c in said] == [CancelSync]
    assert rig.machine.failing
    rig.tick()
    assert rig.of(StartSync)


# ── permission ───────────────────────────────────────────────────────────────


def test_a_refused_token_is_replaced_once() -> None:
    rig = Rig()
    rig.fail_sync("unauthorized")
    (sync,) = rig.of(StartSync)
    assert sync.new_token
    rig.answer()
    assert rig.state() is State.CONNECTING


def test_a_new_token_that_is_refused_too_ends_the_client() -> None:
    rig = Rig()
    rig.fail_sync("unauthorized")
    rig.fail_sync("unauthorized")
    assert rig.state() is State.FAILED
    (finished,) = rig.of(Finished)
    assert isinstance(finished.cause, Failure)
    assert finished.cause.kind == "unauthorized"


def test_a_token_that_cannot_be_had_now_is_asked_for_again_later() -> None:
    rig = Rig()
    rig.fail_sync("unauthorized")
    for _ in range(5):
        rig.fail_sync("token")
        assert rig.state() is State.SYNCING
        rig.tick()
        assert rig.of(StartSync)[0].new_token
    rig.answer()
    assert rig.state() is State.CONNECTING


def test_a_token_callback_that_hangs_is_given_up_like_a_sync() -> None:
    rig = Rig()
    rig.fail_sync("unauthorized")
    rig.tick()
    assert rig.of(CancelSync)
    rig.tick()
    assert rig.of(StartSync)[0].new_token


def test_a_token_that_expires_after_an_outage_is_replaced_again() -> None:
    rig = Rig()
    rig.fail_sync("unauthorized")
    rig.fail_sync("busy")
    rig.tick()
    rig.fail_sync("unauthorized")
    assert rig.state() is State.SYNCING
    assert rig.of(StartSync)[0].new_token


def test_a_refusal_for_good_ends_the_client_with_its_reason() -> None:
    rig = Rig()
    cause = RefusedError("403", 403)
    rig.tell(SyncFailed(rig.sync, Failure("refused", "403", cause=cause)))
    assert rig.state() is State.FAILED


def test_a_bug_in_the_handler_ends_the_client_with_its_cause() -> None:
    rig = Rig().live()
    error = KeyError("x")
    said = rig.tell(GiveUp(error))
    assert [type(c) for c in said] == [CloseStream, Finished]
    assert rig.of(Finished)[0].cause is error
    assert rig.machine.last_failure is not None


# ── pressure ─────────────────────────────────────────────────────────────────


def test_a_consumer_that_does_not_keep_up_loses_the_stream_and_nothing_else() -> None:
    rig = Rig(settings=Settings(max_pending=4)).live()
    for seq in (1, 2, 3, 4):
        rig.push(seq)
    assert rig.of(CloseStream)
    assert rig.machine.paused
    assert rig.machine.deadline == float("inf")
    assert rig.tell(Acknowledged(1)) == []
    (sync,) = rig.tell(Acknowledged(1))
    assert isinstance(sync, StartSync)
    assert sync.after == {CHANNEL: 4}


def test_pages_wait_for_the_consumer() -> None:
    rig = Rig(settings=Settings(max_pending=2))
    rig.answer(sync_response(channel_sync([event(1), event(2)], head=9, has_more=True)))
    assert rig.of(StartSync) == []
    assert rig.machine.paused
    rig.tell(Acknowledged(1))
    assert rig.of(StartSync)


def test_polls_wait_for_the_consumer_and_no_stream_is_tried_meanwhile() -> None:
    rig = Rig(settings=Settings(max_pending=2)).polling()
    rig.answer(sync_response(channel_sync([event(1), event(2)])), after=60.0)
    assert rig.of(OpenStream) == []
    assert rig.tick() == []
    assert rig.machine.paused
    rig.tell(Acknowledged(2))
    assert rig.of(StartSync)


def test_an_idle_consumer_is_not_flooded_with_digests() -> None:
    """Every poll brings the digest; only a new one is worth a check."""
    rig = Rig().polling()
    checks = len(rig.of(CheckDigest, rig.log))
    for _ in range(50):
        rig.answer(sync_response(channel_sync(head=0), stream=None))
        rig.tick()
    assert len(rig.of(CheckDigest, rig.log)) == checks


# ── digests ──────────────────────────────────────────────────────────────────


def test_the_digest_is_checked_after_the_deliveries_that_lead_to_the_head() -> None:
    rig = Rig()
    rig.answer(sync_response(channel_sync([event(1), event(2)], digest="0" * 16)))
    kinds = [type(c) for c in rig.said]
    assert kinds == [Deliver, Deliver, CheckDigest, OpenStream]


def test_the_digest_is_not_checked_before_the_head() -> None:
    rig = Rig()
    rig.answer(sync_response(channel_sync([event(1)], head=4, has_more=True)))
    assert rig.of(CheckDigest) == []


def test_a_difference_leads_to_a_snapshot_and_is_reported() -> None:
    rig = Rig(5).live()
    said = rig.tell(Diverged(CHANNEL))
    assert [type(c) for c in said] == [CloseStream, StartSync]
    assert rig.of(StartSync)[0].after == {CHANNEL: None}
    assert rig.machine.counters.divergences == 1
    rig.answer(sync_response(channel_sync(reset="first_sync", snapshot=snapshot(6, "a"))))
    assert rig.resets == ["digest"]
    assert rig.of(CheckDigest), "the snapshot is checked as well"
    assert rig.state() is State.CONNECTING


def test_a_difference_that_stays_neither_loops_nor_stops_the_rest() -> None:
    rig = Rig(5, Settings(backoff_first=10.0)).live()
    wrong = sync_response(channel_sync(reset="first_sync", snapshot=snapshot(6, "a")))
    rig.tell(Diverged(CHANNEL))
    rig.answer(wrong)
    rig.hello()
    assert rig.tell(Diverged(CHANNEL)) == [], "a second snapshot waits"
    assert rig.state() is State.LIVE
    rig.bye(after=50.0)
    rig.answer()
    assert rig.of(CheckDigest), "it is looked at again with the next sync"
    rig.hello()
    assert rig.of(StartSync, rig.tell(Diverged(CHANNEL)))


# ── generations and clocks ───────────────────────────────────────────────────


def test_what_comes_from_an_older_generation_is_ignored() -> None:
    rig = Rig().live()
    old_stream, old_sync = rig.stream, rig.sync
    rig.bye(after=50.0)
    rig.live()
    stale: list[Input] = [
        StreamHello(old_stream, EPOCH, NOW),
        StreamEvent(old_stream, event(1)),
        StreamHeartbeat(old_stream, NOW + timedelta(hours=1)),
        StreamSyncRequired(old_stream, CHANNEL, "gap"),
        StreamBye(old_stream, "degraded", 0),
        StreamEnded(old_stream, Failure("busy", "")),
        SyncDone(old_sync, sync_response(channel_sync([event(1)]))),
        SyncFailed(old_sync, Failure("refused", "")),
    ]
    for signal in stale:
        assert rig.tell(signal) == []
        assert rig.state() is State.LIVE
    assert rig.delivered == []


def test_a_clock_that_goes_back_stands_still() -> None:
    rig = Rig().live()
    rig.tell(Tick(), -500.0)
    rig.push(1)
    assert rig.state() is State.LIVE
    assert rig.machine.deadline >= 1000.0


def test_a_clock_that_jumps_ahead_leads_to_polling_and_back() -> None:
    """As after the sleep of a laptop."""
    rig = Rig().live()
    rig.tell(Tick(), 3600.0)
    assert rig.state() is State.POLLING
    rig.answer(after=60.0)
    rig.hello()
    rig.answer()
    assert rig.state() is State.LIVE


def test_lag_tells_how_old_the_knowledge_is_by_core_s_clock() -> None:
    rig = Rig().live()
    freshness = rig.machine.freshness
    assert freshness.lag(rig.now) == 0.0
    assert freshness.lag(rig.now + 4.0) == pytest.approx(4.0)
    rig.tell(StreamHeartbeat(rig.stream, NOW + timedelta(seconds=3)), 5.0)
    assert freshness.lag(rig.now) == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    "settings",
    [
        {"stream_failures": 0},
        {"max_pending": 0},
        {"backoff_first": -1.0},
        {"sync_timeout": 0.0},
        {"watermark_timeout": float("inf")},
        {"poll_jitter": 1.5},
        {"long_poll": 26.0},
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Settings(**settings)  # type: ignore[arg-type]


MAX_REQUESTS = 800
"""In a minute: a poll each 80 ms at the very least, and a few more."""


@pytest.mark.parametrize("hostile", range(7))
def test_a_server_that_answers_at_once_and_never_ends_is_asked_at_a_bounded_rate(
    hostile: int,
) -> None:
    rig = Rig(uniform=Random(hostile).uniform)
    machine, began, requests = rig.machine, rig.now, 0
    sync, stream = rig.sync, 0
    while rig.now - began < 60.0:
        rig.now += 0.001
        if machine._client.sync.active:
            rig.tell(SyncDone(sync, HOSTILE[hostile](rig)))
        elif machine._client.stream.open:
            rig.tell(StreamHello(stream, machine.epoch or "", NOW))
            rig.tell(StreamEvent(stream, event(1)))
            rig.tell(StreamBye(stream, "timeout", 0))
        else:
            rig.tell(Tick(), max(0.0, machine.deadline - rig.now))
        rig.tell(Acknowledged(machine.pending))
        for command in rig.log:
            if isinstance(command, StartSync):
                sync, requests = command.generation, requests + 1
            elif isinstance(command, OpenStream):
                stream, requests = command.generation, requests + 1
        rig.log.clear()
        assert machine.state not in (State.FAILED, State.CLOSED)
        assert requests <= MAX_REQUESTS


def _anew(more: bool) -> Callable[[Rig], SyncResponse]:
    anew = channel_sync(reset="ahead", snapshot=Snapshot(0, []), head=1, has_more=more)
    return lambda _rig: sync_response(anew, poll_after_ms=0)


HOSTILE: list[Callable[[Rig], SyncResponse]] = [
    _anew(True),
    _anew(False),
    lambda rig: sync_response(
        channel_sync(reset="epoch", snapshot=Snapshot(0, []), head=1, has_more=True),
        epoch=f"E{rig.now:.3f}",
    ),
    lambda _rig: sync_response(channel_sync(head=9, has_more=True)),
    lambda _rig: sync_response(
        channel_sync(head=0),
        channel_sync([event(9, channel="store:13")], channel="store:13", has_more=True),
    ),
    lambda rig: sync_response(channel_sync(head=rig.machine.positions[CHANNEL] or 0)),
    lambda _rig: sync_response(),
]
