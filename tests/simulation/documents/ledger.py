"""What the devices made and were told, held against the history that Core keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from client_sdk.contract.state.edit import EditOutcome
from client_sdk.contract.state.values import Value, same
from client_sdk.state.orders.commands import CommandOutcome
from core_api.edits.what_was_read import DocumentName
from tests.simulation.documents.core import DocumentCore, Past
from tests.simulation.documents.definitions import STRATEGY_OF

SLACK_S: Final = 8.0
"""How far Core's clock, as a client knows it, may be behind: what an answer takes, and more."""


@dataclass
class Made:
    """One edit, as its maker knows it."""

    mark: str
    author: str
    """The storage that it was made in: a device's, of one subject, until it is lost."""
    order: int
    """Its place among those of its author."""
    subject: str
    place: DocumentName
    seen: Value | None
    """What was shown when it was made."""
    at: float
    """When it was truly made, by the database's clock."""
    dated: bool
    """Whether Core's clock was known then, to it and to all that it was made on."""
    changes: bool = True
    """Whether it certainly changes something."""
    accepted: bool = False
    """Whether its maker was told that it is kept."""
    outcome: EditOutcome | CommandOutcome | None = None
    void: bool = False
    """It was acknowledged by a log that a restore has thrown away."""


@dataclass
class MadeCommand(Made):
    """One command to an order, as its maker knows it."""

    is_strict: bool = False
    """Whether Core may do it at the version that was seen only, not at a later one of that
    status."""
    version: int | None = None
    updated_at: datetime | None = None
    status: str | None = None
    """What was seen of the order; None: it is a new one."""
    on: str | None = None
    """The mark of the own command that it was made on, if that was not answered."""
    told_at: float | None = None
    """When its maker was told what became of it, by the database's clock."""


class Ledger:
    """All edits and commands of one schedule.

    Args:
        fail: says that an invariant does not hold.
    """

    def __init__(self, fail: Callable[[str], None]) -> None:
        self.made: dict[str, Made] = {}
        self.lost_authors: set[str] = set()
        self._fail = fail
        self._read = 0
        self._past: dict[str, Past] = {}
        self._orders: dict[tuple[str, bool], int] = {}
        """The place of the newest of each author, edits and commands apart."""
        self._newest: dict[DocumentName, tuple[float, float]] = {}
        """When the newest edits of a document under `last` were made, at the latest and surely."""
        self._restored = False

    def told(
        self, mark: str, outcome: EditOutcome | CommandOutcome, *, is_of_this_log: bool
    ) -> None:
        """Its maker has the answer."""
        made = self.made[mark]
        made.outcome, made.void = outcome, not is_of_this_log
        if outcome.outcome == "refused" and (outcome.problem is None or not outcome.problem.slug):
            self._fail(f"{mark} was refused without a reason")

    def command_told(self, mark: str, outcome: CommandOutcome, core: DocumentCore) -> None:
        """Its maker has the answer, of this log.

        A command is not refused as stale where its maker alone has stepped the order since: whoever
        was told of its own step is shown the order after it, and steps it from there.
        """
        made, order = self.made[mark], outcome.order
        assert isinstance(made, MadeCommand)
        made.told_at = core.settled_at
        if outcome.problem is None or outcome.problem.slug != "stale-version" or order is None:
            return
        steps = [one for one in core.truth.past if one.place[1] == order.id]
        seen = next((n for n, one in enumerate(steps) if _is_seen(made, one)), None)
        since = [] if seen is None else [self.made[one.mark] for one in steps[seen + 1 :]]
        if since and all(_was_told(one, made) for one in since):
            own = [one.mark for one in since]
            self._fail(f"{mark} was refused as stale, and only {own} of its maker came between")

    def restored(self, core: DocumentCore) -> None:
        """The log has gone back: what it had acknowledged is gone with it."""
        self._restored = True
        for made in self.made.values():
            made.void = made.void or made.outcome is not None
        self._read, self._past, self._orders, self._newest = 0, {}, {}, {}
        self.read(core)

    def read(self, core: DocumentCore) -> None:
        """Look at what Core has settled since the last time."""
        past = core.truth.past
        for entry in past[self._read :]:
            self._check(entry, core)
        self._read = len(past)

    def close(self) -> None:
        """At rest: each acknowledged edit is in the history once, and nothing was lost."""
        for made in self.made.values():
            if made.void:
                continue
            entry, outcome = self._past.get(made.mark), made.outcome
            if outcome is None:
                is_kept = made.accepted and made.author not in self.lost_authors
                if is_kept and entry is None:
                    self._fail(f"{made.mark} was lost: nobody has settled it")
            elif outcome.outcome == "refused":
                if entry is not None:
                    self._fail(f"{made.mark} was refused, and is in the history")
            elif entry is None:
                if made.changes:
                    self._fail(f"{made.mark} is acknowledged ({outcome.outcome}), and not there")
            elif (entry.version is None) != (outcome.outcome == "put-aside"):
                self._fail(f"{made.mark} was {outcome.outcome}, the history says otherwise")

    def _check(self, entry: Past, core: DocumentCore) -> None:
        made = self.made[entry.mark]
        if entry.mark in self._past:
            self._fail(f"{entry.mark} is in the history twice")
        if entry.by != made.subject.partition(":")[2]:
            self._fail(f"{entry.mark} of {made.subject} was applied as {entry.by}'s")
        is_command = isinstance(made, MadeCommand)
        if made.order < self._orders.get((made.author, is_command), 0):
            self._fail(f"{entry.mark} was applied after a later one of {made.author}")
        # What a restore has thrown away is sent anew; commands name no log, and do not wait for it.
        if made.order < self._orders.get((made.author, not is_command), 0) and not made.void:
            self._fail(f"{entry.mark} was applied after another kind's later of {made.author}")
        self._past[entry.mark] = entry
        self._orders[made.author, is_command] = made.order
        if isinstance(made, MadeCommand):
            self._check_command(made, entry)
            return
        strategy = STRATEGY_OF[entry.place[1]]
        if strategy in ("first", "ask") and entry.version is not None:
            self._check_unseen(made, entry.version, core)
        if strategy == "last":
            self._check_time(made, entry, core)

    def _check_command(self, made: MadeCommand, entry: Past) -> None:
        change = entry.change
        assert change is not None
        if made.on is not None:
            below = self.made[made.on].outcome
            if below is not None and below.outcome == "refused":
                self._fail(f"{made.mark} was done, and {made.on}, which it was made on, refused")
            on = self._past.get(made.on)
            version = None if on is None else on.version
        else:
            version = made.version
        before = change.before
        if before is None:
            return
        if before.status != made.status:
            self._fail(f"{made.mark} was made on {made.status}, and done to {before.status}")
        if made.is_strict and version is not None and before.version != version:
            self._fail(f"{made.mark} was made on version {version}, done to {before.version}")
        if made.is_strict and made.on is None and before.updated_at != made.updated_at:
            self._fail(f"{made.mark} was made on another version {version} than it was done to")

    def _check_unseen(self, made: Made, version: int, core: DocumentCore) -> None:
        before = core.value_at(made.place, version - 1)
        if same(before, made.seen) or (before is None and self._restored):
            return
        self._fail(f"{made.mark} was made on {made.seen}, and has overwritten {before}")

    def _check_time(self, made: Made, entry: Past, core: DocumentCore) -> None:
        latest, surely = self._newest.get(entry.place, (0.0, 0.0))
        if entry.version is None:
            if made.dated and latest < made.at - SLACK_S:
                self._fail(f"{made.mark} was made later than all before, and was put aside")
            return
        if made.dated and surely > made.at + SLACK_S:
            self._fail(f"{made.mark} took the place of what was made later")
        at = made.at if made.dated else core.settled_at
        self._newest[entry.place] = max(latest, at), max(surely, made.at if made.dated else 0.0)


def _is_seen(made: MadeCommand, step: Past) -> bool:
    """Whether this step left the order as the command was made on it."""
    if made.on is not None:
        return step.mark == made.on
    order = None if step.change is None else step.change.after
    if order is None:
        return False
    return (order.version, order.updated_at) == (made.version, made.updated_at)


def _was_told(step: Made, made: MadeCommand) -> bool:
    """Whether the maker of a command had been told of this step of its own before."""
    assert isinstance(step, MadeCommand)
    is_own = step.author == made.author and not step.void
    return is_own and step.told_at is not None and step.told_at < made.at
