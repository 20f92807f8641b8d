"""Idempotency keys: the same key and request get the same answer; another request is refused.

Pure. The request is compared as it was understood, not as it was spelled: white space and the order
of keys do not matter. After draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from core_api.errors import BadRequestError

MAX_KEY_CHARS: Final = 255
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A key, in the scope of the subject that sends it."""

    subject: str
    key: str


def parse_key(text: str) -> str:
    """Read an Idempotency-Key: 1 to 255 visible ASCII characters; quotes around it are dropped.

    Raises:
        BadRequestError: it is empty, too long or has other characters.
    """
    key = text.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if _KEY.fullmatch(key) is None:
        raise BadRequestError(
            f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} visible ASCII characters without spaces"
        )
    return key


def request_hash(operation: str, target: str, command: Struct, if_match: int | None) -> bytes:
    """What tells one request from another: 32 bytes."""
    return sha256(msgspec.json.encode([operation, target, if_match, command])).digest()
