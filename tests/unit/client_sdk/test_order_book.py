"""The order book: open orders by channel, never older than they were, with a digest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.client.order_book import BookChange, MergeResult, OrderBook
from client_sdk.contract.digest import EMPTY, order_hash
from client_sdk.contract.order import Order
from tests.unit.client_sdk.samples import event, order

STORE, TABLE = "store:12", "table:12/5"


def seen(book: OrderBook) -> list[tuple[str, str]]:
    """What an observer is told, as (kind, order id)."""
    told: list[tuple[str, str]] = []
    book.observe(lambda change: told.append((change.kind, change.order_id)))
    return told


def test_an_event_adds_updates_and_removes_an_order_with_one_call_each() -> None:
    book = OrderBook()
    told = seen(book)
    assert book.apply(event(1, order("a", 1, "placed")))
    assert book.apply(event(2, order("a", 2, "accepted")))
    assert book.apply(event(3, order("a", 3, "cancelled")))
    assert told == [("added", "a"), ("updated", "a"), ("removed", "a")]
    assert len(book) == 0


def test_an_older_or_equal_version_changes_nothing_and_tells_nobody() -> None:
    book = OrderBook()
    book.apply(event(1, order("a", 5, "accepted")))
    told = seen(book)
    assert not book.apply(event(2, order("a", 4, "placed")))
    assert not book.apply(event(2, order("a", 5, "accepted")))
    assert told == []
    assert book.get("a") == order("a", 5, "accepted")


def test_a_closed_order_does_not_come_back_by_a_late_event() -> None:
    book = OrderBook()
    book.apply(event(1, order("a", 3, "paid")))
    assert not book.apply(event(2, order("a", 2, "served")))
    assert book.get("a") is None


def test_a_snapshot_takes_the_place_of_all() -> None:
    book = OrderBook()
    book.merge(STORE, [order("a"), order("b", 4)])
    told = seen(book)
    book.replace(STORE, [order("b", 2), order("c")])
    assert {o.id: o.version for o in book} == {"b": 2, "c": 1}
    assert sorted(told) == [("added", "c"), ("removed", "a"), ("updated", "b")]


def test_a_snapshot_of_one_channel_leaves_the_others_alone() -> None:
    book = OrderBook()
    book.merge(TABLE, [order("t")])
    book.replace(STORE, [order("s")])
    assert {o.id for o in book} == {"t", "s"}


def test_a_merge_says_what_it_did() -> None:
    book = OrderBook()
    book.merge(STORE, [order("a", 2), order("b", 2)])
    result = book.merge(STORE, [order("a", 3), order("b", 1), order("b", 2), order("c", 1)])
    assert result == MergeResult(added=1, updated=1, duplicates=2)


def test_the_digest_is_over_the_open_orders_and_their_versions() -> None:
    book = OrderBook()
    assert book.digest(STORE) == EMPTY
    book.merge(STORE, [order("a", 2), order("b", 1), order("c", 4, "paid")])
    assert book.digest(STORE) == order_hash("a", 2) ^ order_hash("b", 1)
    book.apply(event(9, order("a", 3, "paid")))
    assert book.digest(STORE) == order_hash("b", 1)


def test_orders_are_found_by_id_table_status_and_channel() -> None:
    book = OrderBook()
    first, second = order("a", 1, "placed", "5"), order("b", 1, "ready", "6")
    book.merge(STORE, [second, first])
    assert book.get("a") == first
    assert book.get("none") is None
    assert book.by_table("12", "6") == [second]
    assert book.by_status("placed") == [first]
    assert [o.id for o in book.by_status("placed", "ready")] == ["a", "b"]
    assert book.in_channel(STORE) == [first, second]
    assert book.in_channel(TABLE) == []


def test_an_order_of_two_channels_counts_once_and_shows_its_newest_version() -> None:
    book = OrderBook()
    book.merge(STORE, [order("a", 3)])
    book.merge(TABLE, [order("a", 2)])
    assert len(book) == 1
    assert [o.version for o in book] == [3]


def test_an_observer_that_raises_keeps_nothing_from_the_book_or_the_others() -> None:
    book = OrderBook()

    def broken(_change: BookChange) -> None:
        raise RuntimeError("printer")

    book.observe(broken)
    told = seen(book)
    with pytest.raises(RuntimeError, match="printer"):
        book.apply(event(1, order("a")))
    assert book.get("a") is not None
    assert told == [("added", "a")]


def test_an_observer_that_was_taken_back_is_told_nothing_more() -> None:
    book = OrderBook()
    told: list[BookChange] = []
    end = book.observe(told.append)
    end()
    book.apply(event(1, order("a")))
    assert told == []


versions = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), max_size=30)


@given(versions)
def test_whatever_the_order_of_arrival_the_newest_version_stays(
    arrivals: list[tuple[str, int]],
) -> None:
    book = OrderBook()
    newest: dict[str, Order] = {}
    for seq, (order_id, version) in enumerate(arrivals, 1):
        one = order(order_id, version, "cancelled" if version == 6 else "accepted")
        book.apply(event(seq, one))
        if version > newest.get(order_id, order(order_id, 0)).version:
            newest[order_id] = one
    still_open = {key: one for key, one in newest.items() if one.is_open}
    assert {one.id: one for one in book} == still_open
    expected = EMPTY
    for one in still_open.values():
        expected ^= order_hash(one.id, one.version)
    assert book.digest(STORE) == expected
