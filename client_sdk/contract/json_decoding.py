"""Decodes JSON from outside, with one type of error for all malformed input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], data: bytes | str | msgspec.Raw) -> T:
    """Decode with this decoder.

    Raises:
        msgspec.DecodeError: not JSON in UTF-8, nested too deep, or (as its subclass
            ValidationError) not of the decoder's type.
    """
    try:
        return decoder.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        # msgspec raises these two without converting them.
        raise msgspec.DecodeError(f"JSON is malformed: {error}") from error


def reader(
    kind: type[T], float_hook: Callable[[str], Any] | None = None
) -> Callable[[bytes | str | msgspec.Raw], T]:
    """A function that decodes a value of this type from JSON; it raises as `decode`.

    The SDK has no other decoders of JSON; a test holds that.

    Args:
        kind: the type.
        float_hook: decodes numbers with a fraction or an exponent; None: they become floats.
    """
    return partial(decode, msgspec.json.Decoder(kind, float_hook=float_hook))
