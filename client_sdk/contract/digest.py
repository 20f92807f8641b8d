"""The digest of a channel's open orders: equal digests, equal orders (promise 7).

Each open order adds the first 64 bits of SHA-256 over `{order_id}:{version}`; the digest is the XOR
of them all. XOR does not depend on order and undoes itself, so a writer needs only the digest, the
version it replaces and the version it writes. SHA-256 because XOR over a weaker, more linear hash
would let two orders' version steps cancel out.
"""

from __future__ import annotations

from hashlib import sha256

from client_sdk.contract.errors import ContractError

EMPTY = 0
"""The digest of no open order."""


def order_hash(order_id: str, version: int) -> int:
    """What one open order adds to a digest: an unsigned 64-bit integer."""
    return int.from_bytes(sha256(f"{order_id}:{version}".encode()).digest()[:8], "big")


def format_digest(digest: int) -> str:
    """A digest as 16 lower-case hex digits, its form on the wire."""
    return f"{digest:016x}"


def parse_digest(text: str) -> int:
    """Read 16 lower-case hex digits.

    Raises:
        ContractError: the text is not a digest.
    """
    if len(text) != 16 or not set(text) <= set("0123456789abcdef"):
        raise ContractError("a digest is written as 16 lower-case hex digits")
    return int(text, 16)
