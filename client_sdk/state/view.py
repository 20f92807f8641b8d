"""What is shown of a document: Core's value with this client's pending edits on top. Pure.

It is always computed anew from both, never changed in place: so an edit that Core settled
otherwise, or refused, leaves nothing behind.
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
"""`(current, arguments) -> value`: what a `call` will probably do, as Core's function of its name.
It raises to refuse."""
Calls = Mapping[str, CallFunction]


@dataclass(frozen=True, slots=True)
class Composed:
    """A value with edits on top."""

    value: Value | None
    left_out: frozenset[int]
    """The entries, by their ids, that do not fit the value."""


def compose(value: Value | None, entries: Iterable[Entry], calls: Calls) -> Composed:
    """Apply the edits in order; one that does not fit is left out.

    Args:
        value: Core's; None: there is no document.
        entries: the pending edits of the document.
        calls: what is known of the operator's functions.
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

    Raises:
        StateError: it does not fit.
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
    """What stood at each path that a merge changes, by JSON Pointer; None: it is no merge."""
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
