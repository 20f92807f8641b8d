"""Reading JSON from outside: one kind of error, whatever is wrong with it."""

from __future__ import annotations

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
