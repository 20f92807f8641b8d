"""The queue of edits: numbers, requests, answers, and the change to another log of Core's. Pure.

Edits are sent in the order of their numbers, one request at a time; a retry sends the same bytes.
If a number cannot be used (the client id is another subject's, the number was used for another
edit, Core has a new log), the pending edits get a new client id. An edit that may have been settled
gets one only after Core has said up to which number it has settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from client_sdk.contract.problem import Problem, problem
from client_sdk.contract.state.edit import EditOutcome, OwnEdit
from client_sdk.state.entries import Basis, DocumentName, Entry, Wish, new_entry, session_key
from client_sdk.state.requests import Request, answered_up_to, chosen_of, request_of

_AGELESS: Final = (
    "too-late",
    "Core has forgotten this client, and the edit does not say when it was made: it may have been "
    "settled already",
)


class EditQueue:
    """The pending edits of one client.

    Args:
        client: the current client id.
        new_client: returns a new client id.
        next_n: the number of the next edit.
        next_id: the place of the next edit; higher than that of every entry.
        epoch: the log that numbers and versions refer to; None: not known yet.
        entries: the pending edits, in order.
    """

    def __init__(
        self,
        client: str,
        new_client: Callable[[], str],
        *,
        next_n: int = 1,
        next_id: int = 1,
        epoch: str | None = None,
        entries: Iterable[Entry] = (),
    ) -> None:
        self.client = client
        self.next_n = next_n
        self.next_id = next_id
        self.epoch = epoch
        self.entries = list(entries)
        self._new_client = new_client
        self._prepared: list[Entry] = []
        self._flight: Request | None = None
        self._one_by_one = False
        self._ask: list[str] = []
        self._settled: dict[str, int] = {}

    # ── new edits ────────────────────────────────────────────────────────────

    def prepare(self, wish: Wish, basis: Basis, group: int = 0) -> Entry:
        """Give the edit its number. It is in the queue only after `accept`.

        Args:
            wish: what the edit is to do.
            basis: the version that it is based on.
            group: the atomic group that it belongs to; 0: none.

        Raises:
            StateError: it is too large.
        """
        offset = len(self._prepared)
        entry = new_entry(
            self.next_id + offset, self.client, self.next_n + offset, wish, basis, group
        )
        self._prepared.append(entry)
        return entry

    def accept(self) -> bool:
        """Add the prepared edits. False: the client id has changed, prepare them again."""
        prepared, self._prepared = self._prepared, []
        if any(entry.client != self.client for entry in prepared):
            return False
        self.next_n += len(prepared)
        self.next_id += len(prepared)
        self.entries += prepared
        return True

    def abandon(self) -> None:
        """Discard the prepared edits: they could not be stored."""
        self._prepared = []

    def base_for(
        self, document: DocumentName, version: int | None, left_out: frozenset[int]
    ) -> int | OwnEdit | None:
        """The base of a new edit: Core's version, or the last own edit that is shown.

        Args:
            document: its channel and key.
            version: Core's version that is shown; None: not known.
            left_out: the ids of entries that the view does not apply because they do not fit.
        """
        for entry in reversed([*self.entries, *self._prepared]):
            if entry.document != document or not entry.shown or entry.id in left_out:
                continue
            return OwnEdit(entry.n) if entry.client == self.client else entry.at
        return version

    # ── requests ─────────────────────────────────────────────────────────────

    @property
    def asking(self) -> bool:
        """Whether Core must first say up to which number it has settled."""
        return bool(self._ask)

    @property
    def question(self) -> str | None:
        """The client id to ask Core about; None: there is nothing to ask."""
        return self._ask[0] if self._ask else None

    @property
    def unanswered(self) -> list[Entry]:
        """The edits that Core has not answered, in order."""
        return [entry for entry in self.entries if entry.outcome is None]

    def request(self, before: int | None = None) -> Request | None:
        """The next request; None: there is none, or one is in flight.

        Args:
            before: the place of an order command; only edits before it are sent.
        """
        waiting = [one for one in self.unanswered if before is None or one.id < before]
        if self._flight is not None or self._ask or not waiting:
            return None
        client = waiting[0].client
        own = [one for one in (*self.entries, *self._prepared) if one.client == client]
        next_n = self.next_n if client == self.client else None
        chosen = chosen_of(waiting, one_by_one=self._one_by_one)
        self._flight = request_of(chosen, answered_up_to(own, next_n), self.epoch)
        for entry in chosen:
            entry.sent = True
        return self._flight

    def take(
        self, request: Request, outcomes: Sequence[EditOutcome]
    ) -> list[tuple[Entry, EditOutcome]]:
        """Take the answer. Returns the entries that it settles, with their outcomes."""
        if not self._landed(request):
            return []
        self._one_by_one = False
        by_n = {outcome.n: outcome for outcome in outcomes}
        answered = []
        for entry in self._entries_of(request):
            outcome = by_n.get(entry.n)
            if outcome is not None and entry.outcome is None:
                entry.outcome = outcome
                answered.append((entry, outcome))
        return answered

    def failed(self, request: Request) -> None:
        """The request got no usable answer: send it again."""
        self._landed(request)

    def mismatched(self, request: Request) -> list[Entry]:
        """Another edit has one of the numbers. Returns the edits that were renumbered.

        Edits are then sent one at a time to find out which: those before it may be settled.
        """
        return self._given_up(request) if self._landed(request) else []

    def taken(self, request: Request) -> list[Entry]:
        """The client id is another subject's. Returns the edits that were renumbered."""
        return self._rename(self.unanswered, anew=False) if self._landed(request) else []

    def unacceptable(self, request: Request, why: Problem) -> list[tuple[Entry, EditOutcome]]:
        """Core does not accept the request. Returns the edits that count as refused by this."""
        if not self._landed(request) or self._split(request):
            return []
        refused = []
        for entry in self._entries_of(request):
            entry.outcome = EditOutcome(entry.n, "refused", problem=why)
            refused.append((entry, entry.outcome))
        self._rename(self.unanswered, anew=False)
        return refused

    # ── another log ──────────────────────────────────────────────────────────

    def gap(self, request: Request) -> None:
        """Core has not settled the edits before these: ask up to which number it has."""
        if self._landed(request):
            self._begin_asking()

    def follow(self, epoch: str) -> bool:
        """Note the log that is followed. Returns whether it differs from the queue's."""
        if self.epoch is None:
            self.epoch = epoch
        if self.epoch == epoch:
            return False
        # The answer to the request in flight may come from the other log.
        self._flight = None
        self._begin_asking()
        return True

    def told(self, client: str, settled: int, epoch: str) -> list[Entry]:
        """Take Core's answer up to which number it has settled a client's edits.

        Args:
            client: the client id of `question`; an answer about another one is ignored.
            settled: all numbers up to this one are settled.
            epoch: the log that Core answers of.

        Returns:
            The edits that have got another number, or an outcome, by this; none before the last of
            the questions is answered.
        """
        if client not in self._ask:
            return []
        self._ask.remove(client)
        self._settled[client] = settled
        if self._ask:
            return []
        anew = self.epoch is not None and epoch != self.epoch
        self.epoch = epoch
        beyond = [entry for entry in self.entries if entry.n > self._settled.get(entry.client, 0)]
        lost = beyond if anew else [entry for entry in beyond if entry.outcome is None]
        known = self._settled.get(self.client, 0)
        if anew:
            # Versions seen so far belong to the other log; the edits are still to be answered.
            for entry in self.unanswered:
                entry.at = 0  # settled in this log: all its versions contain the edit
            for entry in beyond:
                entry.within = entry.within or not entry.shown
                entry.at, entry.shown = None, True
            # Edits in preparation refer to versions of the other log: prepare them again.
            is_new = lost or self._prepared or known < self.next_n - 1
            return self._rename(lost, anew=True) if is_new else []
        begins = min((entry.n for entry in lost if entry.client == self.client), default=None)
        is_gap = begins is not None and begins > known + 1
        if not is_gap:
            return []
        self._refuse_ageless(lost)
        return self._rename(lost, anew=False)

    # ── the end ──────────────────────────────────────────────────────────────

    def remove_done(self) -> list[Entry]:
        """Remove the edits that are done, and return them."""
        done = [entry for entry in self.entries if entry.is_done]
        if done:
            self.entries = [entry for entry in self.entries if not entry.is_done]
        return done

    # ── the rest ─────────────────────────────────────────────────────────────

    def _landed(self, request: Request) -> bool:
        """Whether the request was in flight; a duplicate or late answer is ignored."""
        if self._flight is not request:
            return False
        self._flight = None
        return True

    def _entries_of(self, request: Request) -> list[Entry]:
        return [entry for entry in self.entries if entry.id in request.ids]

    def _split(self, request: Request) -> bool:
        """Send one at a time from now on. Returns whether the request had more than one."""
        if len(request.ids) == 1 or request.atomic:
            return False
        self._one_by_one = True
        return True

    def _given_up(self, request: Request) -> list[Entry]:
        return [] if self._split(request) else self._rename(self.unanswered, anew=False)

    def _refuse_ageless(self, lost: Sequence[Entry]) -> None:
        """Refuse edits without a time that Core, which has forgotten the client, may have settled.

        If such an edit has a time, Core refuses it as too old. Without one, Core would settle it a
        second time.
        """
        refused: set[tuple[str, int]] = set()
        for entry in lost:
            base = entry.edit.base
            is_on_refused = isinstance(base, OwnEdit) and (entry.client, base.n) in refused
            if entry.at is None and (entry.edit.made_at is None or is_on_refused):
                refused.add((entry.client, entry.n))
                entry.outcome = EditOutcome(entry.n, "refused", problem=problem(*_AGELESS))
                entry.shown = False

    def _begin_asking(self) -> None:
        self._ask = list(dict.fromkeys([*(e.client for e in self.entries), self.client]))
        self._settled = {}

    def _rename(self, entries: list[Entry], *, anew: bool) -> list[Entry]:
        """Give these a new client id and new numbers, except those that an event has settled."""
        if not anew:
            for entry in (one for one in entries if one.at is not None):
                entry.outcome = EditOutcome(entry.n, "applied", version=entry.at or None)
        pending = entries if anew else [one for one in entries if one.at is None and one.shown]
        client, names = self._new_client(), dict[tuple[str, int], int]()
        versions = {} if anew else {(e.client, e.n): e.at for e in self.entries}
        for n, entry in enumerate(pending, 1):
            base = entry.edit.base
            if isinstance(base, OwnEdit):
                below = entry.client, base.n
                base = OwnEdit(names[below]) if below in names else versions.get(below)
            elif anew:
                base = None  # a version of the other log
            names[entry.client, entry.n] = n
            key = entry.edit.key
            of_session, dot, owner = key.partition(".")
            if dot and owner == entry.client:
                # Only a session's own client may edit its documents: the new id has others.
                key = session_key(of_session, client)
                base = base if isinstance(base, OwnEdit) else None
            entry.rename(client, replace(entry.edit, n=n, key=key, base=base))
        self.client, self.next_n = client, len(pending) + 1
        self._one_by_one = False
        return entries
