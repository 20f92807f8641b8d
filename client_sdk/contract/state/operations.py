"""The six operations of an edit: their form in messages, and the effect of five of them.

    {"set": {…}}  {"merge": {…}}  {"patch": […]}  {"add": {"/a/b": 1}}  {"delete": true}
    {"call": {"name": "…", "arguments": …}}

Pure. The sixth, `call`, names a function of the operator, which only Core can run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

from client_sdk.contract.digest import MAX_INTEGER
from client_sdk.contract.errors import OperationError, StateValueError
from client_sdk.contract.state.draft import Draft
from client_sdk.contract.state.merge_patch import merge_patch
from client_sdk.contract.state.patch import PatchOperation, apply_patch
from client_sdk.contract.state.pointer import (
    MISSING,
    Path,
    format_pointer,
    parse_pointer,
)
from client_sdk.contract.state.values import Value, check_document, check_value
from client_sdk.contract.text import is_id, shown


class Set(Struct, frozen=True):
    """The document gets this value; it is created if there is none."""

    value: Value


class Merge(Struct, frozen=True):
    """A merge patch (RFC 7396); if there is no document, it starts from an empty one."""

    patch: Value


class Patch(Struct, frozen=True):
    """A JSON patch (RFC 6902); if there is no document, only `add` of the whole value works."""

    operations: Sequence[PatchOperation]


class Add(Struct, frozen=True):
    """Numbers to add, by JSON Pointer, through objects only.

    A missing number counts as 0; missing objects on the way are created.
    """

    numbers: dict[str, int]


class Delete(Struct, frozen=True):
    """The document is deleted; if there is none, nothing changes."""


class Call(Struct, frozen=True):
    """Run the operator's function of this name on the newest value, with these arguments."""

    name: str
    arguments: Any = None


PlainOperation: TypeAlias = Set | Merge | Patch | Add | Delete
"""The operations that `apply` supports."""
Operation: TypeAlias = PlainOperation | Call


def decode_operation(wire: Any) -> Operation:
    """Read the value of `do`, which was decoded from JSON.

    Raises:
        OperationError: not an object with exactly one of the six names, or its content is
            malformed. What a patch's pointers name is checked only when the patch is applied.
        StateValueError: it contains a value that a document may not contain.
    """
    if type(wire) is not dict or len(wire) != 1:
        raise OperationError('"do" has exactly one of set, merge, patch, add, delete, call')
    ((name, body),) = wire.items()
    if name == "set":
        check_document(body)
        return Set(body)
    if name == "merge":
        if type(body) is not dict:
            raise OperationError("merge takes an object, the merge patch")
        check_value(body)
        return Merge(body)
    if name == "patch":
        return Patch(_patch(body))
    if name == "add":
        return Add(_numbers(body))
    if name == "delete":
        if body is not True:
            raise OperationError("delete takes true")
        return Delete()
    if name == "call":
        return _call(body)
    raise OperationError(f"{shown(str(name))} is not one of set, merge, patch, add, delete, call")


def encode_operation(operation: Operation) -> dict[str, Any]:
    """The value of `do` for an operation, ready to be encoded as JSON."""
    if isinstance(operation, Set):
        return {"set": operation.value}
    if isinstance(operation, Merge):
        return {"merge": operation.patch}
    if isinstance(operation, Patch):
        return {"patch": operation.operations}
    if isinstance(operation, Add):
        return {"add": operation.numbers}
    if isinstance(operation, Delete):
        return {"delete": True}
    return {"call": {"name": operation.name, "arguments": operation.arguments}}


def apply(operation: PlainOperation, value: Value | None) -> Value | None:
    """The document's value after the operation; the arguments are not changed.

    Args:
        operation: any but `Call`.
        value: the document's value; None: there is no document.

    Returns:
        The new value; None: the document is deleted.

    Raises:
        PatchError: the patch does not apply.
        OperationError: the result is not an object, or there is no number to add to.
    """
    if isinstance(operation, Set):
        return operation.value
    if isinstance(operation, Merge):
        merged: Value = merge_patch(value, operation.patch)
        return merged
    if isinstance(operation, Patch):
        patched = apply_patch(MISSING if value is None else value, operation.operations)
        if type(patched) is not dict:
            raise OperationError("the patch's result is not an object: to delete, use delete")
        return patched
    if isinstance(operation, Add):
        return _add(operation, value)
    return None


def _add(operation: Add, value: Value | None) -> Value:
    draft = Draft({} if value is None else value)
    for pointer in sorted(operation.numbers):
        path = parse_pointer(pointer)
        draft.put(path, _sum(draft.value, path, operation.numbers[pointer]))
    result: Value = draft.value
    return result


def _sum(value: Any, path: Path, number: int) -> int:
    found = value
    for depth, part in enumerate(path):
        if found is MISSING:
            return number
        if type(found) is not dict:
            where = shown(format_pointer(path[:depth]))
            raise OperationError(f"add works inside objects only: {where} is not one")
        found = found.get(part, MISSING)
    if found is MISSING:
        return number
    if type(found) is not int:
        raise OperationError(f"there is no number at {shown(format_pointer(path))} to add to")
    return found + number


def _patch(body: Any) -> list[PatchOperation]:
    if type(body) is not list:
        raise OperationError("patch takes an array of operations")
    for index, operation in enumerate(body):
        op = operation.get("op") if type(operation) is dict else None
        # Only a text is looked up: an object or an array has no hash.
        if type(op) is not str or op not in _FIELDS:
            raise OperationError(
                f"operation {index} of the patch is not an object with an op of RFC 6902"
            )
        lacking = _FIELDS[op] - operation.keys()
        if lacking:
            raise OperationError(f"operation {index} of the patch has no {min(lacking)}")
        for field in _POINTERS:
            if field in _FIELDS[op] and type(operation[field]) is not str:
                raise OperationError(
                    f"operation {index} of the patch has a {field} that is no text"
                )
        try:
            check_value(operation.get("value"))
        except StateValueError as error:
            path = operation.get("path")
            raise StateValueError(f"{path}{error.pointer}", error.reason) from error
        for name in sorted(operation.keys() - _FIELDS[op] - {"op"}):
            # It is ignored, and kept with the rest: no reader may fail at its depth.
            try:
                check_value(operation[name])
            except StateValueError as error:
                told = f"operation {index} of the patch has a bad member {shown(name)}"
                raise OperationError(f"{told}: {error.reason}") from error
    return body


_FIELDS: Final = {
    "add": {"path", "value"},
    "remove": {"path"},
    "replace": {"path", "value"},
    "move": {"from", "path"},
    "copy": {"from", "path"},
    "test": {"path", "value"},
}
_POINTERS: Final = ("from", "path")


def _numbers(body: Any) -> dict[str, int]:
    if type(body) is not dict or not body:
        raise OperationError("add takes an object of JSON Pointers, each with an integer")
    for pointer, number in body.items():
        if not parse_pointer(pointer):
            raise OperationError("add takes the pointer of a number, not of the whole value")
        if type(number) is not int or not -MAX_INTEGER <= number <= MAX_INTEGER:
            raise StateValueError(pointer, f"add takes an integer within ±{MAX_INTEGER}")
    return body


def _call(body: Any) -> Call:
    if type(body) is not dict or body.keys() - {"name", "arguments"}:
        raise OperationError("call takes a name and arguments, and nothing else")
    name = body.get("name")
    if type(name) is not str or not is_id(name):
        raise OperationError("call takes the name of a function: 1 to 64 of A-Z a-z 0-9 _ . -")
    check_value(body.get("arguments"))
    return Call(name, body.get("arguments"))
