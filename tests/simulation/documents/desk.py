"""The commands of one process to orders: the SDK's queue and views, with a model of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from client_sdk.client.delivery import Deliveries
from client_sdk.client.order_book import BookChange, OrderBook
from client_sdk.errors import RefusedError
from client_sdk.machine.messages import CheckDigest, Deliver, Fill
from client_sdk.machine.sequencing import Reset
from client_sdk.shared_state.edits_api import Done
from client_sdk.state.orders.command_queue import CommandQueue, CommandSettlement
from client_sdk.state.orders.commands import (
    CommandRequest,
    CommandWish,
    QueuedCommand,
    decode_command,
    encode_command,
)
from client_sdk.state.orders.view import ShownOrder, shown_orders
from client_sdk.state.records import PutCommand
from core_api.orders.lifecycle import CHANGEABLE, following
from tests.simulation.documents.definitions import STORE
from tests.simulation.documents.ledger import MadeCommand
from tests.simulation.documents.orders import ORDERS

if TYPE_CHECKING:
    from tests.simulation.documents.client import DocumentClient

_MAX_OPEN: Final = 6
"""With so many open orders, few more are placed."""
_LATER_S: Final = 0.05
"""How long an answer waits that arrives while a write is under way."""


class Desk:
    """The orders and commands of one process.

    Args:
        client: the process.
        kept: its stored commands.
    """

    def __init__(self, client: DocumentClient, kept: list[bytes]) -> None:
        self._client = client
        self.world = client.world
        self.queue = CommandQueue((decode_command(body) for body in kept), [ORDERS])
        self._book = OrderBook()
        self._deliveries = Deliveries(self._book, {}, "")
        self._book.observe(self._booked)

    # ── what is shown ────────────────────────────────────────────────────────

    @property
    def orders(self) -> list[ShownOrder]:
        """All orders as they are shown, with the process's own commands applied."""
        return shown_orders(self._book, self.queue.own)

    def put(self, command: Deliver | Fill | CheckDigest) -> None:
        """Take a command of the machine that is for orders."""
        self._deliveries.put(command)

    def consume(self) -> None:
        """Handle all deliveries of the log."""
        answered = self.queue.answered
        while True:
            delivery = self._deliveries.take()
            if delivery is None:
                break
            change = delivery.change
            if isinstance(change, Reset):
                orders = self._book.in_channel(change.channel)
                listed = {order.id: order.version for order in orders}
                log = delivery.epoch
                same_log = change.goes_on(answered.log, log)
                answered.reset(change.channel, listed, log=log, same_log=same_log)
            else:
                answered.follow(delivery.epoch)
            self._deliveries.done(delivery)
            self._client.feed(self._deliveries.saved())
        for diverged in self._deliveries.divergences():
            self._client.feed(diverged)

    def difference(self) -> str | None:
        """How the shown orders differ from Core's; None: they are equal, and nothing waits."""
        if self.queue.own.entries:
            return f"still has {[entry.key for entry in self.queue.own.entries]}"
        core = self.world.core.truth.orders.all
        shown = {one.order.id: one.order for one in self.orders}
        there = {order.id: order for order in core.values() if order.is_open}
        return None if shown == there else "shows other orders than Core has"

    def _booked(self, change: BookChange) -> None:
        order = change.order
        self.queue.answered.contained(change.order_id, None if order is None else order.version)

    # ── new commands ─────────────────────────────────────────────────────────

    def act(self, mark: str) -> None:
        """Place or change an order, unless a write is under way."""
        client, chance = self._client, self.world.chance
        if client.is_keeping or client.dead:
            return
        orders = [one for one in self.orders if following(one.order)]
        if not orders or (len(orders) < _MAX_OPEN and chance.random() < 0.2):
            item = {"name": "Tea", "quantity": 1, "unit_price": 100}
            body = {"store_id": STORE, "currency": "KRW", "items": [item], "note": mark}
            self._make(CommandWish("place", body))
            return
        seen = chance.choice(orders)
        order = seen.order
        changes = order.status in CHANGEABLE and chance.random() < 0.3
        kind: Any = "change" if changes else "transition"
        body = {"note": mark} if changes else {"to": chance.choice(following(order))}
        based_on = order.id, order.version, order.updated_at, order.status, seen.after
        self._make(CommandWish(kind, body, *based_on))

    def _make(self, wish: CommandWish) -> None:
        client = self._client
        edits = client.replica.queue
        on = next((one for one in self.queue.own.entries if one.id == wish.after), None)
        command = self.queue.prepare(wish, edits.next_id, edits.client, client.core_time())
        made = self._made(command, wish, on)

        def kept() -> None:
            client.replica.place_taken()
            self.queue.accept(command)
            made.accepted = True

        client.keep([PutCommand(command.id, encode_command(command))], kept)

    def _made(
        self, command: QueuedCommand, wish: CommandWish, on: QueuedCommand | None
    ) -> MadeCommand:
        device, mark = self._client.device, mark_of_command(command)
        one = MadeCommand(
            mark,
            device.author,
            device.next_order(),
            device.subject,
            (ORDERS, command.shown_as),
            None,
            self.world.db_now,
            dated=True,
            is_strict=command.kind == "change" or command.body.get("to") == "accepted",
            version=wish.version,
            updated_at=wish.updated_at,
            status=wish.status,
            on=None if on is None else mark_of_command(on),
        )
        self.world.ledger.made[mark] = one
        return one

    # ── sending ──────────────────────────────────────────────────────────────

    @property
    def is_first(self) -> bool:
        """Whether a command is to be sent next, before all edits."""
        first, edits = self.queue.first, self._client.replica.queue.unanswered
        return first is not None and (not edits or first < edits[0].id)

    @property
    def can_send(self) -> bool:
        """Whether the first command can be sent now."""
        return self.is_first and self._client.core_time() is not None

    def next_request(self) -> CommandRequest | None:
        """The next request to send; None: there is none."""
        now = self._client.core_time()
        if now is None or self.queue.first is None or self._client.is_keeping:
            return None
        settlement = self.queue.before_sending(now)
        if settlement is not None:
            self._settle(settlement)
            if settlement.outcomes:
                return None
        return self.queue.request()

    def answered(self, request: CommandRequest, answer: Any, epoch: str) -> None:
        """Handle Core's answer, as soon as no write is under way."""
        if self._client.dead:
            return
        if self._client.is_keeping:
            self.world.at(_LATER_S, lambda: self.answered(request, answer, epoch))
            return
        if isinstance(answer, Done):
            self._settle(self.queue.applied(answer.order, repeated=answer.repeated), epoch)
        else:
            problem = answer.problem
            order = RefusedError(problem.detail, problem.status, problem).order
            self._settle(self.queue.refused(problem, order), epoch)
        self.queue.failed(request)

    def _settle(self, settlement: CommandSettlement, epoch: str | None = None) -> None:
        client, order = self._client, settlement.order

        def kept() -> None:
            keep = order is not None and (
                self.queue.answered.is_ahead(order, epoch)
                or not self._book.has_taken(order.id, order.version)
            )
            listed = order is not None and self._book.get(order.id) is not None
            self.queue.settle(settlement, keep=keep, listed=listed, epoch=epoch)
            for command, outcome in settlement.outcomes:
                is_of_this_log = epoch in (None, self.world.core.epoch)
                mark = mark_of_command(command)
                self.world.ledger.told(mark, outcome, is_of_this_log=is_of_this_log)
                if is_of_this_log:
                    self.world.ledger.command_told(mark, outcome, self.world.core)

        client.keep_now(settlement.writes, kept)


def mark_of_command(command: QueuedCommand) -> str:
    """The mark by which the command is found in the history."""
    return str(command.body.get("note") or command.key)
