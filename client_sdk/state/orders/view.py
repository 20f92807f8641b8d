"""Orders as they are shown: Core's, with this client's unanswered commands on top. Pure.

As with documents, the result is always recomputed from both, so a refused command leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from client_sdk.contract.order import CLOSED_STATUSES, Order
from client_sdk.state.conflicts import EditError
from client_sdk.state.orders.commands import QueuedCommand, items_of, new_order, total_of


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """An order as it is shown."""

    order: Order
    """With the pending commands applied; `version` is Core's. At version 0 Core does not have the
    order yet, and its `id` changes when Core has it."""
    pending: int
    """How many commands for the order Core has not answered."""
    left_out: int
    """Pending commands that do not fit it any more; they are sent all the same."""
    error: EditError | None
    """Why the last command was refused, until there is another one."""
    after: int | None
    """The place of this client's last command that is applied to it."""


@dataclass(slots=True)
class OwnCommands:
    """What this client knows about orders in addition to Core's log."""

    entries: list[QueuedCommand] = field(default_factory=list)
    """The unanswered commands, in order."""
    known: dict[str, Order] = field(default_factory=dict)
    """Orders from Core's answers, by id, until they arrive through the log."""
    ahead: dict[str, Order] = field(default_factory=dict)
    """The same from a later log, until the client follows that log."""
    errors: dict[str, EditError] = field(default_factory=dict)
    """Why the last command was refused, by the id that the order is shown under."""


def shown_orders(orders: Iterable[Order], own: OwnCommands) -> list[ShownOrder]:
    """All orders to show: Core's open ones, and those not placed yet.

    An order that a pending command closes is shown until Core has answered.
    """
    core = newest(orders, own)
    shown = []
    for order_id in dict.fromkeys([*core, *(entry.shown_as for entry in own.entries)]):
        one = shown_order(core.get(order_id), order_id, own)
        if one is not None and (one.pending or one.order.is_open):
            shown.append(one)
    return shown


def newest(orders: Iterable[Order], own: OwnCommands) -> dict[str, Order]:
    """Core's orders by their ids, each in the newest version known."""
    core = {order.id: order for order in orders}
    for order_id, order in own.known.items():
        if order_id not in core or core[order_id].version < order.version:
            core[order_id] = order
    # Versions of two logs cannot be compared: the later log wins.
    return core | own.ahead


def shown_order(core: Order | None, order_id: str, own: OwnCommands) -> ShownOrder | None:
    """One order; None: there is none, as far as is known.

    Args:
        core: Core's order, in the newest version known; None: Core does not have it.
        order_id: the id, or the key of the command that places it.
        own: what this client knows in addition.
    """
    commands = [entry for entry in own.entries if entry.shown_as == order_id]
    order, left_out, after = _composed(core, commands)
    if order is None:
        return None
    return ShownOrder(order, len(commands), left_out, own.errors.get(order_id), after)


def _composed(
    order: Order | None, commands: Sequence[QueuedCommand]
) -> tuple[Order | None, int, int | None]:
    left_out, after = 0, None
    for command in commands:
        made = _after(order, command)
        if made is None:
            left_out += 1
        else:
            order, after = made, command.id
    return order, left_out, after


def _after(order: Order | None, command: QueuedCommand) -> Order | None:
    """The order after the command; None: the command does not fit the current order."""
    if command.kind == "place":
        return new_order(command)
    if order is None or order.status != command.status:
        return None
    body = command.body
    if command.kind == "transition":
        closes = body["to"] in CLOSED_STATUSES
        return replace(order, status=body["to"], reason=body.get("reason"), open=not closes)
    if command.version not in (None, order.version):
        return None
    if command.updated_at not in (None, order.updated_at):
        return None
    items = items_of(body)
    if items is not None:
        order = replace(order, items=items, total=total_of(items))
    return replace(order, note=body["note"]) if "note" in body else order
