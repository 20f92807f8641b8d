"""The queue of order commands: requests, answers, and commands that a refusal cancels. Pure.

Commands are sent one at a time, in order. A command that depends on another one is sent after that
one is answered, for the resulting version; if that one was refused, both are. The others go on.

Each change of the queue is first prepared as a `CommandSettlement` and takes effect once that is
stored. Otherwise a crash could lose a refusal that was already reported, and the same command might
succeed after a restart. Nothing else may change the queue in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from client_sdk.contract.errors import StateError
from client_sdk.contract.order import Order
from client_sdk.contract.problem import Problem, problem
from client_sdk.contract.text import is_order_id, shown
from client_sdk.state.conflicts import EditError
from client_sdk.state.orders.answered_orders import AnsweredOrders, put
from client_sdk.state.orders.commands import (
    MAX_COMMAND_AGE_S,
    MAX_COMMANDS,
    MAX_SENT_AGE_S,
    CommandOutcome,
    CommandRequest,
    CommandWish,
    QueuedCommand,
    check_body,
    encode_command,
    request_of,
)
from client_sdk.state.orders.view import OwnCommands
from client_sdk.state.records import DropCommand, PutCommand, Write


@dataclass(slots=True)
class CommandSettlement:
    """The effects of an answer, to be applied once they are stored."""

    entries: list[QueuedCommand]
    """The commands that remain unanswered."""
    writes: list[Write] = field(default_factory=list)
    outcomes: list[tuple[QueuedCommand, CommandOutcome]] = field(default_factory=list)
    order: Order | None = None
    """The order as Core's answer shows it; if `repeated`, as it was after the earlier try."""
    repeated: bool = False
    """Whether it was done at an earlier try: the order may have changed since."""


class CommandQueue:
    """The unanswered commands of one client.

    Args:
        entries: the commands, in order.
        followed: the channels of orders.
        log: the epoch of the log that the shown orders come from; "": there are none yet.
    """

    def __init__(
        self, entries: Iterable[QueuedCommand] = (), followed: Iterable[str] = (), log: str = ""
    ) -> None:
        self.own = OwnCommands(list(entries))
        self.answered = AnsweredOrders(self.own, followed, log)
        self._placed: dict[str, str] = {}
        """The ids of placed orders, by the keys that they were shown under before."""
        self._ends: dict[int, tuple[int, datetime] | None] = {}
        """By an answered command's place: the order's version after it and the time of that
        version; None: it was refused."""
        self._flight: CommandRequest | None = None

    @property
    def first(self) -> int | None:
        """The place of the first command; None: no command waits."""
        return self.own.entries[0].id if self.own.entries else None

    def id_of(self, order_id: str) -> str:
        """An order's id; `order_id` may also be the key it was shown under before it was placed."""
        return self._placed.get(order_id, order_id)

    # ── new commands ─────────────────────────────────────────────────────────

    def prepare(
        self, wish: CommandWish, place: int, client: str, made_at: datetime | None
    ) -> QueuedCommand:
        """Make a command. It is in the queue only after `accept`.

        Args:
            wish: what the program asks for.
            place: the next place in the queue that edits and commands share.
            client: the client id, which makes the idempotency key unique.
            made_at: now, by Core's clock; None: that is not known.

        Raises:
            StateError: it is malformed or too large, too many wait, or the command that it depends
                on was refused.
        """
        if len(self.own.entries) >= MAX_COMMANDS:
            raise StateError(f"{MAX_COMMANDS} commands are waiting: try again later")
        check_body(wish.kind, wish.body)
        # No other queue has this client id, and no place is used twice.
        key = f"{client}-{place}"
        command = QueuedCommand(id=place, key=key, kind=wish.kind, body=wish.body, made_at=made_at)
        if wish.order is None:
            return command
        order_id = self.id_of(wish.order)
        is_waiting = any(e.kind == "place" and e.key == order_id for e in self.own.entries)
        if not is_waiting and not is_order_id(order_id):
            raise StateError(f"{shown(order_id)} is not an order that this client shows")
        command = replace(command, order=order_id, status=wish.status)
        if wish.after is None:
            return replace(command, version=wish.version, updated_at=wish.updated_at)
        if any(entry.id == wish.after for entry in self.own.entries):
            return replace(command, after=wish.after)
        # The earlier command was answered after the program read the order.
        end = self._ends.get(wish.after)
        if end is None:
            raise StateError("the previous command was refused: read the order again")
        return replace(command, version=end[0], updated_at=end[1])

    def accept(self, command: QueuedCommand) -> None:
        """Add the command to the queue, after it was stored."""
        self.own.entries.append(command)
        self.own.errors.pop(command.shown_as, None)

    # ── requests and answers ─────────────────────────────────────────────────

    def before_sending(self, now: datetime) -> CommandSettlement | None:
        """What to store before the first command is sent; None: nothing.

        Args:
            now: by Core's clock.
        """
        first = self.own.entries[0]
        if first.sent_at is not None:
            if now - first.sent_at <= timedelta(seconds=MAX_SENT_AGE_S):
                return None
            return self._refused(first, problem("too-late", _NOBODY_KNOWS))
        made_at = first.made_at or now
        if now - made_at > timedelta(seconds=MAX_COMMAND_AGE_S):
            return self._refused(first, problem("too-late", _TOO_OLD))
        sent = replace(first, made_at=made_at, sent_at=now)
        entries = [sent, *self.own.entries[1:]]
        return CommandSettlement(entries, [PutCommand(sent.id, encode_command(sent))])

    def request(self) -> CommandRequest | None:
        """What to send now; None: nothing, or one is under way."""
        if self._flight is not None or not self.own.entries:
            return None
        self._flight = request_of(self.own.entries[0])
        self.answered.sent()
        return self._flight

    def failed(self, request: CommandRequest) -> None:
        """The request got no usable answer: send it again."""
        if self._flight is request:
            self._flight = None

    def applied(self, order: Order, *, repeated: bool = False) -> CommandSettlement:
        """The effects of Core having done the first command, for `settle`.

        Args:
            order: the order after the command.
            repeated: it was done at an earlier try.
        """
        first, *rest = self.own.entries
        settlement = CommandSettlement([], [DropCommand(first.id)], order=order, repeated=repeated)
        settlement.outcomes.append((first, CommandOutcome("applied", order)))
        for entry in rest:
            later = entry
            if entry.order == first.key:
                later = replace(later, order=order.id)
            if entry.after == first.id:
                later = _based_on(order, replace(later, after=None))
            if later is not entry:
                settlement.writes.append(PutCommand(later.id, encode_command(later)))
            settlement.entries.append(later)
        return settlement

    def refused(self, problem: Problem, order: Order | None) -> CommandSettlement:
        """The effects of Core having refused the first command, for `settle`.

        A transition that was refused because the order has changed is retried if the status is
        still the one that the user saw. `accepted` is not retried: the user would accept content
        that they have not seen. A change is not retried: it would undo the other change.

        Args:
            problem: the reason.
            order: the current order, if Core's answer has it.
        """
        first = self.own.entries[0]
        may_follow = first.kind == "transition" and first.body["to"] != "accepted"
        is_as_seen = order is not None and order.is_open and order.status == first.status
        if problem.slug == "stale-version" and may_follow and is_as_seen and order is not None:
            again = _based_on(order, first)
            entries = [again, *self.own.entries[1:]]
            return CommandSettlement(
                entries, [PutCommand(again.id, encode_command(again))], order=order
            )
        return self._refused(first, problem, order)

    def settle(
        self, settlement: CommandSettlement, *, keep: bool, listed: bool, epoch: str | None = None
    ) -> None:
        """Apply the settlement, after it was stored.

        Args:
            settlement: the effects of the answer.
            keep: whether the answer's order has not arrived through the log yet.
            listed: whether the log contains the order, at an older version.
            epoch: the answer's log; None: the answer does not name it.
        """
        own = self.own
        own.entries = settlement.entries
        self._flight = None
        for command, outcome in settlement.outcomes:
            self._remember(command, outcome)
        order = settlement.order
        if order is not None and keep:
            repeated = settlement.repeated
            self.answered.take(order, repeated=repeated, listed=listed, epoch=epoch)

    # ── the rest ─────────────────────────────────────────────────────────────

    def _refused(
        self, first: QueuedCommand, why: Problem, order: Order | None = None
    ) -> CommandSettlement:
        settlement = CommandSettlement([], order=order)
        gone = {first.id}
        settlement.outcomes.append((first, CommandOutcome("refused", order, why)))
        for entry in self.own.entries[1:]:
            if entry.after not in gone:
                settlement.entries.append(entry)
                continue
            gone.add(entry.id)
            depends = problem("depends", "the command that it depends on was refused")
            settlement.outcomes.append((entry, CommandOutcome("refused", order, depends)))
        settlement.writes += [DropCommand(place) for place in sorted(gone)]
        return settlement

    def _remember(self, command: QueuedCommand, outcome: CommandOutcome) -> None:
        own, order = self.own, outcome.order
        if outcome.outcome == "applied" and order is not None:
            put(self._ends, command.id, (order.version, order.updated_at))
            own.errors.pop(command.shown_as, None)
            if command.kind == "place":
                put(self._placed, command.key, order.id)
            return
        put(self._ends, command.id, None)
        why = outcome.problem
        # The refusal that cancelled this command says more than "depends" does: keep its error.
        if why is not None and not (why.slug == "depends" and command.shown_as in own.errors):
            error = EditError(why.slug, why.detail or why.title, None)
            put(own.errors, command.shown_as, error)


_TOO_OLD = f"it was made more than {MAX_COMMAND_AGE_S // 3600} hours ago, and was never sent"
_NOBODY_KNOWS = (
    f"it was sent more than {MAX_SENT_AGE_S // 86_400} days ago, and the answer was lost: "
    "check the order"
)


def _based_on(order: Order, command: QueuedCommand) -> QueuedCommand:
    return replace(command, version=order.version, updated_at=order.updated_at)
