"""What the push path does not do: the work that would make an event or a second dear."""

from __future__ import annotations

from collections import Counter
from unittest.mock import patch

import pytest

from event_server.kafka.record_reader import RecordReader
from event_server.kafka.warm_up import ReadRange
from event_server.replay.database_clock import DatabaseClock
from event_server.replay.frames import Frames, UnencodedEvent, as_text
from event_server.replay.hub import Hub
from event_server.replay.ring import Rings
from event_server.streams.registry import TICK_S
from event_server.streams.request_rules import StreamRequest
from server_common.kafka_records.events import OrderRecord, encode_order_record
from tests.unit.event_server.parts import (
    EPOCH,
    KEYS,
    FakeSubscriber,
    event,
    make_hub,
    make_streams,
    make_ticket,
)

A, B = "store:1", "store:2"


class CountedFrames(Frames):
    """Frames that count how often they encode."""

    def __init__(self) -> None:
        super().__init__(as_text)
        self.made: Counter[str] = Counter()

    def event(self, event: UnencodedEvent) -> bytes:
        self.made["order"] += 1
        return super().event(event)


class Keeping(FakeSubscriber):
    """Keeps the very objects that it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)
        super().send(frame)


def counted() -> tuple[Hub, CountedFrames]:
    frames = CountedFrames()
    hub = Hub(Rings(256, 1 << 20), frames, DatabaseClock(), [0])
    hub.rings.covered_since, hub.warm = 0.0, True
    hub.admit(EPOCH)
    return hub, frames


class TestAnEvent:
    def test_is_encoded_once_for_all_who_follow_the_channel(self) -> None:
        hub, frames = counted()
        followers = [Keeping() for _ in range(50)]
        for follower in followers:
            assert hub.attach(follower, {A: 0}, {A: 0}, 1.0, EPOCH) == []
        hub.publish(A, 1, event(A, 1), 1.0)
        hub.publish(A, 2, event(A, 2), 1.0)
        assert frames.made["order"] == 2
        first = followers[0].frames
        assert all(
            ours is theirs
            for follower in followers
            for ours, theirs in zip(follower.frames, first, strict=True)
        )

    def test_that_nobody_follows_is_not_encoded(self) -> None:
        hub, frames = counted()
        hub.attach(Keeping(), {A: 0}, {A: 0}, 1.0, EPOCH)
        hub.publish(B, 1, event(B, 1), 1.0)
        assert frames.made["order"] == 0

    def test_is_never_parsed_on_its_way(self) -> None:
        hub, _ = counted()
        follower = Keeping()
        hub.attach(follower, {A: 0}, {A: 0}, 1.0, EPOCH)
        intake = RecordReader(hub, {0: ReadRange(0, 0.0)}, lambda kind, reason: None)
        hub.rings.covered_since, hub.warm = 0.0, True
        line = b'{"this is": no JSON'
        record = OrderRecord(EPOCH, "order.placed", "2026-01-01T00:00:00Z", (f"{A}@1",), (line,))
        intake.take(0, 0, 1.0, *encode_order_record(record), 0.0)
        assert follower.events[-1].data == line.decode()


class TestASecond:
    @pytest.mark.parametrize(("streams_open", "encoded"), [(40, 2), (1, 2), (0, 0)])
    def test_encodes_one_heartbeat_for_all_whose_turn_it_is(
        self, streams_open: int, encoded: int
    ) -> None:
        hub = make_hub()
        hub.mark(0, 1000.0, 0.0)
        streams = make_streams(hub, heartbeat_s=1.0, uniform=lambda low, _: low)
        for _ in range(streams_open):
            request = StreamRequest(KEYS.sign(make_ticket({A: 0})), "", "")
            streams.open(FakeSubscriber(), streams.judge(request, 0.0), 0.0)
        with patch.object(Frames, "heartbeat", autospec=True, return_value=b": beat\n\n") as beat:
            for tick in range(20):
                streams.turn(tick * TICK_S)
        # Their turns come together here: twice in twenty ticks.
        assert beat.call_count == encoded
