"""Placing and changing orders through the queue, with or without a network.

order = client.commands.orders[0]
await client.commands.transition(order, "accepted")
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from client_sdk.contract.errors import StateError
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.order import Guest, Item
from client_sdk.contract.text import shown
from client_sdk.shared_state.order_desk import OrderDesk
from client_sdk.state.conflicts import EditError
from client_sdk.state.orders.commands import CommandOutcome, CommandWish
from client_sdk.state.orders.view import ShownOrder

_body: Final = reader(dict[str, Any])


class CommandHandle:
    """A command that was queued. Made by the methods of `client.commands`.

    Args:
        order_id: the id that its order is shown under.
        outcome: brings Core's answer.
    """

    def __init__(self, order_id: str, outcome: asyncio.Future[CommandOutcome]) -> None:
        self.order_id = order_id
        """The id that its order is shown under; a new order's id changes when Core has it."""
        self._outcome = outcome

    async def settled(self) -> CommandOutcome:
        """Wait for Core's answer and return the outcome, which may be a refusal.

        Raises:
            ClosedError: the client was closed first; the command is sent after a restart of it.
        """
        # Cancelling one waiter must not cancel the others.
        return await asyncio.shield(self._outcome)


class OrderCommands:
    """Orders with this client's pending commands. It is `client.commands`.

    Args:
        desk: the client's queue of commands.
    """

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk

    @property
    def orders(self) -> list[ShownOrder]:
        """The open orders as they are shown: `client.orders`, with the pending commands on top."""
        return self._desk.orders

    def order(self, order_id: str) -> ShownOrder | None:
        """One order as it is shown; None: this client knows no such order."""
        return self._desk.order(order_id)

    def error(self, order_id: str) -> EditError | None:
        """Why the last command for an order was refused, even if the order is not shown."""
        return self._desk.queue.own.errors.get(self._desk.queue.id_of(order_id))

    @property
    def waiting(self) -> int:
        """How many commands Core has not answered."""
        return len(self._desk.queue.own.entries)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once per batch of changes of orders and commands. Returns the
        unsubscriber."""
        return self._desk.subscribe(callback)

    async def place(
        self,
        store_id: str,
        items: Sequence[Item],
        *,
        currency: str,
        table_id: str | None = None,
        note: str = "",
        reference: str | None = None,
        guest: Guest | None = None,
    ) -> CommandHandle:
        """Place an order. Like all commands it is stored and shown when this returns.

        Args:
            store_id: the store that is to make it.
            items: the ordered items, at least one.
            currency: the currency of all prices, as in ISO 4217.
            table_id: the table's id; None: the order belongs to no table.
            note: a note for the kitchen.
            reference: the producer's own id for the order; None: it has none.
            guest: who ordered; None: not told.

        Returns:
            A handle, whose `settled` waits for Core's answer.

        Raises:
            StateError: it is malformed or too large, or too many commands wait.
            StateStoreError: it cannot be stored.
            ClosedError: the client is closed.
        """
        said = {
            "table_id": table_id,
            "note": note or None,
            "reference": reference,
            "guest": guest,
        }
        body: dict[str, Any] = {"store_id": store_id, "currency": currency, "items": list(items)}
        body |= {name: value for name, value in said.items() if value is not None}
        return await self._make(CommandWish("place", _plain(body)))

    async def transition(
        self, order: ShownOrder | str, to: str, *, reason: str | None = None
    ) -> CommandHandle:
        """Move an order to another status.

        Args:
            order: the order as the user saw it, or its id for the order as shown now. Core refuses
                if it has changed; except for `accepted`, only if its status has changed.
            to: `accepted`, `rejected`, `preparing`, `ready`, `served`, `paid` or `cancelled`.
            reason: why it is rejected or cancelled; None: no reason is given.

        Raises:
            StateError: this client does not show the order, the command is malformed, too many
                wait, or the command that it depends on was refused.
            StateStoreError: it cannot be stored.
            ClosedError: the client is closed.
        """
        body = {"to": to} | ({} if reason is None else {"reason": reason})
        return await self._make(self._wish("transition", order, body))

    async def change(
        self,
        order: ShownOrder | str,
        *,
        items: Sequence[Item] | None = None,
        note: str | None = None,
    ) -> CommandHandle:
        """Replace an order's items, its note, or both; raises as `transition`.

        Args:
            order: the order as the user saw it, or its id for the order as shown now. Core refuses
                if it has changed.
            items: all items of the order from now on; None: unchanged.
            note: the new note; None: unchanged.
        """
        body: dict[str, Any] = {} if items is None else {"items": list(items)}
        body |= {} if note is None else {"note": note}
        return await self._make(self._wish("change", order, _plain(body)))

    def _wish(self, kind: Any, order: ShownOrder | str, body: dict[str, Any]) -> CommandWish:
        seen = self._desk.order(order) if isinstance(order, str) else order
        if seen is None:
            raise StateError(f"{shown(str(order))} is not an order that this client shows")
        core = seen.order
        return CommandWish(
            kind, body, core.id, core.version, core.updated_at, core.status, seen.after
        )

    async def _make(self, wish: CommandWish) -> CommandHandle:
        return CommandHandle(*await self._desk.make(wish))


def _plain(body: dict[str, Any]) -> dict[str, Any]:
    """A copy of the body, so that the program's later changes of its values do not affect it."""
    try:
        return _body(msgspec.json.encode(body))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise StateError(f"this is not a valid order: {error}") from error
