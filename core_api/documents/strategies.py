"""How a concurrent edit is settled: every strategy, each one function. Pure.

An edit is concurrent if its base is not the newest version, or if what its client saw is not what
that base has. `add` and `call` are settled in the same way under any strategy, and no strategy but
`last` restores a deleted document: `settling.py` handles both before it calls a strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.errors import PatchError, StateError
from client_sdk.contract.state.draft import Draft
from client_sdk.contract.state.edit import Conflict
from client_sdk.contract.state.operations import Patch, PlainOperation, apply
from client_sdk.contract.state.pointer import MISSING, Path
from client_sdk.contract.state.values import Value, is_number, same
from core_api.documents.changes import (
    PathChange,
    changes_between,
    failing_test,
    guessed_basis,
    unsure_paths,
    uses_array_index,
    with_seen,
)
from core_api.documents.definitions import StrategyName
from core_api.documents.refusals import refuse


@dataclass(frozen=True, slots=True)
class Situation:
    """A concurrent edit, and the document that it meets. All values fit the newest schema."""

    operation: PlainOperation
    version: int
    """The newest version."""
    current: Value | None
    """Its value; None only under `last`: the document is deleted."""
    head_time: datetime | None
    """The newest version's time."""
    basis: Value | UnsetType | None
    """What the edit was made on; None: no document; UNSET: Core does not have it."""
    time: datetime | None
    """The edit's time; None: nobody knows, so it is older than everything."""
    touched: Callable[[Path], datetime | None]
    """When a path was last changed since the base, as far as that is kept; None: never."""
    complete: bool
    """Whether all that changed since the base is kept."""
    seen: Mapping[str, Any] | None = None
    """What the client says that it saw, by JSON Pointer."""
    own: Value | UnsetType | None = UNSET
    """What the edit made of its basis, if that cannot be had by applying the operation."""


class Decision(Struct, frozen=True):
    """The result of a strategy for an edit."""

    value: Value | None
    """The new value; the current one, if nothing changes."""
    aside: frozenset[Path] = frozenset()
    """Where something of it was put aside."""
    all_aside: bool = False
    """Whether nothing of it was taken."""


Strategy = Callable[[Situation], Decision]


def last(situation: Situation) -> Decision:
    """The later edit wins as a whole; of two made at the same time, the one settled later.

    Raises:
        RefusedEditError: it is a patch with array indices, or does not apply to the current value.
    """
    _refuse_array_indices(situation)
    if not _is_later(situation.time, situation.head_time):
        return Decision(situation.current, frozenset({()}), all_aside=True)
    if situation.own is not UNSET and situation.basis is not UNSET:
        return Decision(replay(situation.current, situation.basis, situation.own))
    return Decision(attempt(situation.operation, situation.current))


def first(situation: Situation) -> Decision:
    """The first edit wins: this one is refused, with the document as it stands.

    Raises:
        RefusedEditError: always.
    """
    refuse(
        "edit-conflict",
        f"the document is at version {situation.version}: read it, and edit that version",
        conflict=Conflict(situation.version, situation.current),
    )


def ask(situation: Situation) -> Decision:
    """The client decides: the edit is refused with all that a resolver needs.

    Raises:
        RefusedEditError: always.
    """
    refuse(
        "edit-conflict",
        f"the document is at version {situation.version}: resolve it, and send a new edit",
        conflict=Conflict(
            situation.version, situation.current, situation.basis, own_value(situation)
        ),
    )


def merge(situation: Situation) -> Decision:
    """Path by path: where nobody else made a change it is taken, else the later edit wins.

    Raises:
        RefusedEditError: it is a patch with array indices, or does not apply to what its client
            saw.
    """
    return _by_path(situation, sums=False)


def sum_(situation: Situation) -> Decision:
    """`merge`, but what the edit adds to a number is added to Core's number; raises as `merge`."""
    return _by_path(situation, sums=True)


def call(_situation: Situation) -> Decision:
    """Only calls may change the document.

    Raises:
        RefusedEditError: always.
    """
    refuse("forbidden-operation", "this document takes no operation but call")


STRATEGIES: Final[Mapping[StrategyName, Strategy]] = MappingProxyType(
    {"last": last, "first": first, "merge": merge, "sum": sum_, "ask": ask, "call": call}
)
"""Every strategy by its name in a definition."""


def attempt(operation: PlainOperation, value: Value | None) -> Value | None:
    """The value after the operation.

    Raises:
        RefusedEditError: it cannot be done to this value.
    """
    try:
        return apply(operation, value)
    except PatchError as error:
        refuse("patch-failed", str(error))
    except StateError as error:
        refuse("patch-failed" if isinstance(operation, Patch) else "invalid", str(error))


def replay(current: Value | None, basis: Value | None, own: Value | None) -> Value | None:
    """The current value with the author's changes on top, whatever it has there now.

    Args:
        current: the value to go on from; None: no document.
        basis: what the author saw; None: no document.
        own: what the author made of it; None: no document.

    Returns:
        The new value; None: the author deleted the document.
    """
    draft = Draft({} if current is None else current)
    for change in changes_between(basis, own):
        if change.value is MISSING:
            draft.remove(change.path)
        else:
            draft.put(change.path, change.value)
    return None if draft.value is MISSING else draft.value


def own_value(situation: Situation) -> Value | UnsetType | None:
    """What the edit's client saw after it, if Core can tell."""
    if situation.own is not UNSET or situation.basis is UNSET:
        return situation.own
    try:
        return apply(situation.operation, situation.basis)
    except StateError:
        return UNSET


def _by_path(situation: Situation, *, sums: bool) -> Decision:
    _refuse_array_indices(situation)
    current = situation.current
    changes, lost = _changes(situation)
    _refuse_failing_tests(situation)
    draft = Draft(current)
    taken = not changes and not lost
    for change in changes:
        core = _core_at(current, change)
        if sums and _is_sum(core, change):
            seen = 0 if change.seen is MISSING else change.seen
            draft.put(change.path, core + change.value - seen)
            taken = True
        elif _is_done(core, change):
            taken = True
        elif _wins(situation, core, change):
            if change.value is MISSING:
                draft.remove(change.path)
            else:
                draft.put(change.path, change.value)
            taken = True
        else:
            lost.add(change.path)
    value = None if draft.value is MISSING else draft.value
    return Decision(value, frozenset(lost), all_aside=not taken)


def _changes(situation: Situation) -> tuple[list[PathChange], set[Path]]:
    """What the edit changes, and where nobody can tell whether it does."""
    basis, seen, operation = situation.basis, situation.seen or {}, situation.operation
    if situation.own is not UNSET and basis is not UNSET:
        return changes_between(basis, situation.own), set()
    if basis is UNSET:
        guessed = guessed_basis(operation, seen)
        unsure = unsure_paths(operation, situation.current or {}, seen)
        return changes_between(guessed, attempt(operation, guessed)), unsure
    if seen:
        basis = with_seen(basis, seen)
    return changes_between(basis, attempt(operation, basis)), set()


class _Gone:
    """The object that the edit changes a part of was removed."""


class _Blocked:
    """Where the edit needs an object, another edit has put a value of another kind."""


_GONE: Final = _Gone()
_BLOCKED: Final = _Blocked()


def _core_at(current: Any, change: PathChange) -> Any:
    node = current
    for depth, part in enumerate(change.path):
        if type(node) is not dict:
            if depth <= change.known:
                return _GONE
            return MISSING if node is MISSING else _BLOCKED
        node = node.get(part, MISSING)
    return node


def _is_done(core: Any, change: PathChange) -> bool:
    """Whether Core's value has the change already."""
    if core is _GONE:
        return change.value is MISSING
    if type(change.value) is dict and not change.value and type(core) is dict:
        return change.seen is MISSING  # both made the same object, and one has filled it
    return same(core, change.value)


def _is_sum(core: Any, change: PathChange) -> bool:
    return (
        is_number(core)
        and is_number(change.value)
        and (change.seen is MISSING or is_number(change.seen))
    )


def _wins(situation: Situation, core: Any, change: PathChange) -> bool:
    if core is _GONE:
        return False  # the part alone would bring back half of a removed object
    if same(core, change.seen):
        return True
    touched = situation.touched(change.path)
    if touched is None:
        return situation.complete
    return _is_later(situation.time, touched)


def _is_later(time: datetime | None, than: datetime | None) -> bool:
    return than is None or (time is not None and time >= than)


def _refuse_failing_tests(situation: Situation) -> None:
    if not isinstance(situation.operation, Patch) or situation.own is not UNSET:
        return
    failing = failing_test(situation.operation.operations, situation.current)
    if failing is not None:
        refuse("patch-failed", f"operation {failing}: the test fails on the newest version")


def _refuse_array_indices(situation: Situation) -> None:
    operation = situation.operation
    if not isinstance(operation, Patch) or situation.own is not UNSET:
        return
    basis = None if situation.basis is UNSET else situation.basis
    try:
        found = uses_array_index(operation.operations, basis, situation.current)
    except StateError as error:
        refuse("patch-failed", str(error))
    if found:
        refuse(
            "edit-conflict",
            "others have edited the document, and an index may mean another element by now: "
            "replace the whole array",
            conflict=Conflict(situation.version, situation.current),
        )
