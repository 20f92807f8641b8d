"""JSON Patch (RFC 6902): operations on a value, and the diff of two values. Pure.

The whole value is treated like a member: `add` at the empty pointer creates a `MISSING` value, and
`remove` there results in MISSING. So one form of diff describes documents that are created, changed
and deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from client_sdk.contract.errors import PatchError, PointerError
from client_sdk.contract.limits import MAX_VALUE_BYTES, MAX_VALUE_DEPTH
from client_sdk.contract.state.draft import Draft
from client_sdk.contract.state.pointer import (
    MISSING,
    Path,
    array_index,
    format_pointer,
    get,
    parse_pointer,
)
from client_sdk.contract.state.values import same
from client_sdk.contract.text import shown

PatchOperation: TypeAlias = Mapping[str, Any]
"""One operation as JSON: `{"op": "add", "path": "/a", "value": 1}`."""

OPERATIONS: Final = frozenset({"add", "remove", "replace", "move", "copy", "test"})


def apply_patch(value: Any, operations: Sequence[PatchOperation]) -> Any:
    """The value after all operations, in order; neither is changed.

    Only the parts along changed paths are copied; the result shares everything else.

    Args:
        value: a JSON value, or `MISSING`.
        operations: the patch. All `copy` operations together may copy `MAX_VALUE_BYTES`, so that a
            short patch cannot create a huge value.

    Returns:
        The new value; MISSING: it was removed.

    Raises:
        PatchError: an operation is malformed or does not apply; the error names the first one.
    """
    draft = Draft(value)
    room = [MAX_VALUE_BYTES]
    for index, operation in enumerate(operations):
        try:
            _apply_one(draft, operation, room)
        except PointerError as error:
            raise PatchError(index, str(error)) from error
    moves = [index for index, operation in enumerate(operations) if operation["op"] == "move"]
    if moves and _is_too_deep(draft.value):
        raise PatchError(moves[-1], "the moves nest the value deeper than a document allows")
    return draft.value


def _apply_one(draft: Draft, operation: PatchOperation, room: list[int]) -> None:
    name = operation.get("op")
    path = _path(operation, "path")
    if name == "add":
        _add(draft, path, _value(operation))
    elif name == "remove":
        _remove(draft, path)
    elif name == "replace":
        _replace(draft, path, _value(operation))
    elif name == "test":
        if not same(get(draft.value, path), _value(operation)):
            raise PointerError(f"the test of {_at(path)} fails: another value is there")
    elif name == "move":
        _move(draft, _path(operation, "from"), path)
    elif name == "copy":
        _add(draft, path, _copied(_existing(draft, _path(operation, "from")), room))
    else:
        raise PointerError(f"{shown(str(name))} is no operation: {', '.join(sorted(OPERATIONS))}")


def _path(operation: PatchOperation, field: str) -> Path:
    text = operation.get(field)
    if type(text) is not str:
        raise PointerError(f'"{field}" is missing or not a JSON Pointer')
    return parse_pointer(text)


def _value(operation: PatchOperation) -> Any:
    if "value" not in operation:
        raise PointerError('"value" is missing')
    return operation["value"]


def _existing(draft: Draft, path: Path) -> Any:
    found = get(draft.value, path)
    if found is MISSING:
        raise PointerError(f"there is nothing at {_at(path)}")
    return found


def _add(draft: Draft, path: Path, value: Any) -> None:
    if not path:
        draft.value = value
        return
    parent = draft.container(path[:-1])
    if type(parent) is dict:
        parent[path[-1]] = value
        return
    index = len(parent) if path[-1] == "-" else array_index(path[-1])
    if index is None or index > len(parent):
        raise PointerError(f"the array has no place for {_at(path)}")
    parent.insert(index, value)


def _remove(draft: Draft, path: Path) -> Any:
    found = _existing(draft, path)
    if not path:
        draft.value = MISSING
        return found
    parent = draft.container(path[:-1])
    return parent.pop(path[-1] if type(parent) is dict else int(path[-1]))


def _replace(draft: Draft, path: Path, value: Any) -> None:
    _existing(draft, path)
    if not path:
        draft.value = value
        return
    parent = draft.container(path[:-1])
    parent[path[-1] if type(parent) is dict else int(path[-1])] = value


def _move(draft: Draft, source: Path, path: Path) -> None:
    if source == path:
        _existing(draft, path)
        return
    if path[: len(source)] == source:
        raise PointerError(f"{_at(source)} cannot be moved into itself")
    _add(draft, path, _remove(draft, source))


def _copied(value: Any, room: list[int], depth: int = 0) -> Any:
    """A deep copy, so that the draft has no part twice; its size is subtracted from `room`."""
    kind = type(value)
    room[0] -= len(value) + 2 if kind is str else 2
    if room[0] < 0:
        raise PointerError("the patch copies more than a document can hold")
    if depth > MAX_VALUE_DEPTH:
        raise PointerError("the copied value is nested too deep for a document")
    if kind is dict:
        room[0] -= sum(map(len, value))
        return {name: _copied(part, room, depth + 1) for name, part in value.items()}
    if kind is list:
        return [_copied(part, room, depth + 1) for part in value]
    return value


def _is_too_deep(value: Any) -> bool:
    """Whether moves have nested the value too deep; added values are checked on their own."""
    level = [value]
    for _ in range(2 * MAX_VALUE_DEPTH):
        level = [part for node in level for part in _parts(node)]
    return bool(level)


def _parts(node: Any) -> Iterable[Any]:
    if type(node) is dict:
        return node.values()
    return node if type(node) is list else ()


def _at(path: Path) -> str:
    return shown(format_pointer(path)) if path else "the whole value"


class Difference(NamedTuple):
    """A part in which two values differ."""

    path: Path
    before: Any
    """What the first value has there, or `MISSING`."""
    after: Any
    """What the second one has there, or `MISSING`."""


def differences(before: Any, after: Any) -> list[Difference]:
    """Where two values differ, sorted by name.

    Only objects are compared member by member: a changed array counts as a whole.

    Args:
        before: a JSON value, or `MISSING`.
        after: the same.
    """
    found: list[Difference] = []
    _compare(before, after, (), found)
    return found


def diff(before: Any, after: Any) -> list[dict[str, Any]]:
    """The patch from `before` to `after`: `add`, `remove` and `replace`, sorted by name.

    Args:
        before: a JSON value, or `MISSING`.
        after: the same.
    """
    return steps_of(differences(before, after))


def steps_of(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """The patch that makes these differences."""
    return [_step(difference) for difference in found]


def _step(difference: Difference) -> dict[str, Any]:
    path = format_pointer(difference.path)
    if difference.after is MISSING:
        return {"op": "remove", "path": path}
    op = "add" if difference.before is MISSING else "replace"
    return {"op": op, "path": path, "value": difference.after}


def _compare(before: Any, after: Any, path: Path, found: list[Difference]) -> None:
    if before is after:
        return
    if type(before) is dict and type(after) is dict:
        # Most members are shared, so only the others are sorted.
        names = [name for name, part in before.items() if after.get(name, MISSING) is not part]
        names += [name for name in after if name not in before]
        for name in sorted(names):
            _compare(before.get(name, MISSING), after.get(name, MISSING), (*path, name), found)
    elif before is MISSING or after is MISSING or not same(before, after):
        found.append(Difference(path, before, after))
