"""The deliveries: one change in hand until its cursor is saved."""

from __future__ import annotations

import json

import pytest

from client_sdk import ClientError, Reset
from client_sdk.checkpoint import Checkpoint
from client_sdk.client.delivery import Deliveries
from client_sdk.client.order_book import OrderBook
from client_sdk.contract.digest import format_content_digest, format_digest
from client_sdk.contract.order import decode_event
from client_sdk.machine.messages import Acknowledged, CheckDigest, Deliver, Fill
from tests.conformance import cases
from tests.unit.client_sdk.samples import EPOCH, event, order

STORE = "store:12"


def deliveries() -> tuple[Deliveries, OrderBook]:
    book = OrderBook()
    return Deliveries(book, {STORE: 0}, EPOCH), book


def deliver(seq: int, epoch: str = EPOCH) -> Deliver:
    return Deliver(event(seq), epoch)


def test_the_change_in_hand_is_given_again_until_it_is_done_and_saved() -> None:
    hand, _ = deliveries()
    hand.put(deliver(1))
    hand.put(deliver(2))
    first = hand.take()
    assert first is not None
    assert hand.take() is first
    hand.done(first)
    assert hand.unsaved
    assert hand.take() is first
    hand.saved()
    second = hand.take()
    assert second is not None
    assert second.change == event(2)


def test_book_and_checkpoint_are_as_of_the_change_in_hand() -> None:
    hand, book = deliveries()
    hand.put(deliver(1))
    hand.put(deliver(2))
    assert len(book) == 0
    hand.take()
    assert [one.id for one in book] == ["order-1"]
    assert hand.checkpoint == Checkpoint(EPOCH, {STORE: 1})


def test_a_change_that_somebody_else_holds_cannot_be_done() -> None:
    hand, _ = deliveries()
    hand.put(deliver(1))
    hand.take()
    with pytest.raises(ClientError, match="taken over"):
        hand.done(deliver(2))


def test_a_new_epoch_forgets_the_positions_of_the_old_one() -> None:
    hand = Deliveries(OrderBook(), {STORE: 9, "store:13": 4}, EPOCH)
    hand.put(Deliver(Reset(STORE, "epoch", 2, (order("a"),)), "newer"))
    hand.take()
    assert hand.checkpoint == Checkpoint("newer", {STORE: 2})


def test_a_digest_is_compared_only_after_the_changes_before_it() -> None:
    hand, _ = deliveries()
    hand.put(deliver(1))
    hand.put(CheckDigest(STORE, "00000000000000ff"))
    first = hand.take()
    assert first is not None
    assert hand.divergences() == []
    hand.done(first)
    hand.saved()
    assert hand.take() is None
    assert [one.channel for one in hand.divergences()] == [STORE]
    assert hand.divergences() == []


@pytest.mark.parametrize(
    ("content", "differs"), [(None, False), ("0" * 32, True), ("known", False)]
)
def test_the_content_is_compared_where_core_and_the_book_both_know_it(
    content: str | None, differs: bool
) -> None:
    hand, book = deliveries()
    received = decode_event(json.dumps(cases.event({"seq": 1, "order": {"id": "a"}})))
    hand.put(Deliver(received, EPOCH))
    first = hand.take()
    assert first is not None
    hand.done(first)
    hand.saved()
    if content == "known":
        content = format_content_digest(book.content_digest(STORE) or 0)
    hand.put(CheckDigest(STORE, format_digest(book.digest(STORE)), content))
    assert hand.take() is None
    assert bool(hand.divergences()) is differs


def test_orders_that_were_not_read_from_the_wire_are_compared_by_version_alone() -> None:
    hand, book = deliveries()
    hand.put(deliver(1))
    first = hand.take()
    assert first is not None
    hand.done(first)
    hand.saved()
    hand.put(CheckDigest(STORE, format_digest(book.digest(STORE)), "f" * 32))
    hand.take()
    assert hand.divergences() == []


def test_a_fill_shows_orders_and_hands_nothing_over() -> None:
    hand, book = deliveries()
    hand.put(Fill(Reset(STORE, "first_sync", 3, (order("a"), order("b")))))
    assert hand.take() is None
    assert [one.id for one in book] == ["a", "b"]
    assert hand.checkpoint == Checkpoint(EPOCH, {STORE: 0})


def test_a_reset_replaces_the_orders_and_moves_the_cursor_to_its_head() -> None:
    hand, book = deliveries()
    hand.put(deliver(1))
    first = hand.take()
    assert first is not None
    hand.done(first)
    assert hand.saved() == Acknowledged(1)
    hand.put(Deliver(Reset(STORE, "retention", 9, (order("z"),)), EPOCH))
    assert hand.take() is not None
    assert [one.id for one in book] == ["z"]
    assert hand.checkpoint == Checkpoint(EPOCH, {STORE: 9})


def test_an_observer_that_raises_leaves_the_change_in_hand_and_the_book_right() -> None:
    hand, book = deliveries()

    def broken(_change: object) -> None:
        raise ValueError("a bug")

    book.observe(broken)
    hand.put(deliver(1))
    with pytest.raises(ValueError, match="a bug"):
        hand.take()
    again = hand.take()
    assert again is not None
    assert again.change == event(1)
    assert [one.id for one in book] == ["order-1"]


def test_nothing_in_hand_is_nothing_to_save() -> None:
    hand, _ = deliveries()
    assert hand.take() is None
    assert not hand.unsaved


@pytest.mark.parametrize(
    ("reason", "before", "goes_on"),
    [
        ("first_sync", "", True),
        ("first_sync", EPOCH, True),
        ("retention", EPOCH, True),
        ("digest", EPOCH, True),
        ("digest", "older", False),
        ("epoch", "older", False),
        ("epoch", "", False),
        ("epoch", EPOCH, True),  # another channel has told of the new epoch before
        ("ahead", EPOCH, False),
    ],
)
def test_a_reset_tells_whether_its_log_is_the_one_that_was_followed(
    reason: str, before: str, *, goes_on: bool
) -> None:
    assert Reset(STORE, reason, 2, ()).goes_on(before, EPOCH) is goes_on


def test_the_epoch_is_that_of_the_current_change() -> None:
    hand = Deliveries(OrderBook(), {}, EPOCH)
    hand.put(Deliver(Reset(STORE, "epoch", 2, ()), "newer"))
    assert hand.epoch == EPOCH
    hand.take()
    assert hand.epoch == "newer"
