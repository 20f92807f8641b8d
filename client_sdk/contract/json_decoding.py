"""Decodes JSON, with one type of error for all malformed input.

No other module calls a decoder (`tests/unit/test_json_decoding.py`): msgspec raises a
RecursionError for JSON that is nested too deep, which nobody expects.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

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
    except (UnicodeError, RecursionError) as error:
        # msgspec raises these without converting them; a text with half a surrogate pair cannot
        # even be encoded.
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


decode_any: Final[Callable[[bytes | str | msgspec.Raw], Any]] = reader(Any)
"""Decodes JSON of no certain type; it raises as `decode`."""
