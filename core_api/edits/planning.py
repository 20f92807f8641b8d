"""Edits of many clients at once: settled in order, and the rows that say so. Pure.

Each request's edits are settled in the order of their numbers, those of different requests in the
order in which they came; each sees what those before it made. An edit that was settled before gets
its first answer again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import canonical
from client_sdk.contract.limits import MAX_SHOWN_VALUE_BYTES
from client_sdk.contract.state.edit import (
    Conflict,
    Edit,
    EditOutcome,
    OwnEdit,
    UnreadableEdit,
    decode_outcome,
    edit_fingerprint,
)
from core_api.documents.basis import OwnResult
from core_api.documents.definitions import Definition, Definitions
from core_api.documents.history import Head, History, Kept
from core_api.documents.settling import Settlement, settle
from core_api.edits.requests import Admitted, EditRequest, admit, refused
from core_api.edits.rows import (
    Author,
    Before,
    PlanRows,
    document_row,
    event_row,
    history_row,
    outcome_row,
    shown_bytes,
)
from core_api.edits.state import KeptAnswer, KnownClient, Place, Room, State
from core_api.errors import ClientTakenError, CoreError, EditGapError, EditMismatchError
from server_common.limits import CHANNEL_DOCUMENT_BYTES, CHANNEL_DOCUMENTS

FORGOTTEN: Final = "forgotten"
"""The outcome of an edit that was settled, and whose client said that it has the answer."""
SESSION_S: Final = 86_400.0
"""A session's document ends so long after its client was last heard of."""

_result_decoder: Final = msgspec.json.Decoder(OwnResult)


class EditAnswer(Struct, frozen=True):
    """What one request is answered."""

    settled: int
    """The client's last settled number."""
    outcomes: Sequence[EditOutcome]
    """One for each edit of the request, in their order."""


@dataclass(slots=True)
class Plan:
    """What is to be written, and what is to be answered once it is."""

    answers: list[EditAnswer | CoreError]
    """One for each request."""
    components: list[int]
    """The component of each request."""
    rows: PlanRows
    new_places: list[Place]
    """Documents that have no row yet."""
    new_clients: list[tuple[str, str]]
    """Clients that have no row yet, with their subjects."""
    channels: frozenset[str]
    """The channels that get an event."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was read."""

    state: State
    answers: Mapping[tuple[str, int], KeptAnswer]
    histories: Mapping[Place, History]


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all edits."""

    definitions: Definitions
    partitions: int
    obeyed_by_orders: Callable[[Channel, str], bool]
    """Whether orders of the channel's store obey this document."""


class _Document(Struct):
    """A document while edits are settled on it."""

    read: Head
    head: Head
    content: bytes
    """The head's value in the form of RFC 8785; empty: there is none."""
    history: History
    row: tuple[object, ...] | None = None


_NOTHING: Final = Before(Head(), b"")


@dataclass(slots=True)
class _Undo:
    rooms: dict[str, Room]
    documents: dict[Place, tuple[Head, bytes]] = field(default_factory=dict)


def answers_needed(requests: Sequence[EditRequest], state: State) -> list[tuple[str, int]]:
    """The earlier edits whose answers are needed: those that are repeated, or edited on."""
    needed = set()
    for request in requests:
        settled = _settled(state, request.client)
        for edit in request.batch.edits:
            if edit.n <= settled:
                needed.add((request.client, edit.n))
            elif isinstance(edit, Edit) and isinstance(edit.base, OwnEdit):
                needed.add((request.client, edit.base.n))
    return sorted(needed)


def histories_needed(
    requests: Sequence[EditRequest],
    state: State,
    answers: Mapping[tuple[str, int], KeptAnswer],
) -> dict[Place, int]:
    """The documents whose history is needed, each with the lowest version that an edit is made on.

    Not needed is that of a document of which each edit is made on its newest version.
    """
    lowest: dict[Place, int] = {}
    for request in requests:
        settled = _settled(state, request.client)
        for edit in request.batch.edits:
            if not isinstance(edit, Edit) or edit.n <= settled:
                continue
            place = (edit.channel, edit.key)
            head = state.heads.get(place)
            if head is None or head.version == 0:
                continue
            base = _base_of(request.client, edit, settled, answers)
            if base is not None and base != head.version:
                lowest[place] = min(base, lowest.get(place, base))
    return lowest


def _base_of(
    client: str, edit: Edit, settled: int, answers: Mapping[tuple[str, int], KeptAnswer]
) -> int | None:
    if not isinstance(edit.base, OwnEdit):
        return edit.base
    if edit.base.n > settled:
        return None
    kept = answers.get((client, edit.base.n))
    result = _result_of(kept)
    if result is None:
        return None
    return result.version if result.plain else result.base


def plan_edits(requests: Sequence[EditRequest], known: Known, rules: Rules) -> Plan:
    """Settle the edits of these requests, no two of which are of one client."""
    return _Planner(requests, known, rules).plan()


class _Planner:
    def __init__(self, requests: Sequence[EditRequest], known: Known, rules: Rules) -> None:
        self._requests = requests
        self._state = known.state
        self._known = known
        self._rules = rules
        self._rows = PlanRows(known.state.now)
        self._documents: dict[Place, _Document] = {}
        self._components = _components(requests)
        self._rooms: dict[str, Room] = dict(known.state.rooms)
        self._channels: set[str] = set()
        self._obeyed: set[tuple[int, str]] = set()

    def plan(self) -> Plan:
        answers: list[EditAnswer | CoreError] = []
        new_clients = []
        for request, component in zip(self._requests, self._components, strict=True):
            try:
                answers.append(self._answer(request, component))
            except CoreError as error:
                answers.append(error)
                continue
            if request.client not in self._state.clients:
                new_clients.append((request.client, request.subject))
        written = [p for p, document in self._documents.items() if document.row is not None]
        self._rows.documents += [self._documents[place].row for place in sorted(written)]  # type: ignore[misc]
        self._rows.rules += sorted(self._obeyed)
        new = [place for place in written if place not in self._state.heads]
        return Plan(
            answers, self._components, self._rows, new, new_clients, frozenset(self._channels)
        )

    def _answer(self, request: EditRequest, component: int) -> EditAnswer:
        client = self._state.clients.get(request.client, KnownClient(request.subject, 0))
        if client.subject != request.subject:
            raise ClientTakenError(
                f"the client {request.client} belongs to somebody else: begin a new one"
            )
        edits = request.batch.edits
        _check_numbers(edits, client.settled)
        outcomes = [self._repeated(request.client, e) for e in edits if e.n <= client.settled]
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

    def _repeated(self, client: str, edit: Edit | UnreadableEdit) -> EditOutcome:
        kept = self._known.answers.get((client, edit.n))
        if kept is None:
            return EditOutcome(edit.n, FORGOTTEN, repeated=True)
        if kept.request_hash != _fingerprint(edit):
            raise EditMismatchError(
                f"edit {edit.n} was settled with other content: send what is pending under a new "
                "client"
            )
        return replace(decode_outcome(kept.outcome), repeated=True)

    def _settle(
        self, request: EditRequest, edits: Sequence[Edit | UnreadableEdit], component: int
    ) -> list[EditOutcome]:
        """Settle new edits of one client, in order, and note the rows."""
        author = Author(request.caller.subject, request.client)
        results: dict[int, OwnResult | None] = {}
        places: dict[int, Place] = {}
        steps: list[_Step] = []
        undo = _Undo(dict(self._rooms) if request.batch.atomic else {})
        for edit in edits:
            admitted = admit(request, edit, self._rules.definitions)
            if isinstance(admitted, EditOutcome):
                steps.append(_Step(edit, admitted))
            else:
                step = self._settle_one(request, admitted, component, results, places, undo)
                steps.append(step)
                results[edit.n] = step.settlement.result if step.settlement else None
                places[edit.n] = (admitted.edit.channel, admitted.edit.key)
        if request.batch.atomic:
            steps = self._all_or_none(steps, undo)
        for step in steps:
            self._note(step, author, component)
        return [step.outcome for step in steps]

    def _settle_one(
        self,
        request: EditRequest,
        admitted: Admitted,
        component: int,
        results: Mapping[int, OwnResult | None],
        places: Mapping[int, Place],
        undo: _Undo,
    ) -> _Step:
        edit, place = admitted.edit, (admitted.edit.channel, admitted.edit.key)
        document = self._document(place)
        before, content = document.head, document.content

        def resolve(n: int) -> OwnResult | None:
            if n in results:
                return results[n] if places.get(n) == place else None
            return _result_of(self._known.answers.get((request.client, n)))

        settlement = settle(
            edit, before, document.history, admitted.definition, self._state.now, resolve
        )
        full = self._full(admitted.channel, document, settlement)
        if full is not None:
            return _Step(edit, full)
        if settlement.made is not None:
            undo.documents.setdefault(place, (before, content))
            document.head, document.content = settlement.head, settlement.made.content
            document.history.add(settlement.made.kept)
        outcome = _outcome(settlement, before, document.content)
        return _Step(edit, outcome, settlement, Before(before, content), admitted)

    def _document(self, place: Place) -> _Document:
        document = self._documents.get(place)
        if document is None:
            head = self._state.heads.get(place, Head())
            history = self._known.histories.get(place)
            if history is None:
                history = History(
                    [Kept(head.version, head.made_at, [], head.schema_version, head.value)]
                    if head.version and head.made_at
                    else []
                )
            content = b"" if head.value is None else canonical(head.value)
            document = _Document(head, head, content, history.copy())
            self._documents[place] = document
        return document

    def _full(
        self, channel: Channel, document: _Document, settlement: Settlement
    ) -> EditOutcome | None:
        """The refusal of an edit for which the channel has no room; None: there is room."""
        made = settlement.made
        if made is None:
            return None
        room = self._rooms.get(str(channel), Room(0, 0))
        documents = room.documents + (made.value is not None) - (document.head.value is not None)
        growth = shown_bytes(made.content) - shown_bytes(document.content)
        if documents > max(CHANNEL_DOCUMENTS, room.documents):
            return refused(
                settlement.n,
                "too-many-documents",
                f"{channel} has {room.documents} documents, as many as a channel may have",
            )
        if growth > 0 and room.size + growth > CHANNEL_DOCUMENT_BYTES:
            return refused(
                settlement.n,
                "too-many-documents",
                f"the documents of {channel} have {room.size} bytes, and may have "
                f"{CHANNEL_DOCUMENT_BYTES}",
            )
        self._rooms[str(channel)] = Room(documents, room.size + growth)
        return None

    def _all_or_none(self, steps: list[_Step], undo: _Undo) -> list[_Step]:
        """If one edit of an atomic batch is refused, all are."""
        stores = {
            (channel.store_id, channel.root)
            for channel in (s.admitted.channel for s in steps if s.admitted is not None)
        }
        failing = next((s for s in steps if s.outcome.outcome == "refused"), None)
        if failing is None and len(stores) <= 1:
            return steps
        self._rooms = undo.rooms
        for place, (head, content) in undo.documents.items():
            document = self._documents[place]
            document.head, document.content = head, content
            document.history = History(
                [k for k in document.history.after(-1) if k.version <= head.version]
            )
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
                _fingerprint(edit),
                settlement.result if settlement else None,
            )
        )
        if settlement is None or not isinstance(edit, Edit) or step.admitted is None:
            return
        made, channel = settlement.made, step.admitted.channel
        now = self._state.now
        diff = b"[]" if made is None else canonical(made.diff)
        if made is not None or settlement.aside:
            self._rows.history.append(history_row(component, edit, settlement, diff, author, now))
        if made is None:
            return
        place = (edit.channel, edit.key)
        document = self._documents[place]
        self._rows.events.append(
            event_row(
                component,
                channel,
                edit,
                step.before,
                settlement,
                made,
                diff,
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
            _ends_at(step.admitted.definition, now),
        )
        self._channels.add(edit.channel)
        if self._rules.obeyed_by_orders(channel, edit.key):
            self._obeyed.add((component, f"store:{channel.root}"))


class _Step(Struct, frozen=True):
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


def _components(requests: Sequence[EditRequest]) -> list[int]:
    """A number for each request: the same for those that share a document, however far around."""
    parent = list(range(len(requests)))

    def find(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[Place, int] = {}
    for number, request in enumerate(requests):
        for place in request.places:
            parent[find(number)] = find(first.setdefault(place, number))
    return [find(number) for number in range(len(requests))]


def _settled(state: State, client: str) -> int:
    known = state.clients.get(client)
    return 0 if known is None else known.settled


def _result_of(kept: KeptAnswer | None) -> OwnResult | None:
    return None if kept is None or kept.result is None else _result_decoder.decode(kept.result)


def _fingerprint(edit: Edit | UnreadableEdit) -> bytes:
    return edit.fingerprint if isinstance(edit, UnreadableEdit) else edit_fingerprint(edit)


def _ends_at(definition: Definition, now: datetime) -> datetime | None:
    if definition.lifetime == "session":
        return now + timedelta(seconds=SESSION_S)
    return definition.until


def _outcome(settlement: Settlement, before: Head, content: bytes) -> EditOutcome:
    """The answer of one settled edit; with the value where the client cannot know it.

    Args:
        settlement: what became of it.
        before: the document before it.
        content: its value after it, in the form of RFC 8785.
    """
    refusal = settlement.refusal
    if refusal is not None:
        return replace(
            refused(settlement.n, refusal.slug, refusal.detail, refusal.pointer),
            version=before.version or None,
            conflict=None if refusal.conflict is None else _bounded(refusal.conflict),
        )
    is_told = settlement.outcome != "applied" and len(content) <= MAX_SHOWN_VALUE_BYTES
    return EditOutcome(
        settlement.n,
        settlement.outcome,
        version=settlement.head.version or None,
        value=settlement.head.value if is_told else UNSET,
        strategy=settlement.strategy,
        aside=list(settlement.aside),
    )


def _bounded(conflict: Conflict) -> Conflict:
    """The same without the values that are too large for an answer: the client fetches them."""
    return Conflict(
        conflict.version,
        *(
            UNSET if value is UNSET or len(canonical(value)) > MAX_SHOWN_VALUE_BYTES else value
            for value in (conflict.current, conflict.base, conflict.own)
        ),
    )
