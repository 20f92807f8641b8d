"""Tickets, line by line."""

from __future__ import annotations

from typing import get_args

import pytest

from client_sdk.contract.order import Item
from client_sdk.printer_media.lines import MAX_LINES, Line, columns_of
from client_sdk.printer_media.plain_text import text_of
from core_api.documents.checks import checked
from core_api.printing.definitions import PRINT_DEFINITION
from core_api.printing.layout import lines_of
from core_api.printing.routing import ChangeTicket, Printer, TicketKind
from tests.unit.core_api.printing.samples import BEER, KIMBAP, STEW, job
from tests.unit.core_api.samples import LATER, order

KOREAN = Printer(["accepted"])
ENGLISH = Printer(["accepted"], language="en", columns=32, copies=2)
LONG = [Item("아주 긴 이름의 " * 12, 999, 0, "note " * 99), Item("x" * 200, 1, 0, "가" * 500)]


def shown(ticket: ChangeTicket, printer: Printer, **more: object) -> str:
    made = order("accepted", 2, **more)
    lines = lines_of(ticket, made, printer, 1, LATER, "Asia/Seoul")
    return text_of(lines, printer.columns)


def test_a_korean_ticket() -> None:
    ticket = ChangeTicket("order", [KIMBAP, STEW], [])
    assert shown(ticket, KOREAN, note="빨리 주세요", reference="A-17") == (
        "테이블 5\n"
        "#A-17                          11-21 12:05\n"
        "------------------------------------------\n"
        "2   김밥\n"
        "1   김치찌개 Kimchi\n"
        "    stew\n"
        "    덜 맵게\n"
        "------------------------------------------\n"
        "메모: 빨리 주세요\n"
        "------------------------------------------\n"
    )


def test_an_english_ticket_at_the_counter_names_its_copy() -> None:
    assert shown(ChangeTicket("order", [BEER], []), ENGLISH, table_id=None) == (
        "Counter\n"
        "#9e69f5              11-21 12:05\n"
        "--------------------------------\n"
        "3   맥주 Beer\n"
        "--------------------------------\n"
        "            copy 1/2\n"
    )


@pytest.mark.parametrize(
    ("printer", "banner"), [(KOREAN, "** 되돌림 **"), (ENGLISH, "** TAKEN BACK **")]
)
def test_an_order_that_was_taken_back_says_so_first(printer: Printer, banner: str) -> None:
    first, *rest = shown(ChangeTicket("back", [KIMBAP], [KIMBAP]), printer).splitlines()
    assert first.strip() == banner
    assert "2   김밥" in rest


def test_a_change_says_what_each_item_was() -> None:
    ticket = ChangeTicket("change", [Item("김밥", 3, 3500), BEER], [KIMBAP, STEW])
    assert shown(ticket, ENGLISH) == (
        "         ** CHANGED **\n"
        "Table 5\n"
        "#9e69f5              11-21 12:05\n"
        "--------------------------------\n"
        "3   김밥\n"
        "    << was 2\n"
        "3   맥주 Beer\n"
        "    << new\n"
        "1   김치찌개\n"
        "    Kimchi stew\n"
        "    << none\n"
        "    덜 맵게\n"
        "--------------------------------\n"
        "            copy 1/2\n"
    )


def test_a_cancellation_says_so_first_and_why() -> None:
    text = shown(ChangeTicket("cancel", [KIMBAP], []), KOREAN, reason="손님이 떠남")
    assert text.startswith("                ** 취소 **\n")
    assert "사유: 손님이 떠남\n" in text


def test_neither_prices_nor_the_guest_stand_on_a_ticket() -> None:
    text = shown(ChangeTicket("order", [KIMBAP], []), KOREAN)
    assert not any(secret in text for secret in ("3500", "7000", "Kim ", "010"))


def test_a_time_zone_that_is_not_known_is_no_reason_to_print_nothing() -> None:
    lines = lines_of(ChangeTicket("order", [KIMBAP], []), order(), KOREAN, 1, LATER, "Moon/Base")
    assert "03:05 UTC" in text_of(lines, 42)


def test_what_a_guest_writes_cannot_move_the_printers_head() -> None:
    bad = [Item("\x1b@\x1dV\x00kim\nbap\u202e", 1, 1, "\x10\x04\x01")]
    lines = lines_of(ChangeTicket("order", bad, []), order(note="\x1bp0"), KOREAN, 1, LATER, "UTC")
    assert all(line.text.isprintable() for line in lines)


@pytest.mark.parametrize("kind", get_args(TicketKind))
@pytest.mark.parametrize("printer", [KOREAN, ENGLISH, Printer(["placed"], columns=24)])
def test_no_line_is_wider_than_the_paper(kind: TicketKind, printer: Printer) -> None:
    ticket = ChangeTicket(kind, LONG, [KIMBAP, *LONG[1:]])
    made = order(note="n" * 500, reason="r" * 500, reference="가" * 100, table_id="t" * 64)
    for line in lines_of(ticket, made, printer, 1, LATER, "Asia/Seoul"):
        room = printer.columns // 2 if line.style == "large" else printer.columns
        assert columns_of(line.text) <= room, line


def test_the_longest_ticket_fits_a_document() -> None:
    printer = Printer(["placed"], columns=24)
    ticket = ChangeTicket(
        "change", LONG * 90, [Item(f"{n}" + "나" * 190, 1, 1) for n in range(100)]
    )
    lines = lines_of(ticket, order(), printer, 1, LATER, "UTC")
    assert len(lines) == MAX_LINES
    assert "화면" in lines[-1].text
    wide = [Line("가" * 32, "large")] * MAX_LINES
    for some in (lines, wide):
        assert checked(job(lines=some).value, [], PRINT_DEFINITION)
