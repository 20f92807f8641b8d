"""The queue of edits: numbers, requests, answers, and what to do when Core knows another log. Pure.

Edits go out in the order of their numbers, one request at a time, and a repeat is sent in the same
bytes. Where a number cannot be used (the client id is another subject's, the number was used for
something else, the log has begun anew), what is pending goes out under a new client id. An edit
that may have been settled is never sent under another name before Core has said how far it is.
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
    """The edits of one client that are not done.

    Args:
        client: the client id.
        new_client: makes another one.
        next_n: the number of the next edit.
        next_id: its place; above that of every entry.
        epoch: the log that the numbers and versions are of; None: not known yet.
        entries: what is not done, in order.
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
        """Give the edit its number; it is in the queue only when it is accepted.

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
        """Take in what was prepared; False: the client id has changed, prepare it again."""
        prepared, self._prepared = self._prepared, []
        if any(entry.client != self.client for entry in prepared):
            return False
        self.next_n += len(prepared)
        self.next_id += len(prepared)
        self.entries += prepared
        return True

    def abandon(self) -> None:
        """Forget what was prepared: it could not be kept."""
        self._prepared = []

    def base_for(
        self, document: DocumentName, version: int | None, left_out: frozenset[int]
    ) -> int | OwnEdit | None:
        """What a new edit of the document is made on.

        Args:
            document: which.
            version: Core's, as it is shown; None: not known.
            left_out: the entries that the view does not apply because they do not fit.
        """
        for entry in reversed([*self.entries, *self._prepared]):
            if entry.document != document or not entry.shown or entry.id in left_out:
                continue
            return OwnEdit(entry.n) if entry.client == self.client else entry.at
        return version

    # ── requests ─────────────────────────────────────────────────────────────

    @property
    def asking(self) -> bool:
        """Whether Core must first say how far it has settled."""
        return bool(self._ask)

    @property
    def question(self) -> str | None:
        """The client id to ask Core about; None: there is nothing to ask."""
        return self._ask[0] if self._ask else None

    @property
    def unanswered(self) -> list[Entry]:
        """What Core has not answered, in order."""
        return [entry for entry in self.entries if entry.outcome is None]

    def request(self, before: int | None = None) -> Request | None:
        """What to send now; None: nothing, or one is under way.

        Args:
            before: the place of a command to an order, which what stands behind it waits for.
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
        """Take the answer; the entries that it answers. None of them: it says nothing."""
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
        """Nobody knows what became of it: send it again."""
        self._landed(request)

    def mismatched(self, request: Request) -> list[Entry]:
        """Another edit has one of its numbers; the entries that have another name now.

        One edit at a time shows which: those before it may have been settled.
        """
        return self._given_up(request) if self._landed(request) else []

    def taken(self, request: Request) -> list[Entry]:
        """The client id is another subject's; the entries that have another name now."""
        return self._rename(self.unanswered, anew=False) if self._landed(request) else []

    def unacceptable(self, request: Request, why: Problem) -> list[tuple[Entry, EditOutcome]]:
        """Core does not take such a request; what is given up because of it, as if refused."""
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
        """Core has not settled what comes before: ask how far it is."""
        if self._landed(request):
            self._begin_asking()

    def follow(self, epoch: str) -> bool:
        """The log that is followed is this one; whether it is another than the queue's."""
        if self.epoch is None:
            self.epoch = epoch
        if self.epoch == epoch:
            return False
        # An answer that is under way may be the other log's.
        self._flight = None
        self._begin_asking()
        return True

    def told(self, client: str, settled: int, epoch: str) -> list[Entry]:
        """Core has settled so much of this client in this log; the entries renamed by that."""
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
            # What was seen of them was of the other log; the answers are still to be had.
            for entry in self.unanswered:
                entry.at = 0  # this log has settled it: whatever it shows contains it
            for entry in beyond:
                entry.within = entry.within or not entry.shown
                entry.at, entry.shown = None, True
            # What is being made names versions of the other log: it is to be made again.
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
        """Let go of what is done; what that was."""
        done = [entry for entry in self.entries if entry.is_done]
        if done:
            self.entries = [entry for entry in self.entries if not entry.is_done]
        return done

    # ── the rest ─────────────────────────────────────────────────────────────

    def _landed(self, request: Request) -> bool:
        """Whether it was under way: what comes twice, or too late, says nothing."""
        if self._flight is not request:
            return False
        self._flight = None
        return True

    def _entries_of(self, request: Request) -> list[Entry]:
        return [entry for entry in self.entries if entry.id in request.ids]

    def _split(self, request: Request) -> bool:
        """Send one at a time from now on, if that is anything new."""
        if len(request.ids) == 1 or request.atomic:
            return False
        self._one_by_one = True
        return True

    def _given_up(self, request: Request) -> list[Entry]:
        return [] if self._split(request) else self._rename(self.unanswered, anew=False)

    def _refuse_ageless(self, lost: Sequence[Entry]) -> None:
        """Core has forgotten the client, so it may have settled these long ago.

        One that says when it was made is too old for Core, then. Of one that does not, nobody could
        tell, and it would be settled a second time.
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
        """Give these a new client id and new numbers; what an event has shown is settled."""
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
                # Of a session's document only its own client may edit: it begins another one.
                key = session_key(of_session, client)
                base = base if isinstance(base, OwnEdit) else None
            entry.rename(client, replace(entry.edit, n=n, key=key, base=base))
        self.client, self.next_n = client, len(pending) + 1
        self._one_by_one = False
        return entries
