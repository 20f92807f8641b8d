"""Edits of many clients at once: settled in order, and the rows of the results. Pure.

Each request's edits are settled in the order of their numbers, those of different requests in the
order in which they came; each sees what those before it made. An edit that was settled before gets
its first answer again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from client_sdk.contract.state.document import EditName
from client_sdk.contract.state.edit import Edit, EditOutcome, UnreadableEdit
from core_api.documents.basis import OwnResult
from core_api.documents.kept_versions import Head
from core_api.documents.settling import Settlement, settle
from core_api.edits.lifetimes import ends_at
from core_api.edits.needs import result_of
from core_api.edits.outcomes import fingerprint, outcome_of, repeated
from core_api.edits.plan import EditAnswer, Known, Plan, Rules
from core_api.edits.requests import Admitted, EditRequest, admit, refused
from core_api.edits.rows import (
    Author,
    Before,
    PlanRows,
    document_row,
    event_row,
    history_row,
    outcome_row,
)
from core_api.edits.what_was_read import DocumentName, KnownClient
from core_api.edits.working_documents import Undo, Working
from core_api.errors import ClientTakenError, CoreError, EditGapError, TooManyClientsError
from server_common.limits import SUBJECT_CLIENTS

FAILED: Final = "internal"
"""The problem of an edit that Core cannot settle: left open, it would block all later edits of its
client for ever."""
_NOTHING: Final = Before(Head(), b"")


def plan_edits(requests: Sequence[EditRequest], known: Known, rules: Rules) -> Plan:
    """Settle the edits of these requests; those that cannot be settled at all get an error for an
    answer.

    Args:
        requests: in the order in which they came, no two of one client.
        known: what was read for them.
        rules: what holds for all edits.
    """
    return _Planner(requests, known, rules).plan()


class _Planner:
    def __init__(self, requests: Sequence[EditRequest], known: Known, rules: Rules) -> None:
        self._requests = requests
        self._known = known
        self._state = known.state
        self._rules = rules
        self._rows = PlanRows()
        self._working = Working(known)
        self._channels: set[str] = set()
        self._obeyed: set[tuple[int, str]] = set()

    def plan(self) -> Plan:
        answers: list[EditAnswer | CoreError] = []
        new_clients = []
        components = components_of(self._requests)
        for request, component in zip(self._requests, components, strict=True):
            try:
                answer = self._answer(request, component)
            except CoreError as error:
                answers.append(error)
                continue
            answers.append(answer)
            if request.client not in self._state.clients and answer.settled:
                new_clients.append((request.client, request.subject))
        written = self._working.rows
        self._rows.documents += [written[name] for name in sorted(written)]
        self._rows.rules += sorted(self._obeyed)
        new = [name for name in written if name not in self._state.heads]
        return Plan(answers, components, self._rows, new, new_clients, frozenset(self._channels))

    def _answer(self, request: EditRequest, component: int) -> EditAnswer:
        known = self._state.clients.get(request.client)
        if known is None and request.subject in self._state.full:
            raise TooManyClientsError(
                f"this subject has {SUBJECT_CLIENTS} clients of edits already: reuse one that "
                + (
                    "it has; a client expires after 90 days without a request"
                    if request.party is None
                    else "it has, or wait: clients without a request for an hour do not count"
                )
            )
        client = known or KnownClient(request.subject, 0)
        if client.subject != request.subject:
            raise ClientTakenError(
                f"the client {request.client} belongs to another subject: use a new client id"
            )
        if request.batch.epoch not in (None, self._state.epoch):
            raise EditGapError(
                "the log has a new epoch: GET /v1/edits tells how far it knows this client",
                client.settled,
            )
        edits = request.batch.edits
        _check_numbers(edits, client.settled)
        outcomes = [
            repeated(edit, self._known.answers.get((request.client, edit.n)))
            for edit in edits
            if edit.n <= client.settled
        ]
        new = [edit for edit in edits if edit.n > client.settled]
        if new:
            outcomes += self._settle(request, new, component)
            settled = new[-1].n
            answered = min(request.batch.answered, settled)
            self._rows.clients.append(
                (request.client, component, client.settled, settled, answered)
            )
            return EditAnswer(settled, outcomes)
        return EditAnswer(client.settled, outcomes)

    def _settle(
        self, request: EditRequest, edits: Sequence[Edit | UnreadableEdit], component: int
    ) -> list[EditOutcome]:
        """Settle new edits of one client, in order, and collect the rows."""
        results: dict[int, OwnResult | None] = {}
        names: dict[int, DocumentName] = {}
        steps: list[_Step] = []
        undo = self._working.begin()
        for edit in edits:
            admitted = admit(request, edit, self._rules.definitions)
            if isinstance(admitted, EditOutcome):
                steps.append(_Step(edit, admitted))
            else:
                step = self._settle_one(request.client, admitted, results, names, undo)
                steps.append(step)
                results[edit.n] = step.settlement.result if step.settlement else None
                names[edit.n] = (admitted.edit.channel, admitted.edit.key)
        if request.batch.atomic:
            steps = self._all_or_none(steps, undo)
        author = Author(request.caller.subject, request.client, request.caller.role)
        for step in steps:
            self._note(step, author, component)
        return [step.outcome for step in steps]

    def _settle_one(
        self,
        client: str,
        admitted: Admitted,
        results: Mapping[int, OwnResult | None],
        names: Mapping[int, DocumentName],
        undo: Undo,
    ) -> _Step:
        edit, name = admitted.edit, (admitted.edit.channel, admitted.edit.key)
        if name in self._state.unreadable:
            return _Step(edit, refused(edit.n, FAILED, f"the database cannot give {edit.key}"))
        document = self._working.at(name)
        before = Before(document.head, document.content)

        def resolve(n: int) -> OwnResult | None:
            if n in results:
                return results[n] if names.get(n) == name else None
            return result_of(self._known.answers.get((client, n)), name)

        try:
            settlement = settle(
                edit, before.head, document.history, admitted.definition, self._state.now, resolve
            )
        except Exception as error:
            told = f"Core fails to settle it: {type(error).__name__}"
            return _Step(edit, refused(edit.n, FAILED, told))
        full = self._working.take(admitted.channel, name, settlement, undo)
        if full is not None:
            return _Step(edit, full)
        outcome = outcome_of(settlement, before.head, document.content)
        return _Step(edit, outcome, settlement, before, admitted)

    def _all_or_none(self, steps: list[_Step], undo: Undo) -> list[_Step]:
        """If one edit of an atomic batch is refused, all are."""
        stores = {
            (channel.store_id, channel.root)
            for channel in (s.admitted.channel for s in steps if s.admitted is not None)
        }
        failing = next((s for s in steps if s.outcome.outcome == "refused"), None)
        if failing is None and len(stores) <= 1:
            return steps
        self._working.restore(undo)
        if failing is None:
            detail = "an atomic batch stays within one store, one brand or global"
        else:
            detail = f"edit {failing.edit.n} of the same atomic batch is refused"
        return [
            step if step is failing else _Step(step.edit, refused(step.edit.n, "depends", detail))
            for step in steps
        ]

    def _note(self, step: _Step, author: Author, component: int) -> None:
        edit, settlement = step.edit, step.settlement
        self._rows.outcomes.append(
            outcome_row(
                component,
                author.client,
                step.outcome,
                fingerprint(edit),
                settlement.result if settlement else None,
            )
        )
        if settlement is None or not isinstance(edit, Edit) or step.admitted is None:
            return
        made, channel = settlement.made, step.admitted.channel
        now = self._state.now
        if made is not None or settlement.aside:
            self._rows.history.append(history_row(component, edit, settlement, author, now))
        if made is None:
            return
        document = self._working.at((edit.channel, edit.key))
        self._rows.events.append(
            event_row(
                component,
                channel,
                edit,
                step.before,
                settlement,
                made,
                author,
                now,
                self._rules.partitions,
            )
        )
        document.row = document_row(
            component,
            channel,
            edit.key,
            document.read.version,
            made,
            author,
            now,
            ends_at(step.admitted.definition, now),
            EditName(author.client, edit.n),
        )
        self._channels.add(edit.channel)
        if self._rules.obeyed_by_orders(channel, edit.key):
            self._obeyed.add((component, f"store:{channel.root}"))


@dataclass(frozen=True, slots=True)
class _Step:
    """One edit, its outcome, and how it was settled, if it was."""

    edit: Edit | UnreadableEdit
    outcome: EditOutcome
    settlement: Settlement | None = None
    before: Before = _NOTHING
    admitted: Admitted | None = None


def _check_numbers(edits: Sequence[Edit | UnreadableEdit], settled: int) -> None:
    expected = settled + 1
    for edit in edits:
        if edit.n > expected:
            raise EditGapError(
                f"edit {edit.n} cannot be settled before edit {expected}: send that first", settled
            )
        expected = max(expected, edit.n + 1)


def components_of(requests: Sequence[EditRequest]) -> list[int]:
    """A number for each request: equal for those that share a document, or are linked by others."""
    parent = list(range(len(requests)))

    def find(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[DocumentName, int] = {}
    for number, request in enumerate(requests):
        for name in request.names:
            parent[find(number)] = find(first.setdefault(name, number))
    return [find(number) for number in range(len(requests))]
