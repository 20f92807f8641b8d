"""JSON Pointer (RFC 6901): the path to one part of a JSON value. Pure.

A pointer is text on the wire (`/lines/a7/quantity`) and a tuple of names inside the program
(`("lines", "a7", "quantity")`). The empty pointer is the whole value.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

from client_sdk.contract.errors import PointerError
from client_sdk.contract.limits import MAX_VALUE_DEPTH
from client_sdk.contract.text import shown

Path: TypeAlias = tuple[str, ...]


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
"""There is nothing at this place. null is something."""

_BAD_ESCAPE: Final = re.compile(r"~(?![01])")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def parse_pointer(text: str) -> Path:
    """Read a pointer.

    Raises:
        PointerError: it is not empty and does not begin with `/`, has a `~` that is neither `~0`
            nor `~1`, or has more levels than a document may have.
    """
    if not text:
        return ()
    if text.count("/") > MAX_VALUE_DEPTH:
        raise PointerError(f"{shown(text)} has more levels than {MAX_VALUE_DEPTH}")
    if text[0] != "/":
        raise PointerError(f"{shown(text)} is not a JSON Pointer: it begins with /")
    if "~" not in text:
        return tuple(text[1:].split("/"))
    if _BAD_ESCAPE.search(text):
        raise PointerError(f"{shown(text)} is not a JSON Pointer: write ~0 for ~ and ~1 for /")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def format_pointer(path: Path) -> str:
    """Write a pointer."""
    text = "/".join(("", *path))
    if "~" not in text and text.count("/") == len(path):
        return text
    return "".join(["/" + part.replace("~", "~0").replace("/", "~1") for part in path])


def array_index(part: str) -> int | None:
    """The array index that a part of a pointer names; None: it is not an index."""
    return int(part) if _INDEX.fullmatch(part) else None


def get(value: Any, path: Path) -> Any:
    """The value at the path, or `MISSING`, also if `value` itself is MISSING."""
    for part in path:
        if type(value) is dict:
            value = value.get(part, MISSING)
        elif type(value) is list:
            index = array_index(part)
            if index is None or index >= len(value):
                return MISSING
            value = value[index]
        else:
            return MISSING
    return value
