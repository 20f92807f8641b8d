"""How followers are divided among processes and nodes."""

from __future__ import annotations

import pytest

from server_common.kafka_records.events import partition_of
from tests.bench.fanout.many import one_of_each_node, parted
from tests.bench.fanout.yabam import Yabam


@pytest.mark.parametrize(
    ("count", "into", "sizes"), [(10, 3, [4, 3, 3]), (9, 3, [3, 3, 3]), (2, 3, [1, 1, 0])]
)
def test_followers_are_parted_evenly_and_none_is_left_out(
    count: int, into: int, sizes: list[int]
) -> None:
    parts = parted(range(count), into)
    assert [len(part) for part in parts] == sizes
    assert [one for part in parts for one in part] == list(range(count))


def test_each_node_gets_a_channel_of_its_own_partition() -> None:
    channels = one_of_each_node(Yabam("127.0.0.1:1", 10, nodes=3))
    assert [partition_of(str(channel), 3) for channel in channels] == [0, 1, 2]


def test_one_node_carries_every_channel() -> None:
    system = Yabam("127.0.0.1:1", 10)
    assert {system.node_of(channel) for channel in range(50)} == {0}
