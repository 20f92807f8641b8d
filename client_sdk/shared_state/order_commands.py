"""What a program uses to place and step orders through the queue, with or without a network.

order = client.commands.orders[0]
await client.commands.transition(order, "accepted")
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from client_sdk.contract.errors import StateError
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.order import Guest, Item
from client_sdk.contract.text import shown
from client_sdk.shared_state.order_desk import OrderDesk
from client_sdk.state.conflicts import EditError
from client_sdk.state.orders.commands import CommandOutcome, CommandWish
from client_sdk.state.orders.view import ShownOrder

_body: Final = msgspec.json.Decoder(dict[str, Any])


class CommandHandle:
    """A command that was made."""

    def __init__(self, order_id: str, outcome: asyncio.Future[CommandOutcome]) -> None:
        self.order_id = order_id
        """The id that its order is shown under; that of a new one changes when Core has it."""
        self._outcome = outcome

    async def settled(self) -> CommandOutcome:
        """What became of it, once Core has answered; a refusal is an answer, too.

        Raises:
            ClosedError: the client was closed first; it is sent when that is opened again.
        """
        # Whoever gives up waiting takes it from no other.
        return await asyncio.shield(self._outcome)


class OrderCommands:
    """The orders with what this client does to them. It is `client.commands`."""

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk

    @property
    def orders(self) -> list[ShownOrder]:
        """The open orders as they are shown: `client.orders`, with the pending commands on top."""
        return self._desk.orders

    def order(self, order_id: str) -> ShownOrder | None:
        """One order as it is shown; None: there is none, as far as is known here."""
        return self._desk.order(order_id)

    def error(self, order_id: str) -> EditError | None:
        """Why the last command to an order was refused, also where the order is not shown."""
        return self._desk.queue.own.errors.get(self._desk.queue.id_of(order_id))

    @property
    def waiting(self) -> int:
        """How many commands Core has not answered."""
        return len(self._desk.queue.own.entries)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call once for all that changes of orders and commands at one moment; the answer ends
        it."""
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
        """Place an order. Like all commands it is kept, and shown, when this returns.

        Args:
            store_id: where.
            items: what is ordered.
            currency: of their prices.
            table_id: at which table; None: at none.
            note: for the kitchen.
            reference: the producer's own name for it.
            guest: for whom.

        Raises:
            StateError: it is malformed or too large, or too many wait.
            StateStoreError: it cannot be kept.
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
        """Take an order one step further: `accepted`, `rejected`, `preparing`, `ready`, `served`,
        `paid` or `cancelled`; raises as `place`.

        Args:
            order: as it was shown to who decides, or its id: as it is shown now. Core does it to
                that only; a step but `accepted` also after a change that left the status.
            to: the status.
            reason: why it is rejected or cancelled.
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
        """Replace an order's items, its note, or both; `order` is as in `transition`. Raises as
        `place`."""
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
    """The body as it is kept: what a program does to its own values changes it no more."""
    try:
        return decode(_body, msgspec.json.encode(body))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise StateError(f"this is not a valid order: {error}") from error
