"""Which offset may be committed."""

from __future__ import annotations

import pytest

from event_server.mqtt_gateway.rules.progress import Progress


def progress(limit: int = 100, max_bytes: int = 1000) -> Progress[str]:
    return Progress(limit, max_bytes)


def test_nothing_is_committed_before_the_broker_has_acknowledged_it() -> None:
    one = progress()
    held = one.begin("p", 5, 10)
    one.add(held)
    one.finish("p", held)  # it is read
    assert one.committable() == {}
    one.finish("p", held)  # the broker has it
    assert one.committable() == {"p": 5}


def test_a_record_of_which_nothing_is_published_holds_up_nothing() -> None:
    one = progress()
    one.finish("p", one.begin("p", 5, 10))
    assert one.committable() == {"p": 5}


def test_an_offset_waits_for_all_before_it() -> None:
    one = progress()
    first, second = one.begin("p", 5, 10), one.begin("p", 6, 10)
    one.finish("p", second)
    assert one.committable() == {}
    one.finish("p", first)
    assert one.committable() == {"p": 6}


def test_partitions_do_not_wait_for_each_other() -> None:
    one = progress()
    one.begin("slow", 5, 10)
    one.finish("quick", one.begin("quick", 9, 10))
    assert one.committable() == {"quick": 9}


def test_a_record_waits_for_all_that_was_published_of_it() -> None:
    one = progress()
    held = one.begin("p", 5, 10)
    one.add(held)
    one.add(held)
    one.finish("p", held)
    one.finish("p", held)
    assert one.committable() == {}
    one.finish("p", held)
    assert one.committable() == {"p": 5}


def test_it_is_full_by_count_and_by_bytes() -> None:
    by_count, by_bytes = progress(limit=2), progress(max_bytes=20)
    held = [by_count.begin("p", n, 0) for n in (1, 2)]
    large = by_bytes.begin("p", 1, 20)
    assert not by_count.has_room
    assert not by_bytes.has_room
    by_count.finish("p", held[0])
    by_bytes.finish("p", large)
    assert by_count.has_room
    assert by_bytes.has_room


def test_acknowledgements_for_a_partition_that_was_taken_away_count_for_nothing() -> None:
    one = progress(limit=1)
    held = one.begin("p", 5, 10)
    one.forget(["p"])
    assert one.has_room
    one.start_at("p", 3)
    one.finish("p", held)
    assert one.committable() == {"p": 3}


def test_a_partition_that_begins_can_be_committed_where_it_begins() -> None:
    one = progress()
    one.start_at("p", 42)
    assert one.committable() == {"p": 42}


def test_a_record_whose_publication_fails_half_way_holds_back_its_offset() -> None:
    one = progress()
    one.start_at("p", 5)
    with pytest.raises(OSError, match="lost"), one.reading("p", 6, 1):
        raise OSError("lost")
    with one.reading("p", 7, 1):
        pass
    assert one.committable() == {"p": 5}
