"""What a refusal means to the program: an error to show, or a conflict to decide. Pure."""

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
"""`(key, base, current, own) -> value`: decides a conflict; None keeps Core's value. It may be
async."""

_TO_DECIDE: Final = frozenset({"edit-conflict", "edit-outdated"})


@dataclass(frozen=True, slots=True)
class EditError:
    """Why an edit was refused."""

    slug: str
    """The problem's name, as in the table of problems."""
    detail: str
    pointer: str | None
    """Where in the value, if the value was refused."""


def error_of(entry: Entry, outcome: EditOutcome) -> EditError:
    """Why the edit was refused."""
    problem = outcome.problem
    if problem is None:
        return EditError("refused", f"edit {entry.n} was refused", outcome.pointer)
    return EditError(problem.slug, problem.detail or problem.title, outcome.pointer)


def conflict_of(
    entry: Entry, outcome: EditOutcome, entries: Sequence[Entry], has_resolver: bool
) -> OpenConflict | None:
    """The conflict to decide; None: the edit is refused, and that is all.

    Core gives what the edit would have made of the document where the client is to decide. Edits
    of this client that were made on the refused one are refused with it, so what they would have
    made is part of what is decided.
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
    """The conflict after the log has begun anew: the client has seen no version of that log.

    What decides it takes effect where there is no document; elsewhere it is a conflict again, with
    what this log has.
    """
    return replace(waiting, conflict=replace(waiting.conflict, version=0))


def _after(entry: Entry, value: Value | None) -> Value | None:
    try:
        return perform(entry.edit.do, value, {})
    except StateError:
        return value
