"""The rules inside scenarios: what counts as an alarm in time, and that no shard is left out."""

from __future__ import annotations

import pytest

from server_common.kafka_records.events import partition_of
from tests.chaos.scenarios.alarms import AFTER_S, EARLY_S, trouble_with
from tests.chaos.worst import MOST_ITEMS, order_of, stores_of_every_shard


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
        len(item["name"] + item["note"]) * 4 for item in order_of("1", MOST_ITEMS, "x")["items"]
    )
    assert largest > (1 << 20) // 2
