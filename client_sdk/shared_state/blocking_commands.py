"""Orders through the queue, for programs without asyncio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from client_sdk.contract.order import Guest, Item
from client_sdk.shared_state.blocking_state import Threads
from client_sdk.shared_state.order_commands import CommandHandle, OrderCommands
from client_sdk.state.conflicts import EditError
from client_sdk.state.orders.commands import CommandOutcome
from client_sdk.state.orders.view import ShownOrder


class BlockingCommand:
    """A command that was queued; `CommandHandle` for threads.

    Args:
        threads: the client's thread, which Core's answer comes to.
        handle: the command.
    """

    def __init__(self, threads: Threads, handle: CommandHandle) -> None:
        self._threads = threads
        self._handle = handle

    @property
    def order_id(self) -> str:
        """The id that its order is shown under."""
        return self._handle.order_id

    def settled(self) -> CommandOutcome:
        """Wait for Core's answer and return the outcome; raises as `CommandHandle.settled`."""
        return self._threads.loop.call(self._handle.settled())


class BlockingCommands:
    """`OrderCommands` for threads; see there for details. It is `client.commands`.

    Args:
        threads: the client's thread, in which the commands are made.
        commands: the client's.
    """

    def __init__(self, threads: Threads, commands: OrderCommands) -> None:
        self._threads = threads
        self._commands = commands

    @property
    def orders(self) -> list[ShownOrder]:
        """The open orders as they are shown."""
        return self._threads.look(lambda: self._commands.orders)

    def order(self, order_id: str) -> ShownOrder | None:
        """One order as it is shown."""
        return self._threads.look(lambda: self._commands.order(order_id))

    def error(self, order_id: str) -> EditError | None:
        """Why the last command to an order was refused."""
        return self._threads.look(lambda: self._commands.error(order_id))

    @property
    def waiting(self) -> int:
        """How many commands Core has not answered."""
        return self._threads.look(lambda: self._commands.waiting)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback`, in the thread of callbacks, once per batch of changes."""
        end = self._threads.look(
            lambda: self._commands.subscribe(lambda: self._threads.callback(callback))
        )
        return lambda: self._threads.look(end)

    def place(
        self,
        store_id: str,
        items: Sequence[Item],
        *,
        currency: str,
        table_id: str | None = None,
        note: str = "",
        reference: str | None = None,
        guest: Guest | None = None,
    ) -> BlockingCommand:
        """Place an order; it takes the same as `OrderCommands.place`, and raises as it does.

        Args:
            store_id: the store that is to make it.
            items: the ordered items, at least one.
            currency: the currency of all prices, as in ISO 4217.
            table_id: the table's id; None: the order belongs to no table.
            note: a note for the kitchen.
            reference: the producer's own id for the order; None: it has none.
            guest: who ordered; None: not told.
        """
        return self._made(
            self._commands.place(
                store_id,
                items,
                currency=currency,
                table_id=table_id,
                note=note,
                reference=reference,
                guest=guest,
            )
        )

    def transition(
        self, order: ShownOrder | str, to: str, *, reason: str | None = None
    ) -> BlockingCommand:
        """Move an order to another status; raises as `OrderCommands.transition`.

        Args:
            order: the order as the user saw it, or its id for the order as shown now.
            to: the new status, as for `OrderCommands.transition`.
            reason: why it is rejected or cancelled; None: no reason is given.
        """
        return self._made(self._commands.transition(order, to, reason=reason))

    def change(
        self,
        order: ShownOrder | str,
        *,
        items: Sequence[Item] | None = None,
        note: str | None = None,
    ) -> BlockingCommand:
        """Replace an order's items, its note, or both; raises as `OrderCommands.change`.

        Args:
            order: the order as the user saw it, or its id for the order as shown now.
            items: all items of the order from now on; None: unchanged.
            note: the new note; None: unchanged.
        """
        return self._made(self._commands.change(order, items=items, note=note))

    def _made(self, work: Any) -> BlockingCommand:
        return BlockingCommand(self._threads, self._threads.loop.call(work))
