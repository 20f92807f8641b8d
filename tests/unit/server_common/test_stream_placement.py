"""Which event server carries which partitions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from client_sdk.contract.channel import parse_channel
from server_common.kafka_records.events import partition_of
from server_common.stream_placement import StreamNodes

A, B, ALL = "http://a/v1/stream", "http://b/v1/stream", "http://all/v1/stream"


def first(urls: Sequence[str]) -> str:
    return urls[0]


def store_of(partition: int) -> str:
    """A store whose events are on this one of two partitions."""
    return next(str(n) for n in range(100) if partition_of(str(n), 2) == partition)


def test_a_channel_goes_to_the_server_that_carries_its_partition() -> None:
    nodes = StreamNodes({A: [0], B: [1]}, 2, first)
    assert nodes.url_for([parse_channel(f"store:{store_of(0)}")]) == A
    assert nodes.url_for([parse_channel(f"store:{store_of(1)}")]) == B


def test_a_store_and_its_tables_go_together() -> None:
    nodes = StreamNodes({A: [0], B: [1]}, 2, first)
    store = store_of(1)
    assert nodes.url_for(map(parse_channel, [f"store:{store}", f"table:{store}/7"])) == B


def test_channels_that_no_server_carries_together_have_none() -> None:
    nodes = StreamNodes({A: [0], B: [1]}, 2, first)
    assert nodes.url_for(parse_channel(f"store:{store_of(n)}") for n in (0, 1)) is None


def test_one_of_several_that_carry_it_is_chosen() -> None:
    nodes = StreamNodes({A: [0], B: [1], ALL: [0, 1]}, 2, lambda urls: urls[-1])
    assert nodes.url_for([parse_channel(f"store:{store_of(0)}")]) == ALL


def test_a_partition_that_nobody_carries_is_an_error() -> None:
    with pytest.raises(ValueError, match="no node carries partition 1"):
        StreamNodes({A: [0]}, 2, first)


def test_a_partition_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is no partition 2: they are 0 to 1"):
        StreamNodes({A: [0, 1, 2]}, 2, first)
