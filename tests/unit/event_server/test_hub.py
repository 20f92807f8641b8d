"""The hub's rules, one by one."""

from __future__ import annotations

import json

import pytest

from client_sdk.contract.stream import SyncRequired
from event_server.replay.hub import Hub
from tests.unit.event_server.parts import EPOCH, FakeSubscriber, event, make_hub

A, B = "store:1", "table:1/5"


def attach(
    hub: Hub,
    positions: dict[str, int],
    synced: dict[str, int] | None = None,
    issued_at: float = 1000.0,
    epoch: str = EPOCH,
) -> tuple[FakeSubscriber, SyncRequired | None]:
    subscriber = FakeSubscriber()
    replay = hub.attach(subscriber, positions, synced or positions, issued_at, epoch)
    if isinstance(replay, SyncRequired):
        return subscriber, replay
    for missed in replay:
        subscriber.send(missed)
    return subscriber, None


def publish(hub: Hub, channel: str, *seqs: int, time: float = 1000.0) -> None:
    for seq in seqs:
        hub.publish(channel, seq, event(channel, seq), time)


def ids(channel: str, *seqs: int) -> list[str]:
    return [f"{channel}@{seq}" for seq in seqs]


class TestAttach:
    def test_at_the_head_gets_what_comes_next(self) -> None:
        hub = make_hub()
        publish(hub, A, 7)
        subscriber, _ = attach(hub, {A: 7})
        publish(hub, A, 8, 9)
        assert subscriber.ids() == ids(A, 8, 9)

    def test_below_the_head_gets_what_it_missed_first(self) -> None:
        hub = make_hub()
        publish(hub, A, 5, 6, 7)
        subscriber, _ = attach(hub, {A: 5})
        publish(hub, A, 8)
        assert subscriber.ids() == ids(A, 6, 7, 8)

    def test_just_below_the_floor_is_the_last_position_that_is_covered(self) -> None:
        hub = make_hub()
        publish(hub, A, 5, 6)
        assert attach(hub, {A: 4})[0].ids() == ids(A, 5, 6)
        assert attach(hub, {A: 3})[1] == SyncRequired(A, "ring")

    def test_a_ring_keeps_so_many_events_and_no_more(self) -> None:
        hub = make_hub(max_events=3)
        publish(hub, A, 1, 2, 3, 4, 5)
        assert attach(hub, {A: 2})[0].ids() == ids(A, 3, 4, 5)
        assert attach(hub, {A: 1})[1] == SyncRequired(A, "ring")

    def test_a_ticket_older_than_what_is_covered_must_sync(self) -> None:
        hub = make_hub(covered_since=1000.5)
        publish(hub, A, 7)
        assert attach(hub, {A: 7}, issued_at=1000.4)[1] == SyncRequired(A, "ring")
        assert attach(hub, {A: 7}, issued_at=1000.5)[1] is None

    def test_a_ticket_of_another_epoch_must_sync(self) -> None:
        hub = make_hub()
        assert attach(hub, {A: 7}, epoch="01EPOCH0")[1] == SyncRequired(A, "restart")
        assert attach(hub, {A: 7}, epoch="01EPOCH2")[1] == SyncRequired(A, "restart")

    def test_a_quiet_channel_without_a_ring_goes_on_from_the_position(self) -> None:
        hub = make_hub()
        subscriber, _ = attach(hub, {A: 7})
        publish(hub, A, 8, 9)
        assert subscriber.ids() == ids(A, 8, 9)

    def test_below_its_own_sync_only_what_is_in_the_ring_counts(self) -> None:
        hub = make_hub()
        assert attach(hub, {A: 5}, synced={A: 7})[1] == SyncRequired(A, "ring")
        publish(hub, A, 6)
        assert attach(hub, {A: 5}, synced={A: 7})[1] == SyncRequired(A, "ring")
        publish(hub, A, 7)
        assert attach(hub, {A: 5}, synced={A: 7})[0].ids() == ids(A, 6, 7)

    def test_above_its_own_sync_it_goes_on_from_there(self) -> None:
        hub = make_hub()
        publish(hub, A, 6, 7, 8)
        assert attach(hub, {A: 7}, synced={A: 6})[0].ids() == ids(A, 8)

    def test_one_channel_that_is_not_covered_refuses_the_stream_and_leaves_no_trace(self) -> None:
        hub = make_hub()
        publish(hub, B, 9)
        subscriber, refused = attach(hub, {A: 1, B: 3})
        assert refused == SyncRequired(B, "ring")
        publish(hub, A, 2)
        assert subscriber.events == []
        assert hub.channels_followed == 0


class TestPending:
    """The sync saw more than the pipeline has delivered yet."""

    def test_what_the_sync_had_already_is_not_sent_again(self) -> None:
        hub = make_hub()
        publish(hub, A, 5)
        subscriber, _ = attach(hub, {A: 7})
        publish(hub, A, 6, 7, 8)
        assert subscriber.ids() == ids(A, 8)

    def test_a_record_beyond_the_next_one_is_a_gap(self) -> None:
        hub = make_hub()
        subscriber, _ = attach(hub, {A: 7})
        publish(hub, A, 9)
        assert subscriber.types() == ["sync-required"]
        assert json.loads(subscriber.events[0].data) == {"channel": A, "reason": "gap"}
        assert subscriber.ended

    def test_others_of_the_channel_are_not_touched_by_it(self) -> None:
        hub = make_hub()
        gapped, _ = attach(hub, {A: 7})
        fine, _ = attach(hub, {A: 8})
        waiting, _ = attach(hub, {A: 12})
        publish(hub, A, 9, 10, 11, 12, 13)
        assert gapped.types() == ["sync-required"]
        assert fine.ids() == ids(A, 9, 10, 11, 12, 13)
        assert waiting.ids() == ids(A, 13)


class TestLive:
    def test_an_event_goes_to_every_subscriber_of_its_channel_and_to_no_other(self) -> None:
        hub = make_hub()
        one, two, other = attach(hub, {A: 0})[0], attach(hub, {A: 0})[0], attach(hub, {B: 0})[0]
        publish(hub, A, 1)
        assert one.ids() == two.ids() == ids(A, 1)
        assert other.events == []
        assert hub.deliveries == 2

    def test_one_stream_may_follow_several_channels(self) -> None:
        hub = make_hub()
        publish(hub, A, 3)
        subscriber, _ = attach(hub, {A: 2, B: 8})
        publish(hub, B, 9)
        publish(hub, A, 4)
        assert subscriber.ids() == ids(A, 3) + ids(B, 9) + ids(A, 4)

    def test_a_record_that_came_before_is_dropped_and_counted(self) -> None:
        hub = make_hub()
        subscriber, _ = attach(hub, {A: 0})
        publish(hub, A, 1, 2, 1, 2, 3)
        assert subscriber.ids() == ids(A, 1, 2, 3)
        assert hub.duplicates == 2

    def test_a_missing_record_ends_the_stream_with_gap_and_the_ring_starts_anew(self) -> None:
        hub = make_hub()
        publish(hub, A, 1)
        subscriber, _ = attach(hub, {A: 1, B: 0})
        publish(hub, A, 3)
        publish(hub, B, 1)
        assert subscriber.types() == ["sync-required"]
        assert attach(hub, {A: 1})[1] == SyncRequired(A, "ring")
        assert attach(hub, {A: 2})[0].ids() == ids(A, 3)
        assert hub.gaps == 1
        assert hub.channels_followed == 1

    def test_a_gap_is_found_after_the_ring_has_aged_away_too(self) -> None:
        hub = make_hub()
        publish(hub, A, 1, time=1000.0)
        subscriber, _ = attach(hub, {A: 1})
        hub.rings.expire(2000.0)
        publish(hub, A, 1, time=2000.0)
        assert (subscriber.events, hub.duplicates, len(hub.rings)) == ([], 1, 0)
        publish(hub, A, 3, time=2000.0)
        assert subscriber.types() == ["sync-required"]

    def test_a_second_subscriber_joins_where_the_first_one_stands(self) -> None:
        hub = make_hub()
        publish(hub, A, 5, time=1000.0)
        attach(hub, {A: 5})
        hub.rings.expire(1010.0)
        assert attach(hub, {A: 4}, issued_at=1020.0)[1] == SyncRequired(A, "ring")
        late, _ = attach(hub, {A: 5}, issued_at=1020.0)
        publish(hub, A, 6, time=1020.0)
        assert late.ids() == ids(A, 6)

    def test_who_has_left_gets_nothing_and_costs_nothing(self) -> None:
        hub = make_hub()
        subscriber, _ = attach(hub, {A: 0, B: 0})
        hub.detach(subscriber)
        hub.detach(subscriber)
        publish(hub, A, 1)
        assert subscriber.events == []
        assert hub.channels_followed == 0


class TestChannelsOfNoStore:
    """Each partition brings them whole."""

    def test_the_copies_of_other_partitions_are_dropped_and_counted_apart(self) -> None:
        hub = make_hub()
        subscriber, _ = attach(hub, {"global": 0, "brand:b": 0})
        for _ in range(3):
            publish(hub, "global", 1, 2)
            publish(hub, "brand:b", 1)
        assert subscriber.ids() == [*ids("global", 1, 2), *ids("brand:b", 1)]
        assert (hub.copies, hub.duplicates) == (6, 0)

    def test_a_partition_that_begins_later_than_another_is_no_gap(self) -> None:
        hub = make_hub(warm=False)
        publish(hub, "global", 1, 2)
        publish(hub, "global", 5, 6)
        assert hub.gaps == 0
        hub.warm = True
        assert attach(hub, {"global": 4})[0].ids() == ids("global", 5, 6)

    def test_a_record_that_is_missing_in_all_of_them_is_a_gap(self) -> None:
        hub = make_hub()
        publish(hub, "global", 1)
        subscriber, _ = attach(hub, {"global": 1})
        publish(hub, "global", 3)
        assert subscriber.types() == ["sync-required"]
        assert hub.gaps == 1


class TestEpoch:
    def test_a_newer_epoch_ends_every_stream_and_empties_the_rings(self) -> None:
        hub = make_hub()
        publish(hub, A, 5)
        hub.mark(0, 1000.0, 1.0)
        subscriber, _ = attach(hub, {A: 5})
        assert hub.admit("01EPOCH2")
        assert json.loads(subscriber.events[0].data)["reason"] == "restart"
        assert len(hub.rings) == 0
        assert hub.watermark is None
        publish(hub, A, 1)
        assert attach(hub, {A: 1}, epoch="01EPOCH2")[1] is None

    def test_records_of_an_older_epoch_do_not_count(self) -> None:
        hub = make_hub()
        assert not hub.admit("01EPOCH0")
        assert hub.epoch == EPOCH


class TestWatermark:
    def test_it_is_the_least_of_all_partitions_and_unknown_until_each_has_one(self) -> None:
        hub = make_hub(partitions=2)
        hub.mark(0, 1005.0, 1.0)
        assert hub.watermark is None
        hub.mark(1, 1003.0, 1.0)
        assert hub.watermark == 1003.0

    def test_it_never_goes_back(self) -> None:
        hub = make_hub()
        hub.mark(0, 1005.0, 1.0)
        hub.mark(0, 1004.0, 1.1)
        assert hub.watermark == 1005.0

    @pytest.mark.parametrize("silence", [0.0, 3.0, 60.0])
    def test_the_lag_grows_while_no_watermark_comes(self, silence: float) -> None:
        hub = make_hub()
        hub.mark(0, 1005.0, 1.0)
        assert hub.lag(1.0 + silence) == pytest.approx(silence)

    def test_one_partition_that_stands_still_is_lag(self) -> None:
        hub = make_hub(partitions=2)
        hub.mark(0, 1000.0, 0.0)
        hub.mark(1, 1000.0, 0.0)
        hub.mark(0, 1009.0, 9.0)
        assert hub.lag(9.0) == pytest.approx(9.0)
