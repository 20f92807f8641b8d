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
    """A command that was queued; `CommandHandle` for threads."""

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
    """`OrderCommands` for threads; see there for details."""

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
        """Place an order; it takes the same as `OrderCommands.place`, and raises as it does."""
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
        """Move an order to another status, as `OrderCommands.transition`."""
        return self._made(self._commands.transition(order, to, reason=reason))

    def change(
        self,
        order: ShownOrder | str,
        *,
        items: Sequence[Item] | None = None,
        note: str | None = None,
    ) -> BlockingCommand:
        """Replace an order's items, its note, or both."""
        return self._made(self._commands.change(order, items=items, note=note))

    def _made(self, work: Any) -> BlockingCommand:
        return BlockingCommand(self._threads, self._threads.loop.call(work))
