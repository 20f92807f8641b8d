"""Compares what the devices made, and which answers they got, with Core's history."""

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
"""How far a client's estimate of Core's clock may be behind, mainly by the time of an answer."""


@dataclass
class Made:
    """One edit, as the device that made it knows it."""

    mark: str
    author: str
    """The storage in which it was made: of one device and one subject, until it is lost."""
    order: int
    """Its number among the edits and commands of its device."""
    subject: str
    place: DocumentName
    seen: Value | None
    """The value that was shown when it was made."""
    at: float
    """The true time when it was made, by the database's clock."""
    dated: bool
    """Whether Core's time was known then, also for all pending edits before it."""
    changes: bool = True
    """Whether it certainly changes the document."""
    accepted: bool = False
    """Whether the device was told that it is stored."""
    outcome: EditOutcome | CommandOutcome | None = None
    void: bool = False
    """Whether it was answered by a log that a restore has replaced."""


@dataclass
class MadeCommand(Made):
    """One command to an order, as the device that made it knows it."""

    is_strict: bool = False
    """Whether Core may apply it only to the version that was seen, not to a later one with the same
    status."""
    version: int | None = None
    updated_at: datetime | None = None
    status: str | None = None
    """The order's status that was seen; None: it is a new order."""
    on: str | None = None
    """The mark of the device's own unanswered command that it is based on."""
    told_at: float | None = None
    """When the device got the answer, by the database's clock."""


class Ledger:
    """All edits and commands of one schedule.

    Args:
        fail: called with a text if an invariant is violated.
    """

    def __init__(self, fail: Callable[[str], None]) -> None:
        self.made: dict[str, Made] = {}
        self.lost_authors: set[str] = set()
        self._fail = fail
        self._read = 0
        self._past: dict[str, Past] = {}
        self._orders: dict[tuple[str, bool], int] = {}
        """The newest number of each author, for edits and for commands."""
        self._newest: dict[DocumentName, tuple[float, float]] = {}
        """When the newest edit of each document with the strategy `last` was made: the latest
        possible time, and the earliest."""
        self._restored = False

    def told(
        self, mark: str, outcome: EditOutcome | CommandOutcome, *, is_of_this_log: bool
    ) -> None:
        """Record that the device has got the answer to an edit or a command."""
        made = self.made[mark]
        made.outcome, made.void = outcome, not is_of_this_log
        if outcome.outcome == "refused" and (outcome.problem is None or not outcome.problem.slug):
            self._fail(f"{mark} was refused without a reason")

    def command_told(self, mark: str, outcome: CommandOutcome, core: DocumentCore) -> None:
        """Record that the device has got the answer to a command, from the current log.

        A command must not be refused as stale if only the same device has changed the order since,
        and had the answers: then it was shown the order with these changes.
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
        """Core was restored: what was answered before no longer counts."""
        self._restored = True
        for made in self.made.values():
            made.void = made.void or made.outcome is not None
        self._read, self._past, self._orders, self._newest = 0, {}, {}, {}
        self.read(core)

    def read(self, core: DocumentCore) -> None:
        """Check what Core has settled since the last call."""
        past = core.truth.past
        for entry in past[self._read :]:
            self._check(entry, core)
        self._read = len(past)

    def close(self) -> None:
        """At the end: check that each acknowledged edit is in the history, and none was lost."""
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
        # After a restore, edits that it has undone are sent again. Commands do not name a log, so
        # they do not wait for these edits.
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
    """Whether this step created the version of the order on which the command was made."""
    if made.on is not None:
        return step.mark == made.on
    order = None if step.change is None else step.change.after
    if order is None:
        return False
    return (order.version, order.updated_at) == (made.version, made.updated_at)


def _was_told(step: Made, made: MadeCommand) -> bool:
    """Whether this step is the same device's, and was answered before the command was made."""
    assert isinstance(step, MadeCommand)
    is_own = step.author == made.author and not step.void
    return is_own and step.told_at is not None and step.told_at < made.at
