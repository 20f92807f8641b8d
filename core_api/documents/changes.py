"""An edit taken apart: what it changes at which path, and what its author saw there. Pure.

An added object counts as its leaves, so that two clients may fill it together. A removal or a
replacement is one change: half a line of a cart is useless. An array is one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from client_sdk.contract.limits import MAX_SHOWN_VALUE_BYTES
from client_sdk.contract.state.draft import Draft
from client_sdk.contract.state.operations import Patch, PlainOperation, Set
from client_sdk.contract.state.patch import PatchOperation, differences
from client_sdk.contract.state.pointer import MISSING, Path, format_pointer, get, parse_pointer
from client_sdk.contract.state.values import Value, same


class PathChange(Struct, frozen=True):
    """What an edit does at one path."""

    path: Path
    value: Any
    """The new value; `MISSING`: it is removed."""
    seen: Any
    """What its author saw there; MISSING: nothing."""
    known: int
    """How many leading parts of the path are objects that the author saw."""


def changes_between(basis: Value | None, own: Value | None) -> list[PathChange]:
    """What an author changed who saw one value and made the other of it; None: no document."""
    before = MISSING if basis is None else basis
    changes: list[PathChange] = []
    for path, seen, made in differences(before, MISSING if own is None else own):
        known = max(0, len(path) - 1)
        if seen is MISSING:
            for below, value in _leaves(made, path):
                changes.append(PathChange(below, value, MISSING, known))
        else:
            changes.append(PathChange(path, made, seen, known))
    return changes


def with_seen(basis: Value | None, seen: Mapping[str, Any]) -> Value:
    """The basis as its client saw it: with the client's own pending edits on top."""
    draft = Draft({} if basis is None else basis)
    for pointer, value in seen.items():
        path = parse_pointer(pointer)
        if not _meets_array(draft.value, path):
            draft.put(path, value)
    shown: Value = draft.value
    return shown


def guessed_basis(operation: PlainOperation, seen: Mapping[str, Any]) -> Value:
    """A basis for an edit whose base is not kept: what the client saw, and what it must have seen.

    A part that the `set` has and `seen` lacks counts as unchanged: it could have been there before.
    """
    if isinstance(operation, Set):
        return with_seen(operation.value, seen)
    basis = with_seen({}, seen)
    if not isinstance(operation, Patch):
        return basis
    draft = Draft(basis)
    for step in operation.operations:
        parent = parse_pointer(str(step.get("path", "")))[:-1]
        if parent and get(draft.value, parent) is MISSING and not _meets_array(draft.value, parent):
            draft.put(parent, {})
    value: Value = draft.value
    return value


def unsure_paths(operation: PlainOperation, current: Value, seen: Mapping[str, Any]) -> set[Path]:
    """Where a `set` without a known base differs from Core's value by an unknown author's
    change.

    Args:
        operation: of the edit; any other than a `set` has no such paths.
        current: Core's value.
        seen: what the client says that it saw, by JSON Pointer; these paths are sure, and those
            above and below them.
    """
    if not isinstance(operation, Set):
        return set()
    told = PathSet(parse_pointer(pointer) for pointer in seen)
    found = differences(current, operation.value)
    return {one.path for one in found if not told.meets(one.path)}


def uses_array_index(operations: Sequence[PatchOperation], *values: Value | None) -> bool:
    """Whether a pointer of the patch leads into an array of one of these values."""
    paths = [
        parse_pointer(step[field])
        for step in operations
        for field in ("path", "from")
        if type(step.get(field)) is str
    ]
    return any(_meets_array(value, path) for path in paths for value in values)


def failing_test(operations: Sequence[PatchOperation], current: Value | None) -> int | None:
    """The first `test` of a concurrent patch that Core's value fails; None: there is none.

    What the patch itself changed before the test is not compared with Core's value.
    """
    changed = PathSet()
    for index, step in enumerate(operations):
        path = parse_pointer(step["path"])
        if step["op"] != "test":
            changed.add(path)
            if step["op"] == "move":
                changed.add(parse_pointer(step["from"]))
        elif not changed.meets(path) and not same(get(current, path), step.get("value")):
            return index
    return None


class PathSet:
    """A set of paths that finds whether a path is one of them, or lies above or below one."""

    __slots__ = ("_above", "_at")

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._at: Final[set[Path]] = set()
        self._above: Final[set[Path]] = set()
        for path in paths:
            self.add(path)

    def add(self, path: Path) -> None:
        """Take in a path."""
        self._at.add(path)
        self._above.update(path[:length] for length in range(len(path)))

    def meets(self, path: Path) -> bool:
        """Whether the path is one of these, or lies above or below one."""
        return path in self._above or any(
            path[:length] in self._at for length in range(len(path) + 1)
        )


def pointers(paths: Iterable[Path]) -> tuple[str, ...]:
    """The paths as text, in order, each once.

    Each repeats the names above it. Where they would be longer than what an answer shows of a
    document, the paths above them stand for them.
    """
    told = set(paths)
    while len(told) > 1 and _length(told) > MAX_SHOWN_VALUE_BYTES:
        depth = max(map(len, told)) - 1
        told = {path[:depth] for path in told}
    return tuple(sorted(map(format_pointer, told)))


def _length(paths: Iterable[Path]) -> int:
    return sum(len(name) + 1 for path in paths for name in path)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if type(value) is not dict or not value:
        yield path, value
        return
    for name in sorted(value):
        yield from _leaves(value[name], (*path, name))


def _meets_array(value: Any, path: Path) -> bool:
    for part in path:
        if type(value) is list:
            return True
        if type(value) is not dict:
            return False
        value = value.get(part)
    return False
