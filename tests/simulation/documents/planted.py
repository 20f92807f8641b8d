"""Planted bugs: each removes one protection, and the schedules must find it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Final
from unittest.mock import patch

from msgspec import UNSET
from msgspec.structs import replace

from client_sdk.contract.order import Order
from client_sdk.contract.problem import Problem
from client_sdk.contract.state.edit import EditOutcome
from client_sdk.shared_state.sender import Sender
from client_sdk.state.documents import Documents
from client_sdk.state.entries import Entry
from client_sdk.state.orders.answered_orders import AnsweredOrders
from client_sdk.state.orders.command_queue import CommandQueue, CommandSettlement
from client_sdk.state.orders.commands import CommandOutcome, CommandRequest, QueuedCommand
from client_sdk.state.queue import EditQueue
from client_sdk.state.records import DropCommand, PutCommand, PutEntry, Write
from client_sdk.state.replica import Replica
from client_sdk.state.requests import Request
from client_sdk.state.store import MemoryState
from client_sdk.state.view import Composed, compose
from core_api.documents.strategies import STRATEGIES, Decision, Situation, attempt
from tests.simulation.documents.client import DocumentClient
from tests.simulation.documents.core import DocumentCore
from tests.simulation.documents.desk import Desk

Planted = Callable[[], AbstractContextManager[Any]]


def _applied_twice_by_core() -> AbstractContextManager[Any]:
    """Core applies a repeated request again."""

    def write(self: DocumentCore, plan: Any, now: float) -> None:
        plan.rows.clients = [
            (client, component, before, before, answered)
            for client, component, before, _, answered in plan.rows.clients
        ]
        written(self, plan, now)

    written = DocumentCore._write
    return patch.object(DocumentCore, "_write", write)


def _applied_twice_by_the_client() -> AbstractContextManager[Any]:
    """Edits that may have been settled are sent again under another client id."""

    def failed(self: EditQueue, request: Request) -> None:
        if self._landed(request):
            self._rename(self.unanswered, anew=True)

    return patch.object(EditQueue, "failed", failed)


def _queue_lost_at_a_crash() -> AbstractContextManager[Any]:
    """Edits are in memory only, not stored."""

    def lost(self: MemoryState, writes: Sequence[Write]) -> None:
        written(self, [write for write in writes if not isinstance(write, PutEntry)])

    written = MemoryState.write
    return patch.object(MemoryState, "write", lost)


def _shown_on_the_wrong_base() -> AbstractContextManager[Any]:
    """The view applies pending edits to an older value, not to Core's newest."""

    def composed(self: Replica, name: tuple[str, str]) -> Composed:
        document = self._documents(name).get(name[1])
        value = None if document is None or document.value is UNSET else document.value
        pending = self._pending(name)
        before = kept.setdefault((id(self), name), value)
        if not pending:
            kept[id(self), name] = before = value
        return compose(before, pending, self._calls.get(name[1], {}))

    kept: dict[tuple[int, tuple[str, str]], Any] = {}
    return patch.object(Replica, "_compose", composed)


def _sent_with_the_newest_base() -> AbstractContextManager[Any]:
    """An edit names the newest version as its base, whatever the device has shown."""

    @contextmanager
    def planted() -> Iterator[None]:
        def plan(self: DocumentCore, requests: Sequence[Any], now: datetime) -> Any:
            for request in requests:
                edits = request.batch.edits
                for place, edit in enumerate(edits):
                    head = self.truth.heads.get((edit.channel, edit.key))
                    if type(edit.base) is int and head is not None:
                        edits[place] = replace(edit, base=head.version)
            return planned(self, requests, now)

        planned = DocumentCore.plan
        with patch.object(DocumentCore, "plan", plan):
            yield

    return planted()


def _by_the_devices_clock() -> AbstractContextManager[Any]:
    """An edit is dated by the device's clock, which is wrong."""
    return patch.object(DocumentClient, "core_time", DocumentClient.device_time)


def _stalled_behind_a_refusal() -> AbstractContextManager[Any]:
    """The client does not count a refused edit as answered."""

    def take(
        self: EditQueue, request: Request, outcomes: Sequence[EditOutcome]
    ) -> list[tuple[Entry, EditOutcome]]:
        return taken(self, request, [one for one in outcomes if one.outcome != "refused"])

    taken = EditQueue.take
    return patch.object(EditQueue, "take", take)


def _taken_out_on_the_answer() -> AbstractContextManager[Any]:
    """A pending edit is removed from the view when it is answered, before its event arrives."""

    def outcome(self: Replica, entry: Entry, answer: EditOutcome) -> None:
        entry.shown = False
        taken(self, entry, answer)

    taken = Replica._outcome
    return patch.object(Replica, "_outcome", outcome)


def _merge_drops_the_others_path() -> AbstractContextManager[Any]:
    """A concurrent merge replaces the whole value by what its device has shown."""

    def merge(situation: Situation) -> Decision:
        basis = None if situation.basis is UNSET else situation.basis
        return Decision(attempt(situation.operation, basis))

    strategies: Any = dict(STRATEGIES) | {"merge": merge}
    return patch("core_api.documents.settling.STRATEGIES", strategies)


def _sent_with_anothers_token() -> AbstractContextManager[Any]:
    """The queue is sent with the token of whoever has signed in."""
    return patch.object(Sender, "_is_own", lambda _self, _token: True)


def _numbers_of_the_log_before() -> AbstractContextManager[Any]:
    """After a restore the client goes on with the numbers of the old log."""

    def follow(self: EditQueue, epoch: str) -> bool:
        self.epoch = epoch
        return False

    return patch.object(EditQueue, "follow", follow)


def _edits_of_another_log() -> AbstractContextManager[Any]:
    """After a restore Core accepts numbers and bases of the old log."""
    return patch.object(DocumentCore, "names_logs", new=False)


def _shown_twice() -> AbstractContextManager[Any]:
    """An edit whose answer was lost is applied to a value that already contains it."""
    return patch.object(Replica, "_is_unsure", lambda _self, _name: False)


def _shown_twice_on_the_log_before() -> AbstractContextManager[Any]:
    """An edit that a restore has undone is applied to the old value, which contains it."""

    def told(self: EditQueue, client: str, settled: int, epoch: str) -> list[Entry]:
        renamed = was_told(self, client, settled, epoch)
        for entry in self.entries:
            entry.within = False
        return renamed

    was_told = EditQueue.told
    return patch.object(EditQueue, "told", told)


def _taken_off_the_log_before() -> AbstractContextManager[Any]:
    """An edit that the new log has settled is removed from the view, which still shows the old
    value."""
    return patch.object(Documents, "stands_in", lambda _self, _key: False)


def _documents_of_the_log_before() -> AbstractContextManager[Any]:
    """After a restore, stored documents of the old log are used as the new log's."""
    return patch("client_sdk.state.replica.log_kept", lambda _channels, _log: [])


def _command_done_twice() -> AbstractContextManager[Any]:
    """A command is sent again with another key."""

    def failed(self: CommandQueue, request: CommandRequest) -> None:
        entries = self.own.entries
        # Core would refuse a repeated step, but not a repeated order or change.
        if self._flight is request and entries[0].id == request.id and "note" in entries[0].body:
            entries[0] = replace(entries[0], key=f"{entries[0].key}+")
        sent(self, request)

    sent = CommandQueue.failed
    return patch.object(CommandQueue, "failed", failed)


def _commands_lost_at_a_crash() -> AbstractContextManager[Any]:
    """Commands are in memory only, not stored."""

    def lost(self: MemoryState, writes: Sequence[Write]) -> None:
        written(self, [write for write in writes if not isinstance(write, PutCommand)])

    written = MemoryState.write
    return patch.object(MemoryState, "write", lost)


def _command_before_its_turn() -> AbstractContextManager[Any]:
    """A command is sent at once, even if edits wait before it."""
    return patch.object(Desk, "is_first", property(lambda self: self.queue.first is not None))


def _command_of_any_version() -> AbstractContextManager[Any]:
    """A command does not name the version that it is based on."""
    return _sent_with(lambda made: dataclasses.replace(made, version=None, updated_at=None))


def _command_of_any_time() -> AbstractContextManager[Any]:
    """A command does not name the time of the version that it is based on."""
    return _sent_with(lambda made: dataclasses.replace(made, updated_at=None))


def _sent_with(
    change: Callable[[CommandRequest], CommandRequest],
) -> AbstractContextManager[Any]:
    def request(self: CommandQueue) -> CommandRequest | None:
        made = asked(self)
        self._flight = None if made is None else change(made)
        return self._flight

    asked = CommandQueue.request
    return patch.object(CommandQueue, "request", request)


def _done_though_its_base_was_refused() -> AbstractContextManager[Any]:
    """A command that is based on a refused one is sent all the same."""

    def refused(
        self: CommandQueue, first: QueuedCommand, why: Problem, order: Order | None = None
    ) -> CommandSettlement:
        settlement = CommandSettlement(self.own.entries[1:], [DropCommand(first.id)], order=order)
        settlement.outcomes.append((first, CommandOutcome("refused", order, why)))
        return settlement

    return patch.object(CommandQueue, "_refused", refused)


def _answers_dropped_at_a_snapshot() -> AbstractContextManager[Any]:
    """A snapshot counts as newer than any answer."""

    def reset(
        self: AnsweredOrders, channel: str, listed: Mapping[str, int], *, log: str, same_log: bool
    ) -> None:
        dropped(self, channel, listed, log=log, same_log=False)

    dropped = AnsweredOrders.reset
    return patch.object(AnsweredOrders, "reset", reset)


def _repeated_answers_not_shown() -> AbstractContextManager[Any]:
    """The order in a repeated answer is ignored."""

    def settle(
        self: CommandQueue,
        settlement: CommandSettlement,
        *,
        keep: bool,
        listed: bool,
        epoch: str | None,
    ) -> None:
        keep = keep and not settlement.repeated
        settled(self, settlement, keep=keep, listed=listed, epoch=epoch)

    settled = CommandQueue.settle
    return patch.object(CommandQueue, "settle", settle)


def _answers_of_a_later_log_dropped() -> AbstractContextManager[Any]:
    """An answer of a new log is forgotten when the client learns of that log."""

    def begin(self: AnsweredOrders, channel: str, log: str) -> None:
        self._own.ahead.clear()
        begun(self, channel, log)

    begun = AnsweredOrders._begin
    return patch.object(AnsweredOrders, "_begin", begin)


PLANTED: Final[Mapping[str, Planted]] = {
    "Core applies twice": _applied_twice_by_core,
    "the client sends twice": _applied_twice_by_the_client,
    "lose the queue at a crash": _queue_lost_at_a_crash,
    "show on the wrong base": _shown_on_the_wrong_base,
    "send with the newest base": _sent_with_the_newest_base,
    "resolve by the device's clock": _by_the_devices_clock,
    "stall behind a refused number": _stalled_behind_a_refusal,
    "take a pending edit out of the view on the answer": _taken_out_on_the_answer,
    "let merge drop the other's path": _merge_drops_the_others_path,
    "send with another's token": _sent_with_anothers_token,
    "take no notice of a restore": _numbers_of_the_log_before,
    "take edits of another log": _edits_of_another_log,
    "keep documents of another log": _documents_of_the_log_before,
    "show an edit twice whose answer was lost": _shown_twice,
    "show what a restore took back twice on the old value": _shown_twice_on_the_log_before,
    "take an edit off an old value that lacks it": _taken_off_the_log_before,
    "do a command twice": _command_done_twice,
    "lose the commands at a crash": _commands_lost_at_a_crash,
    "let a command overtake an edit": _command_before_its_turn,
    "do a command to what was not seen": _command_of_any_version,
    "do a command to another version of the same number": _command_of_any_time,
    "do what was made on a refused command": _done_though_its_base_was_refused,
    "drop an answer for an older snapshot": _answers_dropped_at_a_snapshot,
    "show nothing of a repeated answer": _repeated_answers_not_shown,
    "forget an answer of a log that has not begun here": _answers_of_a_later_log_dropped,
}
