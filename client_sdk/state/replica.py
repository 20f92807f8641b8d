"""One client's part of the shared state: Core's documents, its own edits, and both together. Pure.

Everything goes in here, changes of Core's log and answers as well as new edits; what is to be kept,
fetched and told comes out by `drain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import UNSET

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import StateError
from client_sdk.contract.limits import MAX_EDITS
from client_sdk.contract.state.document import Document, DocumentEvent
from client_sdk.contract.state.edit import EditOutcome, check_edit
from client_sdk.contract.state.operations import decode_operation, encode_operation
from client_sdk.contract.state.values import Value
from client_sdk.contract.text import is_id, shown
from client_sdk.machine.sequencing import DocumentChange, DocumentReset
from client_sdk.state.conflicts import EditError, conflict_of, error_of
from client_sdk.state.documents import Documents
from client_sdk.state.effects import Effects, View
from client_sdk.state.entries import Basis, DocumentName, Entry, Wish, contained_at
from client_sdk.state.queue import MAX_GROUP_BYTES, EditQueue, Request
from client_sdk.state.records import (
    DropDocument,
    DropEntry,
    DropWaiting,
    PutCounters,
    PutDocument,
    PutEntry,
    PutWaiting,
    Waiting,
    Write,
    row_of,
)
from client_sdk.state.view import Calls, Composed, compose, perform, seen_by


class Replica:
    """The shared state of one client.

    Args:
        queue: its edits.
        channels: what it follows, each with what was known when the program ended.
        waiting: conflicts that are not decided.
        calls: by key, what is known of the operator's functions.
        resolved: the keys that have a resolver: a refusal that it can decide is a conflict.
    """

    def __init__(
        self,
        queue: EditQueue,
        channels: Mapping[str, Iterable[Document]],
        waiting: Iterable[Waiting] = (),
        calls: Mapping[str, Calls] | None = None,
        resolved: Iterable[str] = (),
    ) -> None:
        self.queue = queue
        self.channels = {name: Documents(kept) for name, kept in channels.items()}
        self.waiting = {one.id: one for one in waiting}
        self._calls = calls or {}
        self._resolved = frozenset(resolved)
        self._errors: dict[DocumentName, EditError] = {}
        self._composed: dict[DocumentName, Composed] = {}
        self._effects = Effects()

    def drain(self) -> Effects:
        """What is to be done; it is told once."""
        effects, self._effects = self._effects, Effects()
        return effects

    # ── what is shown ────────────────────────────────────────────────────────

    def view(self, name: DocumentName) -> View:
        """The document as it is shown now."""
        documents = self._documents(name)
        composed, pending = self._compose(name), self._pending(name)
        waiting = [one for one in self.waiting.values() if one.document == name]
        return View(
            composed.value,
            documents.version(name[1]),
            len(pending),
            not documents.synced or name[1] in documents.wanted,
            len(composed.left_out),
            waiting[0] if waiting else None,
            self._errors.get(name),
        )

    # ── Core's log ───────────────────────────────────────────────────────────

    def take(self, change: DocumentChange, epoch: str) -> None:
        """Take a change of a channel that is followed."""
        documents = self.channels.get(change.channel)
        if documents is None:
            return
        before = self.queue.epoch
        self.queue.follow(epoch)
        if self.queue.epoch != before:
            self._keep_counters()
        if isinstance(change, DocumentReset):
            self._reset(documents, change)
        else:
            self._event(documents, change)

    def agrees(self, channel: str, content_digest: str) -> bool | None:
        """Whether the channel's documents have this digest; None: a value is still missing."""
        return self.channels[channel].agrees(content_digest)

    def agrees_now(self, channel: str) -> bool | None:
        """A comparison that waited for a value, if it can be made now."""
        return self.channels[channel].agrees_now()

    def fetched(self, document: Document) -> None:
        """Take a version that was fetched."""
        documents = self.channels.get(document.channel)
        if documents is None:
            return
        name = document.channel, document.key
        if documents.fetched(document):
            self._remember(name)
        self._shown(name)

    def missing(self, name: DocumentName, version: int | None) -> None:
        """Core has no such version, or, if the newest was asked for, no such document."""
        documents = self._documents(name)
        if name[1] not in documents.wanted or documents.wanted[name[1]] != version:
            return
        if documents.missing(name[1], version):
            return
        for entry in self._pending(name):
            # It was contained, and the document is gone with all its versions.
            entry.shown = entry.at is None
            self._keep(entry)
        self._shown(name)

    # ── new edits ────────────────────────────────────────────────────────────

    def prepare(
        self, wishes: Sequence[Wish], made_at: datetime | None, *, atomic: bool = False
    ) -> list[Write]:
        """Make edits; the answer is what must be kept before `accept`.

        Raises:
            StateError: one of them cannot be done to what is shown, or is malformed or too large,
                or is in no channel that is followed; none is made.
        """
        stores = {parse_channel(wish.channel).store_id for wish in wishes}
        if atomic and len(stores) > 1:
            raise StateError("all or none holds within one store only")
        if atomic and len(wishes) > MAX_EDITS:
            raise StateError(f"all or none holds for at most {MAX_EDITS} edits")
        values: dict[DocumentName, Value | None] = {}
        entries = []
        try:
            for wish in wishes:
                group = self.queue.next_id if atomic else 0
                entries.append(self._prepare(wish, made_at, group, values))
            if atomic:
                _check_size(entries)
        except BaseException:
            self.queue.abandon()
            raise
        queue, count = self.queue, len(entries)
        counters = PutCounters(
            queue.client, queue.next_n + count, queue.next_id + count, queue.epoch
        )
        return [*(PutEntry(row_of(entry)) for entry in entries), counters]

    def accept(self) -> list[int] | None:
        """What was prepared is kept: show it. None: prepare it again, the client id has changed."""
        begins = len(self.queue.entries)
        if not self.queue.accept():
            return None
        accepted = self.queue.entries[begins:]
        self._keep_counters()
        for name in {entry.document for entry in accepted}:
            self._errors.pop(name, None)
            self._shown(name)
        return [entry.id for entry in accepted]

    def decided(self, waiting: Waiting) -> None:
        """The conflict is decided."""
        if self.waiting.pop(waiting.id, None) is not None:
            self._effects.writes.append(DropWaiting(waiting.id))
            self._effects.changed.add(waiting.document)

    # ── answers ──────────────────────────────────────────────────────────────

    def answered(self, request: Request, outcomes: Sequence[EditOutcome]) -> bool:
        """Take the answer to a request; whether it said anything."""
        answered = self.queue.take(request, outcomes)
        for entry, outcome in answered:
            self._outcome(entry, outcome)
        return bool(answered)

    def unacceptable(self, request: Request, outcome: EditOutcome) -> None:
        """Core does not take the request, for the problem of this outcome."""
        if outcome.problem is None:
            return
        refused = self.queue.unacceptable(request, outcome.problem)
        for entry, refusal in refused:
            self._outcome(entry, refusal)
        if refused:
            self._renamed(self.queue.entries)

    def mismatched(self, request: Request) -> None:
        """Another edit has one of the request's numbers."""
        self._renamed(self.queue.mismatched(request))

    def taken(self, request: Request) -> None:
        """The client id is another subject's."""
        self._renamed(self.queue.taken(request))

    def told(self, client: str, settled: int, epoch: str) -> None:
        """Core has settled so much of the client's edits in this log."""
        self._renamed(self.queue.told(client, settled, epoch))
        self._keep_counters()
        for entry in self.queue.entries:
            self._keep(entry)
        for name in {entry.document for entry in self.queue.entries}:
            self._shown(name)

    # ── the rest ─────────────────────────────────────────────────────────────

    def _documents(self, name: DocumentName) -> Documents:
        documents = self.channels.get(name[0])
        if documents is None:
            raise StateError(f"{name[0]} is not followed")
        return documents

    def _pending(self, name: DocumentName) -> list[Entry]:
        return [one for one in self.queue.entries if one.shown and one.document == name]

    def _compose(self, name: DocumentName) -> Composed:
        composed = self._composed.get(name)
        if composed is None:
            document = self._documents(name).get(name[1])
            value = None if document is None or document.value is UNSET else document.value
            composed = compose(value, self._pending(name), self._calls.get(name[1], {}))
            self._composed[name] = composed
        return composed

    def _prepare(
        self,
        wish: Wish,
        made_at: datetime | None,
        group: int,
        values: dict[DocumentName, Value | None],
    ) -> Entry:
        name = wish.channel, wish.key
        documents, composed = self._documents(name), self._compose(name)
        if not is_id(wish.key):
            raise StateError(f"{shown(wish.key)} is no key: write 1 to 64 of A-Z a-z 0-9 _ . -")
        decode_operation(encode_operation(wish.do))
        value = values.get(name, composed.value) if wish.base is None else composed.value
        calls = self._calls.get(wish.key, {})
        values[name] = perform(wish.do, value, calls)
        document = documents.get(wish.key)
        known = documents.synced or document is not None
        base = wish.base
        basis = Basis(
            base
            if base is not None
            else self.queue.base_for(
                name, documents.version(wish.key) if known else None, composed.left_out
            ),
            None if document is None or document.value is None else document.schema,
            made_at,
            seen_by(wish.do, value),
        )
        entry = self.queue.prepare(wish, basis, group)
        check_edit(entry.edit)
        return entry

    def _reset(self, documents: Documents, reset: DocumentReset) -> None:
        brought = {document.key for document in reset.documents}
        for key in documents.replace(reset):
            name = reset.channel, key
            self._remember(name)
            if key not in brought and any(one.at is not None for one in self._pending(name)):
                documents.want(key)  # which version it was deleted at, nobody has said
            self._shown(name)

    def _event(self, documents: Documents, event: DocumentEvent) -> None:
        name = event.channel, event.key
        if documents.apply(event):
            self._remember(name)
        if event.edit is not None:
            named = event.edit.client, event.edit.n
            for entry in self.queue.entries:
                if (entry.client, entry.n) == named and entry.document == name:
                    entry.at = event.version
                    self._keep(entry)
        self._shown(name)

    def _remember(self, name: DocumentName) -> None:
        document = self._documents(name).get(name[1])
        if document is None or document.value is None:
            self._effects.writes.append(DropDocument(*name))
        else:
            self._effects.writes.append(PutDocument(document))

    def _shown(self, name: DocumentName) -> None:
        """What is shown may have changed: let go of the edits that Core's value contains."""
        documents = self.channels.get(name[0])
        if documents is None:
            return
        version = documents.version(name[1])
        if not self.queue.asking:
            for entry in self._pending(name):
                if entry.at is not None and entry.at <= version:
                    entry.shown = False
                    self._keep(entry)
        self._effects.writes += [DropEntry(entry.id) for entry in self.queue.remove_done()]
        self._composed.pop(name, None)
        self._effects.changed.add(name)

    def _outcome(self, entry: Entry, outcome: EditOutcome) -> None:
        version = contained_at(outcome)
        if version is None:
            entry.shown = False
        elif entry.at is None:
            entry.at = version
        if outcome.outcome == "refused":
            self._refused(entry, outcome)
        else:
            self._errors.pop(entry.document, None)
        self._keep(entry)
        self._effects.outcomes.append((entry.id, outcome))
        documents = self.channels.get(entry.edit.channel)
        if documents is not None and entry.shown and entry.at is not None:
            document = documents.get(entry.edit.key)
            gone = document is None or document.value is None
            if gone and documents.synced and documents.version(entry.edit.key) < entry.at:
                # A snapshot without it may have come after that version, and no event follows.
                documents.want(entry.edit.key)
        self._shown(entry.document)

    def _refused(self, entry: Entry, outcome: EditOutcome) -> None:
        waiting = conflict_of(entry, outcome, self.queue.entries, entry.edit.key in self._resolved)
        if waiting is None:
            self._errors[entry.document] = error_of(entry, outcome)
            return
        self.waiting[waiting.id] = waiting
        self._effects.conflicts.append(waiting)
        self._effects.writes.append(PutWaiting(waiting))

    def _renamed(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        self._effects.renamed = True
        for entry in entries:
            self._keep(entry)
            if entry.outcome is not None:
                self._effects.outcomes.append((entry.id, entry.outcome))
        self._keep_counters()
        for name in {entry.document for entry in entries}:
            self._shown(name)

    def _keep(self, entry: Entry) -> None:
        self._effects.writes.append(PutEntry(row_of(entry)))

    def _keep_counters(self) -> None:
        queue = self.queue
        self._effects.writes.append(
            PutCounters(queue.client, queue.next_n, queue.next_id, queue.epoch)
        )


def _check_size(entries: Sequence[Entry]) -> None:
    if sum(len(entry.body) + 1 for entry in entries) > MAX_GROUP_BYTES:
        raise StateError("all or none holds for what one request can carry")
