"""The two digests of a channel's open orders: equal digests, equal orders (promise 7). Pure.

Each open order adds a hash of itself; a digest is the XOR of them all. XOR does not depend on order
and undoes itself, so a writer needs only the digest, the state it replaces and the state it writes.
SHA-256 because XOR over a weaker, more linear hash would let two orders' steps cancel out.

The **content digest** covers each order whole, as the channel carries it: the first 128 bits of
SHA-256 over the canonical form (RFC 8785) of its JSON. All names count, also those that the reader
does not know: a newer Core may add some, and what is compared is what was sent, not what was
understood. 128 bits, so that two states of all channels there will ever be do not meet by chance.
It finds mistakes, not forgers: whoever may choose orders freely can make XOR come out as he likes.

The older **digest** covers id and version alone, `{order_id}:{version}`, in 64 bits. Clients that
know no other compare this one.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, NoReturn

import msgspec

from client_sdk.contract.json_decoding import decode

EMPTY: Final = 0
"""Either digest of no open order."""

MAX_INTEGER: Final = 2**53 - 1
"""The largest number in an order: beyond it, readers that know only doubles would round."""

_CONTENT_BYTES: Final = 16


def order_hash(order_id: str, version: int) -> int:
    """What one open order adds to the older digest: an unsigned 64-bit integer."""
    return int.from_bytes(sha256(f"{order_id}:{version}".encode()).digest()[:8], "big")


def content_hash(order: bytes | str | msgspec.Raw) -> int:
    """What one open order adds to the content digest: an unsigned 128-bit integer.

    Args:
        order: its JSON as the channel carries it.

    Raises:
        msgspec.DecodeError: it is no JSON object, is nested without end, or has a number that is
            not an integer.
    """
    return hash_of(decode(_decoder, order))


def hash_of(order: object) -> int:
    """What an open order adds, given as a value instead of JSON: it must encode to that JSON."""
    return int.from_bytes(sha256(canonical(order)).digest()[:_CONTENT_BYTES], "big")


def _refuse_fraction(_text: str) -> NoReturn:
    # An order has integers only, for which RFC 8785 is plain.
    raise ValueError("an order may contain only integers")


_decoder: Final = msgspec.json.Decoder(dict[str, Any], float_hook=_refuse_fraction)
_encoder: Final = msgspec.json.Encoder(order="sorted")
canonical: Final = _encoder.encode
"""Writes a value as RFC 8785 does, if it has integers only and its names are ASCII."""


def format_digest(digest: int) -> str:
    """The older digest as 16 lower-case hex digits, its form on the wire."""
    return f"{digest:016x}"


def format_content_digest(digest: int) -> str:
    """The content digest as 32 lower-case hex digits, its form on the wire."""
    return f"{digest:032x}"
