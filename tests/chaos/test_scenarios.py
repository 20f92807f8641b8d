"""The rules inside scenarios: which alarms are in time, and that no shard is left out."""

from __future__ import annotations

import pytest

from client_sdk.contract.device import HEADER, DeviceReport, parse_device
from client_sdk.contract.text import is_epoch
from server_common.kafka_records.events import partition_of
from tests.chaos.scenarios.alarms import AFTER_S, EARLY_S, trouble_with
from tests.chaos.worst import (
    HOSTILE_EPOCHS,
    MAX_ITEMS,
    order_of,
    reporting,
    stores_of_every_shard,
    with_hostile_epochs,
)


@pytest.mark.parametrize("waited_s", [AFTER_S - EARLY_S, AFTER_S, AFTER_S + 20])
def test_an_alarm_that_comes_at_its_time_is_right(waited_s: float) -> None:
    assert trouble_with(waited_s) == ""


@pytest.mark.parametrize("waited_s", [0.3, AFTER_S - EARLY_S - 0.1])
def test_an_alarm_that_comes_at_once_is_found_wrong(waited_s: float) -> None:
    assert "it came after" in trouble_with(waited_s)


def test_an_alarm_that_does_not_come_is_found_wrong() -> None:
    assert "no alarm" in trouble_with(None)


@pytest.mark.parametrize("shards", [1, 4, 7])
def test_each_shard_gets_a_poisoned_store(shards: int) -> None:
    stores = stores_of_every_shard("poison", shards)
    assert [partition_of(store, shards) for store in stores] == list(range(shards))


def test_the_largest_poisoned_order_is_larger_than_half_a_kafka_record() -> None:
    """With its table's copy it made a record that Kafka never takes."""
    largest = sum(
        len(item["name"] + item["note"]) * 4 for item in order_of("1", MAX_ITEMS, "x")["items"]
    )
    assert largest > (1 << 20) // 2


def test_who_sends_a_hostile_epoch_is_a_device_that_core_listens_to() -> None:
    """A header that is refused by itself would keep every epoch from being looked at."""
    assert parse_device(reporting("till-1")[HEADER]) == DeviceReport("till-1", "live", 0)


def test_each_hostile_epoch_goes_through_each_door_and_is_none() -> None:
    assert not any(map(is_epoch, HOSTILE_EPOCHS))
    asked = [(one.method, one.path.partition("?")[0]) for one in with_hostile_epochs("store:1")]
    doors = [("GET", "/v1/sync"), ("POST", "/v1/sync"), ("POST", "/v1/receipts")]
    assert sorted(asked) == sorted(doors * len(HOSTILE_EPOCHS))
