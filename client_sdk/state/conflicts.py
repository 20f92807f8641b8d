"""How a refused edit is reported: as an error to show, or as a conflict to decide. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from client_sdk.contract.errors import StateError
from client_sdk.contract.state.edit import Conflict, EditOutcome, OwnEdit
from client_sdk.contract.state.values import Value
from client_sdk.state.entries import Entry
from client_sdk.state.records import OpenConflict
from client_sdk.state.view import perform

Resolver = Callable[[str, Value | None, Value | None, Value | None], Any]
"""`(key, base, current, own) -> value`: resolves a conflict; None keeps Core's value. It may be
async."""

_TO_DECIDE: Final = frozenset({"edit-conflict", "edit-outdated"})


@dataclass(frozen=True, slots=True)
class EditError:
    """Why an edit was refused."""

    slug: str
    """The problem's name, as in the table of problems."""
    detail: str
    pointer: str | None
    """A JSON Pointer into the value, if the value itself was refused."""


def error_of(entry: Entry, outcome: EditOutcome) -> EditError:
    """Why the edit was refused."""
    problem = outcome.problem
    if problem is None:
        return EditError("refused", f"edit {entry.n} was refused", outcome.pointer)
    return EditError(problem.slug, problem.detail or problem.title, outcome.pointer)


def conflict_of(
    entry: Entry, outcome: EditOutcome, entries: Sequence[Entry], has_resolver: bool
) -> OpenConflict | None:
    """The conflict that the refused edit leads to; None: there is only an error to show.

    If the client is to decide, Core's answer contains the value that the edit would have produced.
    Later edits that were based on the refused one are refused too, so the client's own value in the
    conflict includes their changes.

    Args:
        entry: the refused edit.
        outcome: Core's answer to it.
        entries: all edits in the queue, in order.
        has_resolver: whether the program has a resolver for the document's key.
    """
    problem = outcome.problem
    if problem is None or problem.slug not in _TO_DECIDE:
        return None
    conflict = outcome.conflict or Conflict(outcome.version or 0)
    if conflict.own is UNSET and problem.slug == "edit-conflict" and not has_resolver:
        return None
    base = None if conflict.base is UNSET else conflict.base
    own = base if conflict.own is UNSET else conflict.own
    if conflict.own is UNSET:
        own = _after(entry, own)
    below = {entry.n}
    for later in entries:
        made_on = later.edit.base
        if (
            later.client == entry.client
            and later.document == entry.document
            and isinstance(made_on, OwnEdit)
            and made_on.n in below
        ):
            below.add(later.n)
            own = _after(later, own)
    channel, key = entry.document
    return OpenConflict(entry.id, channel, key, problem.slug, replace(conflict, own=own))


def of_another_log(waiting: OpenConflict) -> OpenConflict:
    """The conflict after Core has started a new log, of which the client has seen no version yet.

    The resolution takes effect if the new log has no such document. If it has one, the resolution
    leads to a new conflict with the new log's value.
    """
    return replace(waiting, conflict=replace(waiting.conflict, version=0))


def _after(entry: Entry, value: Value | None) -> Value | None:
    try:
        return perform(entry.edit.do, value, {})
    except StateError:
        return value
