"""The digest of a document channel: equal digests, equal documents (promise 13). Pure.

The digest is the XOR of a hash of each existing document, as with orders
(`client_sdk/contract/digest.py`). A deleted document is not included. The hash is the first 128
bits of SHA-256 over the ASCII text `{key}:{version}:{hex}`, where hex is the SHA-256, in 64
lower-case hex digits, of the value in the form of RFC 8785.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from client_sdk.contract.digest import canonical
from client_sdk.contract.state.values import Value

_HASH_BYTES: Final = 16


def document_hash(key: str, version: int, value: Value | None) -> int:
    """The hash of one document in its channel's digest: an unsigned 128-bit integer.

    Args:
        key: its key, which cannot contain a colon.
        version: its newest version.
        value: its value at that version, as `check_document` allows it; None: it is deleted.
    """
    return 0 if value is None else hash_of_content(key, version, canonical(value))


def hash_of_content(key: str, version: int, content: bytes) -> int:
    """The same hash, from a value that is encoded already.

    Args:
        key: the document's key.
        version: its newest version.
        content: its value at that version, in the form of RFC 8785.
    """
    text = f"{key}:{version}:{sha256(content).hexdigest()}"
    return int.from_bytes(sha256(text.encode()).digest()[:_HASH_BYTES], "big")
