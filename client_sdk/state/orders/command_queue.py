"""The queue of commands to orders: requests, answers, what is given up because of a refusal. Pure.

Commands go out one at a time, in order. One that was made on another is sent once that is answered,
at the version that it left; if that was refused, so is this. A refusal never holds up the rest.

What changes the queue is first made as a `Settlement`, and comes to hold when that is kept: so
nobody is told of a refusal that a crash could forget, after which the same command might be taken.
Nothing else may change the queue meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec.structs import replace

from client_sdk.contract.errors import StateError
from client_sdk.contract.order import Order
from client_sdk.contract.problem import Problem, problem
from client_sdk.contract.text import is_order_id, shown
from client_sdk.state.conflicts import EditError
from client_sdk.state.orders.commands import (
    MAX_COMMAND_AGE_S,
    MAX_COMMANDS,
    MAX_SENT_AGE_S,
    Command,
    CommandOutcome,
    CommandRequest,
    CommandWish,
    check_body,
    encode_command,
    request_of,
)
from client_sdk.state.orders.view import OwnCommands
from client_sdk.state.records import DropCommand, PutCommand, Write

_MOST_REMEMBERED = 1000
"""How many orders, ends and refusals are remembered: the newest ones."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Settlement:
    """What comes of an answer, once it is kept."""

    entries: list[Command]
    """What is not answered then."""
    writes: list[Write] = field(default_factory=list)
    outcomes: list[tuple[Command, CommandOutcome]] = field(default_factory=list)
    order: Order | None = None
    """The order as Core says it stands; where `repeated`, as it stood then."""
    repeated: bool = False
    """Whether it was done at an earlier try: the order may have gone on since."""


class CommandQueue:
    """The commands of one client that are not answered.

    Args:
        entries: they, in order.
        log: the log of the orders that are shown, by its epoch; "": there are none yet.
    """

    def __init__(self, entries: Iterable[Command] = (), log: str = "") -> None:
        self.own = OwnCommands(list(entries))
        self.log = log
        """The epoch of the log of the orders that are shown; "": there are none yet."""
        self._ahead_log = ""
        """The epoch of the log of `own.ahead`."""
        self._placed: dict[str, str] = {}
        """The ids of orders, by the keys that they were shown under."""
        self._ends: dict[int, tuple[int, datetime] | None] = {}
        """The version that an answered command left its order at, and when Core made it; None: it
        was refused."""
        self._flight: CommandRequest | None = None
        self._begun_anew: set[str] = set()
        """The channels that have since the first command was sent."""
        self._is_other_log = False
        """Whether Core's log has become another one since then, as after a restore."""
        self._has_gone_back = False
        """Whether it has gone back since then, in the epoch that it had."""

    @property
    def first(self) -> int | None:
        """The place of the first command; None: no command waits."""
        return self.own.entries[0].id if self.own.entries else None

    def id_of(self, order_id: str) -> str:
        """The id of an order, also by the key that it was shown under before it was placed."""
        return self._placed.get(order_id, order_id)

    # ── new commands ─────────────────────────────────────────────────────────

    def prepare(
        self, wish: CommandWish, place: int, client: str, made_at: datetime | None
    ) -> Command:
        """Make a command; it waits only when it is accepted.

        Raises:
            StateError: it is malformed or too large, too many wait, or what it was made on was
                refused.
        """
        if len(self.own.entries) >= MAX_COMMANDS:
            raise StateError(f"{MAX_COMMANDS} commands wait already")
        check_body(wish.kind, wish.body)
        # No other queue has this client id, and no place is used twice.
        key = f"{client}-{place}"
        command = Command(id=place, key=key, kind=wish.kind, body=wish.body, made_at=made_at)
        if wish.order is None:
            return command
        order_id = self.id_of(wish.order)
        is_waiting = any(e.kind == "place" and e.key == order_id for e in self.own.entries)
        if not is_waiting and not is_order_id(order_id):
            raise StateError(f"{shown(order_id)} is no order that is shown here")
        command = replace(command, order=order_id, status=wish.status)
        if wish.after is None:
            return replace(command, version=wish.version, updated_at=wish.updated_at)
        if any(entry.id == wish.after for entry in self.own.entries):
            return replace(command, after=wish.after)
        # It was answered since its author looked.
        end = self._ends.get(wish.after)
        if end is None:
            raise StateError("the command before this one was refused: look again")
        return replace(command, version=end[0], updated_at=end[1])

    def accept(self, command: Command) -> None:
        """It is kept: it waits from now on."""
        self.own.entries.append(command)
        self.own.errors.pop(command.shown_as, None)

    # ── requests and answers ─────────────────────────────────────────────────

    def before_sending(self, now: datetime) -> Settlement | None:
        """What is to be kept before the first command goes out; None: nothing.

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
        return Settlement(entries, [PutCommand(sent.id, encode_command(sent))])

    def request(self) -> CommandRequest | None:
        """What to send now; None: nothing, or one is under way."""
        if self._flight is not None or not self.own.entries:
            return None
        self._flight = request_of(self.own.entries[0])
        self._begun_anew.clear()
        self._is_other_log = self._has_gone_back = False
        return self._flight

    def failed(self, request: CommandRequest) -> None:
        """Nobody knows what became of it: send it again."""
        if self._flight is request:
            self._flight = None

    def applied(self, order: Order, *, repeated: bool = False) -> Settlement:
        """What comes of it that the first command was done, and left the order so.

        Args:
            order: as it stood then.
            repeated: it was done at an earlier try.
        """
        first, *rest = self.own.entries
        settlement = Settlement([], [DropCommand(first.id)], order=order, repeated=repeated)
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

    def refused(self, problem: Problem, order: Order | None) -> Settlement:
        """What comes of it that Core refused the first command.

        A step that was refused because the order has changed is tried again if the order's status
        is the one that its author saw, except that nobody accepts what was changed meanwhile. A
        change would undo the other's, so it is not tried again.

        Args:
            problem: why.
            order: as it stands, if Core says.
        """
        first = self.own.entries[0]
        may_follow = first.kind == "transition" and first.body["to"] != "accepted"
        is_as_seen = order is not None and order.is_open and order.status == first.status
        if problem.slug == "stale-version" and may_follow and is_as_seen and order is not None:
            again = _based_on(order, first)
            entries = [again, *self.own.entries[1:]]
            return Settlement(entries, [PutCommand(again.id, encode_command(again))], order=order)
        return self._refused(first, problem, order)

    def settle(
        self, settlement: Settlement, *, keep: bool, listed: bool, epoch: str | None = None
    ) -> None:
        """It is kept: it holds from now on.

        Where the log has still to bring what the answer says, the order is shown as the answer has
        it until then; else its next step would be made on a version that is gone. One that is not
        shown may have ended beyond what the log will bring, after a repeated answer or a snapshot:
        it would be shown for ever. An answer of a later log than the one that is followed, as after
        a restore that this client has still to learn of, holds until that log begins here.

        Args:
            settlement: what came of the answer.
            keep: whether the log has still to bring the order as the answer has it.
            listed: whether the log has brought the order, at an older version.
            epoch: the log that the answer is of; None: it does not say.
        """
        own = self.own
        own.entries = settlement.entries
        self._flight = None
        for command, outcome in settlement.outcomes:
            self._remember(command, outcome)
        order = settlement.order
        if order is None or not keep:
            return
        if self.is_ahead(epoch):
            self._put_ahead(order, epoch or "")
        elif not self._is_gone(epoch):
            is_newest = not settlement.repeated and not channels_of(order) & self._begun_anew
            if listed or order.id in own.known or is_newest:
                _put(own.known, order.id, order)

    # ── Core's log ───────────────────────────────────────────────────────────

    def is_ahead(self, epoch: str | None) -> bool:
        """Whether an answer of this log is of a later one than the orders that are shown.

        The names of epochs sort by time.
        """
        return epoch is not None and epoch > self.log

    def contained(self, order_id: str, version: int | None) -> None:
        """The log has brought the order at this version; None: it is not there any more."""
        known = self.own.known.get(order_id)
        if known is not None and (version is None or version >= known.version):
            del self.own.known[order_id]

    def follow(self, log: str) -> None:
        """What the log brings is of this one from now on.

        Args:
            log: its epoch.
        """
        if log == self.log:
            return
        own = self.own
        self.log = log
        if self._ahead_log == log:
            own.known |= own.ahead
        if self._ahead_log <= log:
            own.ahead.clear()

    def reset(self, channel: str, listed: Mapping[str, int], *, log: str, same_log: bool) -> None:
        """The channel's orders are what its snapshot says, but for answers that are newer.

        The snapshot may have been read before a command was done whose answer is here already. In
        one log an order's versions only grow, so the higher one is the newer one.

        Args:
            channel: what has begun anew.
            listed: the versions of Core's orders, by their ids, with those of the snapshot.
            log: the epoch of the snapshot's log.
            same_log: whether it is the log that was followed before, and has not gone back. If not,
                the versions that its answers named are gone.
        """
        own = self.own
        if not same_log:
            self._is_other_log = True
            self._has_gone_back = self._has_gone_back or log == self.log
            own.known.clear()
        self.follow(log)
        self._begun_anew.add(channel)
        for order in list(own.known.values()):
            is_newer = listed.get(order.id, order.version) < order.version
            if channel in channels_of(order) and not is_newer:
                del own.known[order.id]

    # ── the rest ─────────────────────────────────────────────────────────────

    def _is_gone(self, epoch: str | None) -> bool:
        """Whether the versions that an answer names may be gone."""
        if epoch is None or self._has_gone_back:
            return self._is_other_log
        return epoch != self.log

    def _put_ahead(self, order: Order, epoch: str) -> None:
        own = self.own
        if epoch < self._ahead_log:
            return
        if epoch > self._ahead_log:
            own.ahead.clear()
            self._ahead_log = epoch
        _put(own.ahead, order.id, order)

    def _refused(self, first: Command, why: Problem, order: Order | None = None) -> Settlement:
        settlement = Settlement([], order=order)
        gone = {first.id}
        settlement.outcomes.append((first, CommandOutcome("refused", order, why)))
        for entry in self.own.entries[1:]:
            if entry.after not in gone:
                settlement.entries.append(entry)
                continue
            gone.add(entry.id)
            depends = problem("depends", "the command that it was made on was refused")
            settlement.outcomes.append((entry, CommandOutcome("refused", order, depends)))
        settlement.writes += [DropCommand(place) for place in sorted(gone)]
        return settlement

    def _remember(self, command: Command, outcome: CommandOutcome) -> None:
        own, order = self.own, outcome.order
        if outcome.outcome == "applied" and order is not None:
            _put(self._ends, command.id, (order.version, order.updated_at))
            own.errors.pop(command.shown_as, None)
            if command.kind == "place":
                _put(self._placed, command.key, order.id)
            return
        _put(self._ends, command.id, None)
        why = outcome.problem
        # What was given up because of another refusal says nothing that this does not say.
        if why is not None and not (why.slug == "depends" and command.shown_as in own.errors):
            error = EditError(why.slug, why.detail or why.title, None)
            _put(own.errors, command.shown_as, error)


_TOO_OLD = f"it was made more than {MAX_COMMAND_AGE_S // 3600} hours ago, and was never sent"
_NOBODY_KNOWS = (
    f"it was sent more than {MAX_SENT_AGE_S // 86_400} days ago, and the answer was lost: "
    "look at the order"
)


def _based_on(order: Order, command: Command) -> Command:
    return replace(command, version=order.version, updated_at=order.updated_at)


def channels_of(order: Order) -> set[str]:
    """The channels that tell of the order."""
    table = {f"table:{order.store_id}/{order.table_id}"} if order.table_id is not None else set()
    return {f"store:{order.store_id}"} | table


def _put(remembered: dict[K, V], name: K, value: V) -> None:
    remembered.pop(name, None)
    remembered[name] = value
    if len(remembered) > _MOST_REMEMBERED:
        del remembered[next(iter(remembered))]
