"""Which printer prints what of a change."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from client_sdk.contract.order import Item, OrderStatus
from core_api.printing.routing import Printer, ticket_of
from tests.unit.core_api.printing.samples import BEER, KIMBAP, KITCHEN, PRINTING, STEW
from tests.unit.core_api.samples import order


def test_an_order_is_printed_when_it_reaches_the_printers_status() -> None:
    ticket = ticket_of(PRINTING, KITCHEN, order(), order("accepted", 2))
    assert ticket is not None
    assert (ticket.kind, ticket.items) == ("order", [KIMBAP])


@pytest.mark.parametrize("status", ["preparing", "ready", "served", "paid"])
def test_a_later_step_prints_nothing_more(status: OrderStatus) -> None:
    assert ticket_of(PRINTING, KITCHEN, order("accepted", 2), order(status, 3)) is None


def test_an_order_that_leaves_out_the_printers_status_is_printed_all_the_same() -> None:
    printer = Printer(["preparing"])
    ticket = ticket_of(PRINTING, printer, order("accepted", 2), order("ready", 3))
    assert ticket is not None
    assert ticket.kind == "order"


def test_a_printer_of_two_statuses_prints_at_each() -> None:
    printer = Printer(["accepted", "ready"])
    first = ticket_of(PRINTING, printer, order(), order("accepted", 2))
    second = ticket_of(PRINTING, printer, order("preparing", 3), order("ready", 4))
    assert first is not None
    assert second is not None
    assert (first.kind, second.kind) == ("order", "order")


def test_a_new_order_is_printed_where_placed_ones_are() -> None:
    ticket = ticket_of(PRINTING, Printer(["placed"]), None, order())
    assert ticket is not None
    assert ticket.kind == "order"


def test_a_step_whose_order_before_is_not_kept_is_printed_at_its_own_status_only() -> None:
    assert ticket_of(PRINTING, KITCHEN, None, order("accepted", 2)) is not None
    assert ticket_of(PRINTING, KITCHEN, None, order("ready", 4)) is None


def test_a_change_of_items_after_that_is_printed_with_what_was_before() -> None:
    before = order("accepted", 2)
    ticket = ticket_of(PRINTING, KITCHEN, before, replace(before, version=3, items=[STEW]))
    assert ticket is not None
    assert (ticket.kind, ticket.items, ticket.before) == ("change", [STEW], [KIMBAP])


def test_a_change_of_the_note_is_printed() -> None:
    before = order("accepted", 2)
    ticket = ticket_of(PRINTING, KITCHEN, before, replace(before, version=3, note="빨리"))
    assert ticket is not None
    assert ticket.kind == "change"


def test_a_change_before_the_printers_status_is_not() -> None:
    before = order("placed", 1)
    assert ticket_of(PRINTING, KITCHEN, before, replace(before, version=2, items=[STEW])) is None


@pytest.mark.parametrize("end", ["cancelled", "rejected"])
def test_what_was_printed_and_is_cancelled_is_told(end: OrderStatus) -> None:
    ticket = ticket_of(PRINTING, KITCHEN, order("accepted", 2), order(end, 3, open=False))
    assert ticket is not None
    assert (ticket.kind, ticket.items) == ("cancel", [KIMBAP])


def test_what_was_printed_and_is_taken_back_is_told_and_printed_anew_when_it_comes_again() -> None:
    accepted, back = order("accepted", 2), order("placed", 3)
    ticket = ticket_of(PRINTING, KITCHEN, accepted, back)
    assert ticket is not None
    assert (ticket.kind, ticket.items) == ("cancel", [KIMBAP])
    again = ticket_of(PRINTING, KITCHEN, back, order("accepted", 4))
    assert again is not None
    assert again.kind == "order"


def test_a_later_ticket_that_holds_no_longer_is_told_before_it_is_printed_again() -> None:
    printer = Printer(["accepted", "ready"])
    ready, back = order("ready", 4), order("preparing", 5)
    told = ticket_of(PRINTING, printer, ready, back)
    assert told is not None
    assert (told.kind, told.items) == ("back", [KIMBAP])
    again = ticket_of(PRINTING, printer, back, order("ready", 6))
    assert again is not None
    assert again.kind == "order"


def test_a_step_back_past_no_status_of_the_printer_prints_nothing() -> None:
    assert ticket_of(PRINTING, KITCHEN, order("ready", 4), order("preparing", 5)) is None


def test_a_step_back_of_items_that_the_station_does_not_make_prints_nothing() -> None:
    bar = Printer(["accepted", "ready"], stations=["bar"])
    ready, back = order("ready", 4, items=[STEW]), order("preparing", 5, items=[STEW])
    assert ticket_of(PRINTING, bar, ready, back) is None


def test_what_was_never_printed_and_is_cancelled_is_not() -> None:
    assert ticket_of(PRINTING, KITCHEN, order(), order("cancelled", 2, open=False)) is None


def test_a_station_prints_its_own_items_however_their_names_are_written() -> None:
    all_items = [STEW, BEER]
    before, after = order(items=all_items), order("accepted", 2, items=all_items)
    grill = ticket_of(PRINTING, PRINTING.printers["grill"], before, after)
    bar = ticket_of(PRINTING, PRINTING.printers["bar"], before, after)
    assert grill is not None
    assert bar is not None
    assert (grill.items, bar.items) == ([STEW], [BEER])


def test_what_no_station_names_is_printed_at_every_one() -> None:
    special = Item("오늘의 특선", 1, 1)
    before, after = order(items=[special]), order("accepted", 2, items=[special])
    for name in ("grill", "bar", "kitchen-1"):
        ticket = ticket_of(PRINTING, PRINTING.printers[name], before, after)
        assert ticket is not None, name
        assert ticket.items == [special]


def test_a_station_that_makes_nothing_of_an_order_prints_nothing() -> None:
    before, after = order(items=[BEER]), order("accepted", 2, items=[BEER])
    assert ticket_of(PRINTING, PRINTING.printers["grill"], before, after) is None


def test_a_change_of_another_stations_items_is_not_printed() -> None:
    before = order("accepted", 2, items=[STEW, BEER])
    after = replace(before, version=3, items=[STEW])
    assert ticket_of(PRINTING, PRINTING.printers["grill"], before, after) is None
    bar = ticket_of(PRINTING, PRINTING.printers["bar"], before, after)
    assert bar is not None
    assert (bar.kind, bar.items, bar.before) == ("change", [], [BEER])
