"""The two digests of a channel's open orders: equal digests, equal orders (promise 7). Pure.

A digest is the XOR of a hash of each open order. XOR does not depend on the sequence and is its own
inverse, so a writer needs only the digest, the old state and the new state of an order. It is
SHA-256 because with a weaker, more linear hash the changes of two orders could cancel out.

The **content digest** covers each order whole, as the channel carries it: the first 128 bits of
SHA-256 over the canonical form (RFC 8785) of its JSON. All fields count, including those that the
reader does not know: a newer Core may add some. 128 bits make an accidental collision of two states
practically impossible. It finds mistakes, not attacks: somebody who may choose orders freely can
produce any XOR.

The older **digest** covers id and version alone, `{order_id}:{version}`, in 64 bits. Clients that
know no other compare this one.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, NoReturn

import msgspec

from client_sdk.contract.json_decoding import reader

EMPTY: Final = 0
"""Either digest of an empty set of orders."""

MAX_INTEGER: Final = 2**53 - 1
"""The largest number in an order: readers that use doubles would round larger ones."""

_CONTENT_BYTES: Final = 16


def order_hash(order_id: str, version: int) -> int:
    """The hash of one open order for the older digest: an unsigned 64-bit integer."""
    return int.from_bytes(sha256(f"{order_id}:{version}".encode()).digest()[:8], "big")


def content_hash(order: bytes | str | msgspec.Raw) -> int:
    """The hash of one open order for the content digest: an unsigned 128-bit integer.

    Args:
        order: its JSON, as in the channel.

    Raises:
        msgspec.DecodeError: it is not a JSON object, is nested too deep, or has a number that is
            not an integer.
    """
    return hash_of(_decoder(order))


def hash_of(order: object) -> int:
    """The same hash for an order given as a value, which must encode to that JSON."""
    return int.from_bytes(sha256(canonical(order)).digest()[:_CONTENT_BYTES], "big")


def _refuse_fraction(_text: str) -> NoReturn:
    # An order has only integers, for which RFC 8785 is simple.
    raise ValueError("an order may contain only integers")


_decoder: Final = reader(dict[str, Any], float_hook=_refuse_fraction)
_encoder: Final = msgspec.json.Encoder(order="sorted")
canonical: Final = _encoder.encode
"""Encodes a value as RFC 8785 does, if it has only integers and its names are ASCII."""


def format_digest(digest: int) -> str:
    """The older digest as 16 lower-case hex digits, as in messages."""
    return f"{digest:016x}"


def format_content_digest(digest: int) -> str:
    """The content digest as 32 lower-case hex digits, as in messages."""
    return f"{digest:032x}"
