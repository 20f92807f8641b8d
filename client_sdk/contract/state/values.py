"""The valid values of a document, their comparison, and copies. Pure.

A document is a JSON object. Its numbers are integers within ±(2^53−1), its names are ASCII, and its
depth is limited, so that each client computes the same digest and none rounds. No text has a NUL or
a lone surrogate, which databases and encoders refuse.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from client_sdk.contract.digest import MAX_INTEGER
from client_sdk.contract.errors import StateValueError
from client_sdk.contract.limits import MAX_VALUE_DEPTH
from client_sdk.contract.state.pointer import Path, format_pointer

Value: TypeAlias = dict[str, Any]
"""A document's value: a JSON object."""

_SCALARS: Final = frozenset({bool, type(None)})


def check_value(value: Any, path: Path = ()) -> None:
    """Check that a document may contain the value at this path.

    Raises:
        StateValueError: it may not; its pointer names the first invalid part.
    """
    kind = type(value)
    if kind is str:
        if not _is_text(value):
            raise StateValueError(format_pointer(path), "a text has a NUL or a lone surrogate")
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise StateValueError(
                format_pointer(path), f"an integer must be within ±{MAX_INTEGER} (53 bits)"
            )
    elif kind is dict:
        _check_depth(path)
        for name, part in value.items():
            check_name(name, path)
            check_value(part, (*path, name))
    elif kind is list:
        _check_depth(path)
        for index, part in enumerate(value):
            check_value(part, (*path, str(index)))
    elif kind is float:
        raise StateValueError(
            format_pointer(path), "a number must be an integer: use the smallest unit"
        )
    elif kind not in _SCALARS:
        raise StateValueError(format_pointer(path), f"{kind.__name__} is not a JSON type")


def check_name(name: Any, path: Path) -> None:
    """Check that an object at this path may have a member of this name.

    Raises:
        StateValueError: it may not.
    """
    if type(name) is not str or not name.isascii() or "\x00" in name:
        shown = name if type(name) is str else str(name)
        raise StateValueError(
            format_pointer((*path, ascii(shown)[1:-1])), "a member's name must be ASCII without NUL"
        )


def check_document(value: Any) -> None:
    """Check that it may be the whole value of a document.

    Raises:
        StateValueError: it is not an object, or contains an invalid value.
    """
    if type(value) is not dict:
        raise StateValueError("", "a document must be a JSON object: put a value under /value")
    check_value(value)


_NOTHING: Final = object()
"""Stands for a member that is not there; no value is the same."""


def same(one: Any, other: Any) -> bool:
    """Whether both are the same JSON value; unlike `==`, true is not 1 and 1.0 is not 1."""
    if one is other:
        return True
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is dict:
        if len(one) != len(other):
            return False
        for name, part in one.items():
            found = other.get(name, _NOTHING)
            if part is not found and not same(part, found):
                return False
        return True
    if kind is list:
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def copy(value: Any) -> Any:
    """A copy that shares no object and no array with the value."""
    kind = type(value)
    if kind is dict:
        return {name: copy(part) for name, part in value.items()}
    if kind is list:
        return [copy(part) for part in value]
    return value


def is_number(value: Any) -> bool:
    """Whether it is a number; true and false are not."""
    return type(value) is int


def _check_depth(path: Path) -> None:
    if len(path) >= MAX_VALUE_DEPTH:
        raise StateValueError(
            format_pointer(path), f"a document may be nested at most {MAX_VALUE_DEPTH} deep"
        )


def _is_text(text: str) -> bool:
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
