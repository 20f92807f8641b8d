"""Orders as a person reads them in a terminal."""

from __future__ import annotations

from datetime import timedelta, timezone

import msgspec

from client_sdk.commands.texts import clock, line_of, standing, summary_of, whole
from client_sdk.contract.order import Guest, Item
from client_sdk.machine.sequencing import Reset
from tests.unit.client_sdk.samples import NOW, event, order

SEOUL = timezone(timedelta(hours=9))
HERE = NOW.astimezone(SEOUL)
ID = "01a1fc0c-7a60-77c9-ba73-87c38a9e69f5"


def test_a_time_of_today_is_shown_in_the_zone_of_the_terminal() -> None:
    assert clock(NOW, HERE) == "21:00:00"


def test_a_time_of_another_day_is_shown_with_its_date() -> None:
    assert clock(NOW, HERE + timedelta(hours=3)) == "2026-11-21 21:00:00"


def test_a_change_is_told_with_its_time_and_how_the_order_stands() -> None:
    line = line_of(event(7, order(ID, 3, "ready")), HERE)
    assert line.split()[:4] == ["21:00:00", "store:12@7", "order.ready", "ready"]
    assert "1× Bibimbap" in line


def test_a_reset_is_told_with_its_reason_and_how_many_orders_are_open() -> None:
    line = line_of(Reset("store:12", "first_sync", 9, (order(ID),)), HERE)
    assert line.split()[:4] == ["21:00:00", "store:12@9", "reset", "first_sync,"]
    assert line.endswith("1 open orders")


def test_an_open_order_is_listed_with_its_time_and_status() -> None:
    assert standing(order(ID, 2, "accepted"), HERE).startswith(f"21:00:00  accepted   {ID}")


def test_many_items_are_summed_up() -> None:
    many = msgspec.structs.replace(order(ID), items=[Item(f"dish {n}", n, 1) for n in range(1, 7)])
    assert "4× dish 4 and 2 more  " in summary_of(many)


def test_what_a_guest_wrote_does_not_end_the_line() -> None:
    sly = msgspec.structs.replace(order(ID), note="one\ntwo\u2028three")
    assert len(summary_of(sly).splitlines()) == 1
    assert len(whole(sly, HERE).splitlines()) == len(whole(order(ID), HERE).splitlines()) + 1


def test_the_whole_order_tells_status_times_items_and_who_ordered() -> None:
    full = msgspec.structs.replace(
        order(ID, 4, "cancelled"),
        items=[Item("Bibimbap", 2, 9500, "no egg")],
        guest=Guest("Kim", "010"),
        reason="no rice",
        updated_at=NOW + timedelta(minutes=5),
    )
    assert whole(full, HERE).splitlines() == [
        f"order    {ID}",
        "status   cancelled, version 4",
        "reason   no rice",
        "where    store 12, table 5",
        "placed   21:00:00",
        "changed  21:05:00",
        "guest    Kim  010",
        "total    9500 KRW",
        "    2 × Bibimbap  at 9500  “no egg”",
    ]
