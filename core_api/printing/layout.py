"""A ticket for the kitchen, line by line, in the kitchen's language. Pure.

Large and first: where it goes and what is to be made. Prices and the guest's name and phone number
stand on no ticket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from client_sdk.contract.order import Item, Order
from client_sdk.printer_media.lines import (
    MAX_LINES,
    Line,
    centred,
    cut,
    printable,
    spread,
    wrapped,
)
from core_api.printing.routing import ChangeTicket, Language, Printer

_TEXTS: Final[dict[Language, dict[str, str]]] = {
    "ko": {
        "order": "주문",
        "change": "변경",
        "cancel": "취소",
        "back": "되돌림",
        "table": "테이블",
        "counter": "카운터",
        "note": "메모",
        "was": "이전",
        "new": "추가",
        "gone": "취소",
        "why": "사유",
        "copy": "부",
        "cut": "계속: 화면을 보세요",
    },
    "en": {
        "order": "ORDER",
        "change": "CHANGED",
        "cancel": "CANCELLED",
        "back": "TAKEN BACK",
        "table": "Table",
        "counter": "Counter",
        "note": "Note",
        "was": "was",
        "new": "new",
        "gone": "none",
        "why": "Why",
        "copy": "copy",
        "cut": "more: look at the screen",
    },
}
_NUMBER_CHARS: Final = 6


def lines_of(
    ticket: ChangeTicket, order: Order, printer: Printer, copy: int, at: datetime, time_zone: str
) -> list[Line]:
    """The ticket's lines.

    Args:
        ticket: what is printed.
        order: as it is now.
        printer: whose ticket it is: its language and columns.
        copy: which of its copies, from 1.
        at: when the change was made.
        time_zone: the kitchen's.
    """
    words, columns = _TEXTS[printer.language], printer.columns
    where = _where(order, printer.language)
    lines = [] if ticket.kind == "order" else [_banner(words[ticket.kind], columns)]
    lines += [Line(part, "large") for part in wrapped(where, columns // 2)]
    lines.append(_number_and_time(order, _clock(at, time_zone), columns))
    lines.append(Line(style="rule"))
    if ticket.kind == "change":
        lines += _changed(ticket.items, ticket.before, printer)
    else:
        for item in ticket.items:
            lines += _item(item, "", columns)
    if order.note or order.reason:
        lines.append(Line(style="rule"))
    if order.note:
        lines += [Line(part, "bold") for part in _labelled(words["note"], order.note, columns)]
    if order.reason and ticket.kind == "cancel":
        lines += [Line(part) for part in _labelled(words["why"], order.reason, columns)]
    lines.append(Line(style="rule"))
    if printer.copies > 1:
        lines.append(Line(centred(f"{words['copy']} {copy}/{printer.copies}", columns)))
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], _banner(words["cut"], columns)]
    return lines


def _where(order: Order, language: Language) -> str:
    words = _TEXTS[language]
    if order.table_id is None:
        return words["counter"]
    return printable(f"{words['table']} {order.table_id}")


def _banner(text: str, columns: int) -> Line:
    return Line(centred(f"** {text} **", columns), "inverse")


def _number_and_time(order: Order, time: str, columns: int) -> Line:
    number = printable(order.reference or order.id[-_NUMBER_CHARS:])
    return Line(spread(cut(f"#{number}", columns - len(time) - 1)[0], time, columns))


def _clock(at: datetime, time_zone: str) -> str:
    try:
        zone: ZoneInfo | None = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = None
    if zone is None:
        return at.astimezone(UTC).strftime("%H:%M UTC")
    return at.astimezone(zone).strftime("%m-%d %H:%M")


def _item(item: Item, mark: str, columns: int) -> list[Line]:
    """`2  Bibimbap` in large letters; its note below; the mark in bold below that."""
    first, *rest = wrapped(printable(item.name), columns // 2 - 4) or [""]
    lines = [Line(f"{item.quantity:<3} {first}", "large")]
    lines += [Line(f"    {part}", "large") for part in rest]
    if mark:
        lines.append(Line(f"    {mark}", "bold"))
    if item.note:
        lines += [Line(f"    {part}") for part in wrapped(printable(item.note), columns - 4)]
    return lines


def _changed(items: Sequence[Item], before: Sequence[Item], printer: Printer) -> list[Line]:
    """All items as they are now, each with what it was, and those that are gone."""
    words, columns = _TEXTS[printer.language], printer.columns
    had = Counter[tuple[str, str]]()
    for item in before:
        had[item.name, item.note] += item.quantity
    lines: list[Line] = []
    for item in items:
        was = had.pop((item.name, item.note), 0)
        told = f"{words['was']} {was}" if was else words["new"]
        lines += _item(item, "" if was == item.quantity else f"<< {told}", columns)
    for (name, note), was in had.items():
        gone = Item(name, was, 0, note)
        lines += [
            Line(line.text, "plain" if line.style == "large" else line.style)
            for line in _item(gone, f"<< {words['gone']}", columns)
        ]
    return lines


def _labelled(label: str, text: str, columns: int) -> list[str]:
    return wrapped(f"{label}: {printable(text)}", columns)
