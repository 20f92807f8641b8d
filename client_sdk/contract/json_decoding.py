"""Reading JSON from outside: one kind of error, whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], data: bytes | str | msgspec.Raw) -> T:
    """Decode with this decoder.

    Raises:
        msgspec.DecodeError: not JSON in UTF-8, nested without end, or (as its subclass
            ValidationError) not what the decoder's type demands.
    """
    try:
        return decoder.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        # msgspec lets these two through as they are.
        raise msgspec.DecodeError(f"JSON is malformed: {error}") from error


def reader(kind: type[T]) -> Callable[[bytes | str | msgspec.Raw], T]:
    """A function that reads a value of this type from its JSON; it raises as `decode`."""
    return partial(decode, msgspec.json.Decoder(kind))
