"""The shell around the queue of order commands: stores them first, then shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

from client_sdk.client.order_book import BookChange, OrderBook
from client_sdk.contract.order import Order
from client_sdk.contract.problem import Problem
from client_sdk.errors import ClosedError, RefusedError
from client_sdk.machine.sequencing import Change, Reset
from client_sdk.shared_state.edits_api import Done, NotTaken
from client_sdk.shared_state.store_writer import StoreWriter
from client_sdk.state.orders.answered_orders import channels_of
from client_sdk.state.orders.command_queue import CommandQueue, CommandSettlement
from client_sdk.state.orders.commands import (
    CommandOutcome,
    CommandRequest,
    CommandWish,
    encode_command,
)
from client_sdk.state.orders.view import ShownOrder, newest, shown_order, shown_orders
from client_sdk.state.records import PutCommand
from client_sdk.state.replica import Replica

Observer = Callable[[], None]


class OrderDesk:
    """The running queue of one client's order commands.

    Args:
        queue: the rules for commands.
        replica: the edits, which have their places in the same queue.
        writer: writes to the store.
        book: Core's orders.
        channels: the followed channels.
        core_time: the time by Core's clock; None: not known.
        lock: held while an edit or a command is added or removed.
        wake: called when there may be something to send.
        failed: called with a text when an observer raised.
    """

    def __init__(
        self,
        queue: CommandQueue,
        replica: Replica,
        writer: StoreWriter,
        book: OrderBook,
        channels: Iterable[str],
        core_time: Callable[[], datetime | None],
        lock: asyncio.Lock,
        wake: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self.queue = queue
        self._replica = replica
        self._writer = writer
        self._book = book
        self._channels = frozenset(channels)
        self._core_time = core_time
        self._lock = lock
        self._wake = wake
        self._failed = failed
        self._outcomes: dict[int, asyncio.Future[CommandOutcome]] = {}
        self._observers: list[Observer] = []
        self._telling = False
        self._closed = False
        self._unobserve = book.observe(self._booked)

    def close(self) -> None:
        """Accept no more commands; `settled` of the waiting ones raises ClosedError."""
        self._closed = True
        self._unobserve()
        for future in self._outcomes.values():
            if not future.done():
                future.set_exception(ClosedError("the client was closed before Core answered"))
                future.exception()  # avoids a warning if no program waits for this future

    # ── what a program asks ──────────────────────────────────────────────────

    @property
    def orders(self) -> list[ShownOrder]:
        """All orders as they are shown."""
        return shown_orders(self._book, self.queue.own)

    def order(self, order_id: str) -> ShownOrder | None:
        """One order as it is shown; None: this client knows no such order."""
        named, own = self.queue.id_of(order_id), self.queue.own
        found = self._book.get(named)
        core = newest([] if found is None else [found], own)
        return shown_order(core.get(named), named, own)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` once per batch of changes. Returns the unsubscriber."""
        self._observers.append(observer)

        def end() -> None:
            if observer in self._observers:
                self._observers.remove(observer)

        return end

    async def make(self, wish: CommandWish) -> tuple[str, asyncio.Future[CommandOutcome]]:
        """Make a command; it is stored and shown when this returns.

        Returns:
            The id that its order is shown under, and the future of Core's answer.

        Raises:
            StateError: it is malformed or too large, too many commands wait, or the command that it
                depends on was refused.
            StateStoreError: it cannot be stored.
            ClosedError: the client is closed.
        """
        async with self._lock:
            if self._closed:
                raise ClosedError("the client is closed")
            edits = self._replica.queue
            command = self.queue.prepare(wish, edits.next_id, edits.client, self._core_time())
            await self._writer.commit([PutCommand(command.id, encode_command(command))])
            self._replica.place_taken()
            self.queue.accept(command)
            future = asyncio.get_running_loop().create_future()
            self._outcomes[command.id] = future
        self._changed()
        self._wake()
        return command.shown_as, future

    # ── sending ──────────────────────────────────────────────────────────────

    @property
    def is_first(self) -> bool:
        """Whether the next thing to send is a command, not an edit."""
        first, edits = self.queue.first, self._replica.queue.unanswered
        return first is not None and (not edits or first < edits[0].id)

    @property
    def can_send(self) -> bool:
        """Whether the first command may be sent: its age is only known by Core's clock."""
        return self.is_first and self._core_time() is not None

    async def next_request(self) -> CommandRequest | None:
        """The command to send; None: nothing. That it was sent is stored first."""
        now = self._core_time()
        async with self._lock:
            if now is None or self.queue.first is None:
                return None
            settlement = self.queue.before_sending(now)
            if settlement is not None:
                await self._settle(settlement)
                if settlement.outcomes:
                    return None
            return self.queue.request()

    def failed(self, request: CommandRequest) -> None:
        """The request got no usable answer: send it again."""
        self.queue.failed(request)

    async def answered(self, request: CommandRequest, answer: Done | NotTaken) -> None:
        """Take Core's answer.

        Raises:
            StateStoreError: the result cannot be stored; the command is sent again.
        """
        try:
            async with self._lock:
                if isinstance(answer, Done):
                    settlement = self.queue.applied(answer.order, repeated=answer.repeated)
                else:
                    problem = answer.problem
                    settlement = self.queue.refused(problem, _order_in(problem))
                await self._settle(settlement, answer.epoch)
        finally:
            self.queue.failed(request)

    # ── Core's log ───────────────────────────────────────────────────────────

    def follow(self, change: Change | None, epoch: str) -> None:
        """Note that the book has applied a change of this epoch's log; None: an old change."""
        answered = self.queue.answered
        if isinstance(change, Reset):
            orders = self._book.in_channel(change.channel)
            listed = {order.id: order.version for order in orders}
            same_log = change.goes_on(answered.log, epoch)
            answered.reset(change.channel, listed, log=epoch, same_log=same_log)
            self._changed()
        else:
            answered.follow(epoch)

    # ── the rest ─────────────────────────────────────────────────────────────

    async def _settle(self, settlement: CommandSettlement, epoch: str | None = None) -> None:
        await self._writer.commit(settlement.writes)
        order = settlement.order
        # If no followed channel carries the order, or it has arrived, the answer is not needed.
        keep = (
            order is not None
            and not channels_of(order).isdisjoint(self._channels)
            and (
                self.queue.answered.is_ahead(order, epoch)
                or not self._book.has_taken(order.id, order.version)
            )
        )
        listed = order is not None and self._book.get(order.id) is not None
        self.queue.settle(settlement, keep=keep, listed=listed, epoch=epoch)
        for command, outcome in settlement.outcomes:
            future = self._outcomes.pop(command.id, None)
            if future is not None and not future.done():
                future.set_result(outcome)
        self._changed()

    def _booked(self, change: BookChange) -> None:
        order = change.order
        self.queue.answered.contained(change.order_id, None if order is None else order.version)
        self._changed()

    def _changed(self) -> None:
        if self._observers and not self._telling and not self._closed:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        for observer in tuple(self._observers):
            try:
                observer()
            except Exception as error:
                self._failed(f"an observer of orders raised {error!r}")


def _order_in(problem: Problem) -> Order | None:
    """The order that a refusal contains; None: it contains none."""
    return RefusedError(problem.detail, problem.status, problem).order
