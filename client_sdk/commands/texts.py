"""Orders as text for a terminal. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from client_sdk.command_line.output import printable
from client_sdk.contract.order import Guest, Item, Order, OrderEvent
from client_sdk.machine.sequencing import Change
from client_sdk.machine.status import Status

_SHOWN_ITEMS: Final = 4


def lamp_of(status: Status) -> str:
    """How events arrive now, as a line for a terminal."""
    if status.mode in ("offline", "polling") and status.last_error:
        return f"{status.mode} ({printable(status.last_error)})"
    if status.via == "websocket":
        return f"{status.mode} (by WebSocket)"
    return status.mode


def line_of(change: Change, now: datetime) -> str:
    """One change in one line, with its time and the order's status.

    Args:
        change: an event or a reset.
        now: the current time, whose time zone is used for all times.
    """
    if isinstance(change, OrderEvent):
        order = change.data
        return (
            f"{clock(change.occurred_at, now)}  {change.id}  {change.type:<15}  "
            f"{order.status:<9}  {summary_of(order)}"
        )
    orders = f"{len(change.orders)} open orders"
    return (
        f"{clock(now, now)}  {change.channel}@{change.head}  {'reset':<15}  "
        f"{change.reason}, {orders}"
    )


def standing(order: Order, now: datetime) -> str:
    """An order in one line: when it was placed, its status, and a summary."""
    return f"{clock(order.created_at, now)}  {order.status:<9}  {summary_of(order)}"


def summary_of(order: Order) -> str:
    """An order in a few words, on one line: line ends in a guest's text are replaced."""
    items = ", ".join(f"{item.quantity}× {item.name}" for item in order.items[:_SHOWN_ITEMS])
    left = len(order.items) - _SHOWN_ITEMS
    more = f" and {left} more" if left > 0 else ""
    note = f"  “{order.note}”" if order.note else ""
    text = f"{order.id}  {_where(order)}  {items}{more}  {order.total} {order.currency}{note}"
    return " ".join(text.splitlines())


def whole(order: Order, now: datetime) -> str:
    """An order in full, one line per fact."""
    guest = order.guest if isinstance(order.guest, Guest) else Guest()
    facts = {
        "order": order.id,
        "status": f"{order.status}, version {order.version}",
        "reason": order.reason or "",
        "where": f"store {order.store_id}, {_where(order)}",
        "placed": clock(order.created_at, now),
        "changed": clock(order.updated_at, now),
        "guest": "  ".join(filter(None, (guest.name, guest.phone))),
        "note": order.note,
        "total": f"{order.total} {order.currency}",
    }
    lines = [f"{name:<8} {_one_line(text)}" for name, text in facts.items() if text]
    return "\n".join(lines + [_one_line(_item(item)) for item in order.items])


def clock(at: datetime, now: datetime) -> str:
    """A time in the zone of `now`; with its date unless that is today."""
    local = at.astimezone(now.tzinfo)
    is_today = local.date() == now.date()
    return f"{local:%H:%M:%S}" if is_today else f"{local:%Y-%m-%d %H:%M:%S}"


def _where(order: Order) -> str:
    return f"table {order.table_id}" if order.table_id else "counter"


def _item(item: Item) -> str:
    note = f"  “{item.note}”" if item.note else ""
    return f"  {item.quantity:>3} × {item.name}  at {item.unit_price}{note}"


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
