"""A stream from its hello to its end."""

from __future__ import annotations

import json

import pytest

from event_server.errors import StreamRefusedError
from event_server.streams.registry import TICK_S, Streams
from event_server.streams.request_rules import Accepted, StreamRequest
from server_common.access.tickets import Ticket
from tests.unit.event_server.parts import (
    EPOCH,
    KEYS,
    FakeSubscriber,
    event,
    make_hub,
    make_streams,
    make_ticket,
)

A = "store:1"
TICKET = make_ticket({A: 7})


def ready(**options: object) -> Streams:
    """Streams over a hub whose watermark is 1000 at the time 0."""
    hub = make_hub()
    hub.mark(0, 1000.0, 0.0)
    return make_streams(hub, **options)  # type: ignore[arg-type]


def connect(
    streams: Streams, now: float = 0.0, ticket: Ticket = TICKET, last_event_id: str = ""
) -> FakeSubscriber:
    accepted = streams.judge(StreamRequest(KEYS.sign(ticket), last_event_id, ""), now)
    subscriber = FakeSubscriber()
    streams.open(subscriber, accepted, now)
    return subscriber


def advance(streams: Streams, start: float, end: float, marks: bool = True) -> None:
    """Turn the timer from `start` to `end`; the relay marks each second if `marks`."""
    for tick in range(round(start / TICK_S), round(end / TICK_S)):
        now = tick * TICK_S
        if marks and tick % 10 == 0:
            streams.hub.mark(0, 1000.0 + now, now)
        streams.turn(now)


def refused(streams: Streams, now: float = 0.0) -> StreamRefusedError:
    with pytest.raises(StreamRefusedError) as error:
        connect(streams, now)
    return error.value


class TestBeginning:
    def test_retry_and_hello_come_first_then_what_was_missed(self) -> None:
        streams = ready()
        for seq in (7, 8, 9):
            streams.hub.publish(A, seq, event(A, seq), 1000.0)
        subscriber = connect(streams)
        assert subscriber.raw.startswith(b"retry: 2000\n\nevent: hello\n")
        assert subscriber.types() == ["hello", "order.placed", "order.placed"]
        assert json.loads(subscriber.events[0].data) == {
            "server": "server-1",
            "epoch": EPOCH,
            "watermark": "1970-01-01T00:16:40.000000Z",
            "ends_in_ms": 67500,
            "replayed": 2,
        }

    def test_what_cannot_be_covered_gets_sync_required_and_nothing_else(self) -> None:
        streams = ready()
        subscriber = connect(streams, last_event_id="3")
        assert subscriber.types() == ["sync-required"]
        assert subscriber.ended

    def test_a_ticket_tells_the_time_too(self) -> None:
        streams = ready()
        connect(streams, ticket=make_ticket({A: 7}, issued_at=1004.0))
        assert streams.hub.clock.estimate(0.0) == 1004.0


class TestRefusals:
    def test_a_server_that_warms_up(self) -> None:
        streams = ready()
        streams.hub.warm = False
        error = refused(streams)
        assert error.slug == "degraded"
        assert error.retry_after == 0.6, "it will be warm soon"

    def test_a_server_whose_watermark_is_too_old(self) -> None:
        streams = ready()
        error = refused(streams, now=6.0)
        assert error.slug == "degraded"
        assert error.retry_after == 3.0

    def test_a_full_server(self) -> None:
        streams = ready(max_streams=2)
        connect(streams)
        first = connect(streams)
        assert refused(streams).slug == "overloaded"
        streams.close(first)
        connect(streams)

    def test_a_stream_that_is_ending_still_counts(self) -> None:
        streams = ready(max_streams=1)
        subscriber = connect(streams)
        streams.slow(subscriber, 0.0)
        assert refused(streams).slug == "overloaded"

    def test_a_server_that_is_stopping(self) -> None:
        streams = ready()
        streams.drain(10.0, 0.0)
        assert refused(streams).slug == "unavailable"


class TestHeartbeats:
    def test_each_stream_gets_one_per_period_with_the_watermark(self) -> None:
        streams = ready(heartbeat_s=2.0)
        subscriber = connect(streams)
        advance(streams, 0.1, 10.1)
        beats = [e for e in subscriber.events if e.type == "heartbeat"]
        assert len(beats) == 5
        assert json.loads(beats[-1].data)["watermark"] >= "1970-01-01T00:16:48.000000Z"

    def test_they_are_spread_over_the_period(self) -> None:
        shares = iter([0.5])

        def share(low: float, high: float) -> float:
            return low + (high - low) * next(shares, 0.5)

        streams = ready(heartbeat_s=1.0, uniform=share)
        subscribers = []
        for n in range(10):
            shares = iter([0.5, n / 10 + 0.01])
            subscribers.append(connect(streams))
        per_tick = []
        for tick in range(11, 21):
            before = sum(len(s.events) for s in subscribers)
            streams.turn(tick * TICK_S)
            per_tick.append(sum(len(s.events) for s in subscribers) - before)
        assert per_tick == [1] * 10


class TestEnds:
    def test_after_its_lifetime_with_bye_timeout(self) -> None:
        streams = ready(lifetime_s=(3.0, 3.0))
        subscriber = connect(streams)
        advance(streams, 0.1, 3.0)
        assert not subscriber.ended
        advance(streams, 3.0, 3.2)
        assert json.loads(subscriber.events[-1].data) == {
            "reason": "timeout",
            "reconnect_after_ms": 250,
        }

    def test_nothing_comes_after_bye(self) -> None:
        streams = ready(lifetime_s=(1.0, 1.0), heartbeat_s=0.1)
        subscriber = connect(streams)
        advance(streams, 0.1, 1.2)
        streams.hub.publish(A, 8, event(A, 8), 1000.0)
        advance(streams, 1.2, 3.0)
        assert subscriber.types()[-1] == "bye"

    def test_degraded_ends_every_stream(self) -> None:
        streams = ready()
        subscribers = [connect(streams) for _ in range(3)]
        advance(streams, 0.1, 4.9, marks=False)
        assert not any(s.ended for s in subscribers)
        advance(streams, 4.9, 5.3, marks=False)
        assert [json.loads(s.events[-1].data)["reason"] for s in subscribers] == ["degraded"] * 3

    def test_a_slow_client_is_ended_once(self) -> None:
        streams = ready()
        subscriber = connect(streams)
        streams.slow(subscriber, 0.0)
        streams.slow(subscriber, 0.0)
        assert json.loads(subscriber.events[-1].data)["reason"] == "slow"

    def test_whose_last_words_do_not_leave_is_cut_off(self) -> None:
        streams = ready()
        stuck, gone = connect(streams), connect(streams)
        streams.slow(stuck, 0.0)
        streams.slow(gone, 0.0)
        streams.close(gone)
        advance(streams, 0.1, 4.9)
        assert not stuck.aborted
        advance(streams, 4.9, 5.2)
        assert stuck.aborted
        assert not gone.aborted

    def test_who_leaves_is_forgotten(self) -> None:
        streams = ready(lifetime_s=(1.0, 1.0), heartbeat_s=0.1)
        subscriber = connect(streams)
        streams.close(subscriber)
        seen = len(subscriber.events)
        streams.hub.publish(A, 8, event(A, 8), 1000.0)
        advance(streams, 0.1, 3.0)
        assert len(subscriber.events) == seen
        assert len(streams) == 0


class TestDrain:
    def test_streams_are_ended_evenly_over_the_time(self) -> None:
        streams = ready()
        subscribers = [connect(streams) for _ in range(10)]
        streams.drain(5.0, 0.0)
        ended = []
        for tick in range(60):
            streams.turn(tick * TICK_S)
            ended.append(sum(s.ended for s in subscribers))
        assert ended[2] == 1
        assert ended[27] == pytest.approx(6, abs=1)
        assert ended[50] == 10
        assert {json.loads(s.events[-1].data)["reason"] for s in subscribers} == {"drain"}

    def test_a_stream_that_would_have_ended_earlier_is_not_kept_longer(self) -> None:
        streams = ready(lifetime_s=(1.0, 1.0))
        connect(streams)
        last = connect(streams)
        streams.drain(30.0, 0.0)
        advance(streams, 0.1, 1.2)
        assert last.ended


def test_old_events_leave_the_rings_by_the_database_clock() -> None:
    streams = ready()
    streams.hub.publish(A, 8, event(A, 8), 1000.0)
    advance(streams, 0.1, 119.0)
    assert streams.hub.rings.get(A) is not None
    advance(streams, 119.0, 124.0)
    assert streams.hub.rings.get(A) is None


def test_an_accepted_request_keeps_what_was_asked() -> None:
    accepted = Accepted(TICKET, {A: 7})
    assert accepted.positions == {A: 7}


class TestTheTrueReasonIsCounted:
    def ended(self, streams: Streams) -> dict[str, int]:
        return {reason: count for reason, count in streams.ended.items() if count}

    def test_a_stream_that_the_hub_ended_was_not_ended_by_its_client(self) -> None:
        streams = ready()
        subscriber = connect(streams)
        streams.hub.publish(A, 9, event(A, 9), 1000.0)
        assert subscriber.types()[-1] == "sync-required"
        streams.close(subscriber)
        assert self.ended(streams) == {"sync-required": 1}
        assert len(streams) == 0

    def test_its_last_frame_has_as_long_to_leave_as_any(self) -> None:
        streams = ready()
        subscriber = connect(streams)
        streams.hub.publish(A, 9, event(A, 9), 1000.0)
        advance(streams, 0.1, 4.9)
        assert not subscriber.aborted
        advance(streams, 4.9, 5.4)
        assert subscriber.aborted
        assert self.ended(streams) == {"sync-required": 1, "aborted": 1}

    @pytest.mark.parametrize("how", ["slow", "degraded", "drain", "timeout"])
    def test_so_is_every_bye(self, how: str) -> None:
        streams = ready(lifetime_s=(1.0, 1.0))
        subscriber = connect(streams)
        if how == "slow":
            streams.slow(subscriber, 0.0)
        elif how == "degraded":
            streams.end_all("degraded", 0.0)
        else:
            if how == "drain":
                streams.drain(0.0, 0.0)
            advance(streams, 0.1, 1.3)
        streams.close(subscriber)
        assert self.ended(streams) == {how: 1}


class Broken(FakeSubscriber):
    """Cannot be written to any more."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks = False

    def send(self, frame: bytes) -> None:
        if self.breaks:
            raise OSError("a bug of the transport")
        super().send(frame)


class TestOneThatCannotBeWrittenTo:
    def streams(self) -> tuple[Streams, list[FakeSubscriber], Broken]:
        streams = ready(heartbeat_s=0.1, lifetime_s=(3.0, 3.0))
        streams.hub._failed = lambda subscriber, _error: streams.give_up(subscriber)
        streams.hub.publish(A, 7, event(A, 7), 1000.0)
        broken = Broken()
        others = [connect(streams)]
        accepted = streams.judge(StreamRequest(KEYS.sign(TICKET), "", ""), 0.0)
        streams.open(broken, accepted, 0.0)
        others += [connect(streams), connect(streams)]
        broken.breaks = True
        return streams, others, broken

    def test_ends_alone_when_an_event_is_handed_out(self) -> None:
        streams, others, broken = self.streams()
        for seq in (8, 9):
            streams.hub.publish(A, seq, event(A, seq), 1000.0)
        assert all(one.ids() == [f"{A}@8", f"{A}@9"] for one in others)
        assert broken.aborted
        streams.close(broken)
        assert streams.ended["failed"] == 1
        assert streams.ended["client"] == 0

    def test_ends_alone_when_a_heartbeat_is_due(self) -> None:
        streams, others, broken = self.streams()
        advance(streams, 0.1, 1.0)
        assert all(one.types().count("heartbeat") >= 8 for one in others)
        assert broken.aborted

    def test_ends_alone_when_all_are_told_to_go(self) -> None:
        streams, others, broken = self.streams()
        streams.hub.forget("gap")
        assert all(one.types()[-1] == "sync-required" for one in others)
        assert broken.aborted

    def test_ends_alone_when_its_time_has_come(self) -> None:
        streams, others, broken = self.streams()
        advance(streams, 0.1, 0.2)
        streams.end_all("degraded", 0.2)
        assert all(one.types()[-1] == "bye" for one in others)
        assert broken.aborted


class TestBeyondTheHead:
    """`lastEventId` beyond what has come: never hello and then silence."""

    def test_what_the_ticket_does_not_vouch_for_must_sync(self) -> None:
        streams = ready()
        assert connect(streams, last_event_id="9").types() == ["sync-required"]
        streams.hub.publish(A, 7, event(A, 7), 1000.0)
        assert connect(streams, last_event_id="9").types() == ["sync-required"]
        assert connect(streams, last_event_id="7").types() == ["hello"]

    def test_a_ticket_ahead_of_a_server_that_lags_is_good_until_the_watermark_passes_it(
        self,
    ) -> None:
        streams = ready()
        streams.hub.publish(A, 6, event(A, 6), 1000.0)
        waiting = connect(streams)
        assert waiting.types() == ["hello"]
        streams.hub.mark(0, 1000.9, 0.9)
        assert waiting.types() == ["hello"]
        streams.hub.mark(0, 1001.0, 1.0)
        assert waiting.types() == ["hello", "sync-required"]
        assert connect(streams, 1.0).types() == ["sync-required"]

    def test_one_whose_channel_comes_up_in_time_goes_on(self) -> None:
        streams = ready()
        streams.hub.publish(A, 6, event(A, 6), 1000.0)
        waiting = connect(streams)
        streams.hub.publish(A, 7, event(A, 7), 1000.0)
        streams.hub.mark(0, 1002.0, 1.0)
        streams.hub.publish(A, 8, event(A, 8), 1000.0)
        assert waiting.ids() == [f"{A}@8"]

    def test_a_quiet_channel_is_no_doubt(self) -> None:
        streams = ready()
        waiting = connect(streams)
        streams.hub.mark(0, 1005.0, 5.0)
        streams.hub.publish(A, 8, event(A, 8), 1004.0)
        assert waiting.ids() == [f"{A}@8"]
