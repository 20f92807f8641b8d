"""The digest of a document channel: equal digests, equal documents (promise 13). Pure.

Each document that is there adds a hash over its key, its version and its value; the digest is the
XOR of them all, as that of the orders is (`client_sdk/contract/digest.py`). A deleted document adds
nothing. The hash is the first 128 bits of SHA-256 over the ASCII text `{key}:{version}:{hex}`,
where hex is the SHA-256, in 64 lower-case hex digits, over the value in the form of RFC 8785.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from client_sdk.contract.digest import canonical
from client_sdk.contract.state.values import Value

_HASH_BYTES: Final = 16


def document_hash(key: str, version: int, value: Value | None) -> int:
    """What one document adds to its channel's digest: an unsigned 128-bit integer.

    Args:
        key: its key, in which no colon can stand.
        version: its newest version.
        value: its value at that version, as `check_document` allows it; None: it is deleted.
    """
    return 0 if value is None else hash_of_content(key, version, canonical(value))


def hash_of_content(key: str, version: int, content: bytes) -> int:
    """What one document adds, its value given in the form of RFC 8785."""
    text = f"{key}:{version}:{sha256(content).hexdigest()}"
    return int.from_bytes(sha256(text.encode()).digest()[:_HASH_BYTES], "big")
