"""What marks prove to a client over MQTT."""

from __future__ import annotations

import pytest

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import ChannelError
from client_sdk.mqtt.marks import MarkWatch
from client_sdk.mqtt.topics import Mark, topic_of

EPOCH = "01A"
CHANNEL = "store:12"


def watch(*channels: str) -> MarkWatch:
    return MarkWatch(channels or (CHANNEL,), 0.0, behind_s=2.0, silent_s=15.0)


def mark(watermark: float = 1.0, epoch: str = EPOCH, **heads: int) -> Mark:
    return Mark(epoch, watermark, {f"store:{store[1:]}": head for store, head in heads.items()})


def test_a_head_that_has_come_is_no_reason_to_sync() -> None:
    one = watch()
    one.mark("12", mark(s12=5), 1.0)
    assert one.due({CHANNEL: 5}, EPOCH, 10.0) is None


def test_a_head_beyond_what_has_come_means_a_sync_after_two_seconds() -> None:
    one = watch()
    one.mark("12", mark(s12=5), 1.0)
    assert one.due({CHANNEL: 4}, EPOCH, 1.0) is None
    assert one.due({CHANNEL: 4}, EPOCH, 2.9) is None
    assert one.due({CHANNEL: 4}, EPOCH, 3.0) == "sync"


def test_an_event_that_comes_in_time_needs_no_sync() -> None:
    one = watch()
    one.mark("12", mark(s12=5), 1.0)
    one.due({CHANNEL: 4}, EPOCH, 1.0)
    one.due({CHANNEL: 5}, EPOCH, 2.0)
    one.mark("12", mark(2.0, s12=6), 6.0)
    assert one.due({CHANNEL: 5}, EPOCH, 6.0) is None


def test_a_sync_is_not_asked_for_again_at_once() -> None:
    one = watch()
    one.mark("12", mark(s12=5), 1.0)
    one.due({CHANNEL: 4}, EPOCH, 1.0)
    assert one.due({CHANNEL: 4}, EPOCH, 3.0) == "sync"
    one.synced(3.0)
    assert one.due({CHANNEL: 4}, EPOCH, 4.9) is None
    assert one.due({CHANNEL: 4}, EPOCH, 5.0) == "sync"


def test_without_a_fresh_mark_it_polls() -> None:
    one = watch()
    one.mark("12", mark(), 1.0)
    assert one.due({CHANNEL: 0}, EPOCH, 15.9) is None
    assert one.due({CHANNEL: 0}, EPOCH, 16.0) == "poll"


def test_a_mark_whose_watermark_stands_still_is_not_fresh() -> None:
    one = watch()
    for at in (1.0, 6.0, 11.0, 16.0):
        one.mark("12", mark(), at)
    assert one.due({CHANNEL: 0}, EPOCH, 16.0) == "poll"


def test_one_store_without_marks_is_enough_to_poll() -> None:
    one = watch(CHANNEL, "store:13")
    one.mark("12", mark(), 10.0)
    assert one.due({}, EPOCH, 15.0) == "poll"


def test_a_newer_epoch_means_a_sync_at_once() -> None:
    one = watch()
    one.mark("12", mark(epoch="01B"), 1.0)
    assert one.due({CHANNEL: 9}, EPOCH, 1.0) == "sync"
    assert one.due({CHANNEL: 9}, "01B", 1.0) is None


def test_a_mark_of_an_older_epoch_says_nothing() -> None:
    one = watch()
    one.mark("12", mark(epoch="01B"), 1.0)
    one.mark("12", mark(9.0, s12=50), 2.0)
    assert one.due({CHANNEL: 0}, "01B", 9.0) is None


def test_heads_of_channels_that_nobody_follows_are_passed_over() -> None:
    one = watch()
    one.mark("12", mark(s99=50), 1.0)
    assert one.due({CHANNEL: 0}, EPOCH, 9.0) is None


def test_each_channel_of_orders_has_its_topic() -> None:
    assert topic_of(parse_channel("store:12")) == "yabam/v1/12/orders"
    assert topic_of(parse_channel("table:12/5")) == "yabam/v1/12/tables/5/orders"
    with pytest.raises(ChannelError):
        topic_of(parse_channel("public:12"))
