"""One client's copy of the shared state: Core's documents, and its own edits on top. Pure.

All inputs come here: changes of Core's log, answers and new edits. `drain` returns the effects:
what to store, to fetch and to notify. The documents are compared with Core's digest here; if they
differ, `machine/sync_connect_or_poll.py` requests a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from msgspec import UNSET

from client_sdk.contract.errors import StateError
from client_sdk.contract.state.document import Document, DocumentEvent
from client_sdk.contract.state.edit import EditOutcome
from client_sdk.contract.state.values import Value
from client_sdk.machine.sequencing import DocumentChange, DocumentReset
from client_sdk.state.conflicts import EditError, conflict_of, error_of, of_another_log
from client_sdk.state.documents import Documents
from client_sdk.state.effects import Effects, View
from client_sdk.state.entries import DocumentName, Entry, Wish, contained_at, newly_contained
from client_sdk.state.keeping import (
    counters_kept,
    document_kept,
    entry_kept,
    log_kept,
    prepared_kept,
)
from client_sdk.state.making import Look, make_entries
from client_sdk.state.queue import EditQueue
from client_sdk.state.records import DropEntry, DropWaiting, OpenConflict, PutWaiting, Write
from client_sdk.state.requests import Request
from client_sdk.state.view import Calls, Composed, compose


class Replica:
    """The shared state of one client.

    Args:
        queue: the client's edits.
        channels: the channels that it follows, each with the documents stored by the previous run.
        waiting: conflicts that are not decided.
        calls: by key, predictions of the operator's functions.
        resolved: the keys that have a resolver, so that certain refusals become conflicts.
    """

    def __init__(
        self,
        queue: EditQueue,
        channels: Mapping[str, Iterable[Document]],
        waiting: Iterable[OpenConflict] = (),
        calls: Mapping[str, Calls] | None = None,
        resolved: Iterable[str] = (),
    ) -> None:
        self.queue = queue
        self.channels = {name: Documents(kept, queue.epoch) for name, kept in channels.items()}
        self.waiting = {one.id: one for one in waiting}
        self._calls = calls or {}
        self._resolved = frozenset(resolved)
        self._errors: dict[DocumentName, EditError] = {}
        self._composed: dict[DocumentName, Composed] = {}
        self._effects = Effects()
        self._log = queue.epoch
        """The epoch of the log that is followed; the queue may learn of a newer one earlier."""
        if queue.next_id > 1:
            # The pending edits may be the only record of which numbers and places are used.
            self._keep_counters()

    def drain(self) -> Effects:
        """The effects since the last call."""
        effects, self._effects = self._effects, Effects()
        return effects

    # ── what is shown ────────────────────────────────────────────────────────

    def view(self, name: DocumentName) -> View:
        """The document as it is shown now.

        Raises:
            StateError: its channel is not followed.
        """
        documents = self._documents(name)
        composed, pending = self._compose(name), self._pending(name)
        waiting = [one for one in self.waiting.values() if one.document == name]
        return View(
            composed.value,
            documents.version(name[1]),
            len(pending),
            not documents.synced or name[1] in documents.wanted or name[1] in documents.held,
            len(composed.left_out),
            waiting[0] if waiting else None,
            self._errors.get(name),
        )

    # ── Core's log ───────────────────────────────────────────────────────────

    def take(self, change: DocumentChange, epoch: str) -> None:
        """Apply a change of a followed channel, from the log of this epoch."""
        documents = self.channels.get(change.channel)
        if documents is None:
            return
        before, self._log = self.queue.epoch, epoch
        self.queue.follow(epoch)
        if self.queue.epoch != before:
            self._keep_counters()
        if isinstance(change, DocumentReset):
            self._reset(documents, change, epoch)
        else:
            self._event(documents, change)

    def agrees(self, channel: str, content_digest: str) -> bool | None:
        """Whether the channel's documents have this digest; None: a value is still missing."""
        return self.channels[channel].agrees(content_digest)

    def agrees_now(self, channel: str) -> bool | None:
        """The result of a postponed comparison; None: there is none, or it must wait longer."""
        return self.channels[channel].agrees_now()

    def fetched(self, document: Document) -> None:
        """Take a fetched version."""
        documents = self.channels.get(document.channel)
        if documents is None:
            return
        name = document.channel, document.key
        self._contains(document.channel, [document])
        if documents.fetched(document, unsure=self._is_unsure(name)):
            self._remember(name)
        self._shown(name)

    def missing(self, name: DocumentName, version: int | None) -> None:
        """Core has no such version, or, if the newest was asked for, no such document.

        Raises:
            StateError: its channel is not followed.
        """
        documents = self._documents(name)
        if name[1] not in documents.wanted or documents.wanted[name[1]] != version:
            return
        if documents.missing(name[1], version):
            return
        for entry in self._pending(name) if self._is_one_log(documents) else []:
            # The edit was contained in a version of the document, which is deleted by now.
            entry.shown = entry.at is None
            self._keep(entry)
        self._shown(name)

    # ── new edits ────────────────────────────────────────────────────────────

    def prepare(
        self,
        wishes: Sequence[Wish],
        made_at: datetime | None,
        *,
        atomic: bool = False,
        decides: int | None = None,
    ) -> list[Write]:
        """Make edits. Returns the writes that must be stored before `accept`.

        Args:
            wishes: the edits that the program asks for.
            made_at: now, by Core's clock; None: that is not known.
            atomic: Core applies all of them or none.
            decides: the id of the conflict that they resolve; they are based on its version.

        Raises:
            StateError: an edit does not fit the document shown, is malformed or too large, or its
                channel is not followed; none is made.
        """
        waiting = None if decides is None else self.waiting.get(decides)
        if waiting is not None:
            wishes = [replace(wish, base=waiting.conflict.version) for wish in wishes]
        try:
            entries = make_entries(self.queue, self._look, wishes, made_at, atomic=atomic)
        except BaseException:
            self.queue.abandon()
            raise
        return prepared_kept(self.queue, entries)

    def accept(self) -> list[int] | None:
        """Show the edits that were stored. None: the client id has changed, prepare them again."""
        begins = len(self.queue.entries)
        if not self.queue.accept():
            return None
        accepted = self.queue.entries[begins:]
        self._keep_counters()
        for name in {entry.document for entry in accepted}:
            self._errors.pop(name, None)
            self._shown(name)
        return [entry.id for entry in accepted]

    def place_taken(self) -> None:
        """An order command has taken the next place in the queue."""
        self.queue.next_id += 1
        self._keep_counters()

    def decided(self, waiting: OpenConflict) -> None:
        """The conflict is decided."""
        if self.waiting.pop(waiting.id, None) is not None:
            self._effects.writes.append(DropWaiting(waiting.id))
            self._effects.changed.add(waiting.document)

    # ── answers ──────────────────────────────────────────────────────────────

    def answered(self, request: Request, outcomes: Sequence[EditOutcome]) -> bool:
        """Take the answer to a request. Returns whether it settled any edit."""
        answered = self.queue.take(request, outcomes)
        self._take_outcomes(answered)
        return bool(answered)

    def unacceptable(self, request: Request, outcome: EditOutcome) -> None:
        """Core does not accept the request, because of this outcome's problem."""
        if outcome.problem is None:
            return
        refused = self.queue.unacceptable(request, outcome.problem)
        self._take_outcomes(refused)
        if refused:
            self._renamed(self.queue.entries)

    def mismatched(self, request: Request) -> None:
        """Another edit has one of the request's numbers."""
        self._renamed(self.queue.mismatched(request))

    def taken(self, request: Request) -> None:
        """The client id is another subject's."""
        self._renamed(self.queue.taken(request))

    def told(self, client: str, settled: int, epoch: str | None) -> None:
        """Take Core's answer up to which number it has settled a client's edits.

        Args:
            client: the client id that was asked about.
            settled: all numbers up to this one are settled.
            epoch: the log that Core answers of; None: Core does not name it, so the followed one.
        """
        log = epoch or self._log or self.queue.epoch
        if log is None:
            return
        before = self.queue.epoch
        self._renamed(self.queue.told(client, settled, log))
        if self.queue.epoch != before:
            self._effects.writes += log_kept(self.channels, log)
            self._forget_versions()
        self._keep_counters()
        for entry in self.queue.entries:
            self._keep(entry)
        for name in {entry.document for entry in self.queue.entries}:
            self._shown(name)

    # ── the rest ─────────────────────────────────────────────────────────────

    def _is_one_log(self, documents: Documents) -> bool:
        """Whether the versions of documents and edits belong to the same log."""
        return not self.queue.asking and documents.epoch == self.queue.epoch

    def _value(self, name: DocumentName) -> Value | None:
        """The value below the pending edits."""
        documents = self.channels.get(name[0])
        document = None if documents is None else documents.get(name[1])
        return None if document is None or document.value is UNSET else document.value

    def _documents(self, name: DocumentName) -> Documents:
        documents = self.channels.get(name[0])
        if documents is None:
            raise StateError(f"{name[0]} is not followed")
        return documents

    def _pending(self, name: DocumentName) -> list[Entry]:
        channel, key = name
        return [
            one
            for one in self.queue.entries
            if one.shown and one.edit.key == key and one.edit.channel == channel
        ]

    def _compose(self, name: DocumentName) -> Composed:
        composed = self._composed.get(name)
        if composed is None:
            on_top = [entry for entry in self._pending(name) if not entry.within]
            composed = compose(self._value(name), on_top, self._calls.get(name[1], {}))
            self._composed[name] = composed
        return composed

    def _look(self, name: DocumentName) -> Look:
        documents = self._documents(name)
        document = documents.get(name[1])
        known = self._is_one_log(documents) and (documents.synced or document is not None)
        version = documents.version(name[1]) if known else None
        return Look(self._compose(name), version, document, self._calls.get(name[1], {}))

    def _reset(self, documents: Documents, reset: DocumentReset, epoch: str) -> None:
        self._effects.changed.add((reset.channel, ""))
        channel = reset.channel
        edited = {one.edit.key for one in self.queue.entries if one.edit.channel == channel}
        self._contains(channel, reset.documents)
        unsure = [key for key in edited if self._is_unsure((channel, key))]
        keys = documents.replace(reset, epoch, unsure) | edited
        for key in keys:
            self._remember((channel, key))
            self._shown((channel, key))

    def _is_unsure(self, name: DocumentName) -> bool:
        """Whether a newer version may contain a shown edit, and it is not known which version."""
        is_certain = self._is_one_log(self.channels[name[0]])
        return any(one.is_unsure or not is_certain for one in self._pending(name))

    def _contains(self, channel: str, found: Sequence[Document | DocumentEvent]) -> None:
        for entry in newly_contained(self.queue.entries, channel, found):
            self._keep(entry)

    def _event(self, documents: Documents, event: DocumentEvent) -> None:
        name = event.channel, event.key
        self._contains(event.channel, [event])
        is_one_log = self._is_one_log(documents)
        if documents.apply(event, unsure=self._is_unsure(name), is_one_log=is_one_log):
            self._remember(name)
        self._shown(name)

    def _remember(self, name: DocumentName) -> None:
        documents = self.channels[name[0]]
        if documents.epoch == self.queue.epoch:
            # After a restart, the versions of stored documents are bases in the queue's log.
            self._effects.writes += document_kept(documents, name)

    def _shown(self, name: DocumentName) -> None:
        """Update a document that may have changed: remove the edits that Core's value contains."""
        documents = self.channels.get(name[0])
        if documents is None:
            return
        is_unsure = self._is_unsure(name)
        if name[1] in documents.held and not is_unsure:
            documents.release(name[1])
            self._remember(name)
        version, stands_in = documents.version(name[1]), documents.stands_in(name[1])
        pending = self._pending(name)
        if self._value(name) is None or not (is_unsure or stands_in):
            for entry in pending:
                entry.within = False
        for entry in pending if self._is_one_log(documents) else []:
            if entry.at is None:
                continue
            if entry.at <= version and not stands_in:
                entry.shown = False
                self._keep(entry)
            elif documents.synced and documents.is_gone(name[1], entry.at):
                # A snapshot without the document may have come after that version, with no event.
                documents.want(name[1])
        self._effects.writes += [DropEntry(entry.id) for entry in self.queue.remove_done()]
        self._composed.pop(name, None)
        self._effects.changed.add(name)

    def _take_outcomes(self, answered: Sequence[tuple[Entry, EditOutcome]]) -> None:
        for entry, outcome in answered:
            self._outcome(entry, outcome)
        # After all outcomes: this removes edits, which a later write would store again.
        for name in {entry.document for entry, _ in answered}:
            self._shown(name)

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

    def _refused(self, entry: Entry, outcome: EditOutcome) -> None:
        waiting = conflict_of(entry, outcome, self.queue.entries, entry.edit.key in self._resolved)
        if waiting is None:
            self._errors[entry.document] = error_of(entry, outcome)
            return
        self.waiting[waiting.id] = waiting
        self._effects.conflicts.append(waiting)
        self._effects.writes.append(PutWaiting(waiting))

    def _forget_versions(self) -> None:
        """The waiting conflicts belong to another log."""
        for waiting in self.waiting.values():
            of_this = of_another_log(waiting)
            self.waiting[waiting.id] = of_this
            self._effects.writes.append(PutWaiting(of_this))
            self._effects.changed.add(waiting.document)

    def _renamed(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._keep(entry)
            if entry.outcome is not None:
                self._effects.outcomes.append((entry.id, entry.outcome))
                if entry.outcome.outcome == "refused":
                    self._errors[entry.document] = error_of(entry, entry.outcome)
        self._keep_counters()
        # The documents of a session have new keys now.
        of_sessions = {name for name in self._composed if "." in name[1]}
        held = {(name, key) for name, of in self.channels.items() for key in of.held}
        for name in {entry.document for entry in entries} | of_sessions | held:
            self._shown(name)

    def _keep(self, entry: Entry) -> None:
        self._effects.writes.append(entry_kept(entry))

    def _keep_counters(self) -> None:
        self._effects.writes.append(counters_kept(self.queue))
