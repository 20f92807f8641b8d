"""A document as it is shown: Core's value with this client's pending edits on top. Pure.

The result is always recomputed from both, never changed in place. So an edit that Core refused, or
settled with another result, leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from client_sdk.contract.errors import StateError
from client_sdk.contract.state.operations import Call, Merge, Operation, apply
from client_sdk.contract.state.pointer import MISSING, Path, format_pointer
from client_sdk.contract.state.values import Value
from client_sdk.state.entries import Entry

CallFunction = Callable[[Value | None, Any], Value | None]
"""`(current, arguments) -> value`: predicts the result of a `call` of Core's function. It raises to
refuse the call."""
Calls = Mapping[str, CallFunction]


@dataclass(frozen=True, slots=True)
class Composed:
    """A value with edits on top."""

    value: Value | None
    left_out: frozenset[int]
    """The ids of the entries that do not fit the value."""


def compose(value: Value | None, entries: Iterable[Entry], calls: Calls) -> Composed:
    """Apply the edits in order, without those that do not fit.

    Args:
        value: Core's value; None: there is no document.
        entries: the pending edits of the document.
        calls: predictions of the operator's functions, by name.
    """
    left_out: set[int] = set()
    for entry in entries:
        try:
            value = perform(entry.edit.do, value, calls)
        except StateError:
            left_out.add(entry.id)
    return Composed(value, frozenset(left_out))


def perform(operation: Operation, value: Value | None, calls: Calls) -> Value | None:
    """The value after the operation; a call of an unknown function changes nothing here.

    Args:
        operation: what an edit does; it is not changed.
        value: the value before; None: there is no document.
        calls: predictions of the operator's functions, by name.

    Returns:
        The new value; None: the document is deleted.

    Raises:
        StateError: the operation does not fit the value, or the prediction raised.
    """
    if not isinstance(operation, Call):
        return apply(operation, value)
    function = calls.get(operation.name)
    if function is None:
        return value
    try:
        return function(value, operation.arguments)
    except Exception as error:
        raise StateError(f"{operation.name} refuses: {error}") from error


def seen_by(operation: Operation, value: Value | None) -> dict[str, Any] | None:
    """The values that a merge changes, by JSON Pointer, before the merge; None: it is no merge."""
    if not isinstance(operation, Merge):
        return None
    seen: dict[str, Any] = {}
    _collect(operation.patch, MISSING if value is None else value, (), seen)
    return seen


def _collect(patch: Mapping[str, Any], node: Any, path: Path, seen: dict[str, Any]) -> None:
    for name, part in patch.items():
        below = (*path, name)
        found = node.get(name, MISSING) if type(node) is dict else MISSING
        if type(part) is dict and (found is MISSING or type(found) is dict):
            _collect(part, found, below, seen)
        elif found is not MISSING:
            seen[format_pointer(below)] = found
