"""Idempotency keys: the same key and request get the same answer; another request is refused.

Pure. The request is compared after parsing: white space and the order of keys do not matter. After
draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import NODEFAULT, UNSET, Struct
from msgspec.structs import fields

from client_sdk.contract.text import is_key
from core_api.errors import BadRequestError
from core_api.orders.lifecycle import Seen

MAX_KEY_CHARS: Final = 255


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A key, in the scope of the subject that sends it."""

    subject: str
    key: str


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """The answer that an idempotency key has kept."""

    request_hash: bytes
    status: int
    order_id: str
    body: str


def parse_key(text: str) -> str:
    """Read an Idempotency-Key: 1 to 255 visible ASCII characters; quotes around it are dropped.

    Raises:
        BadRequestError: it is empty, too long or has other characters.
    """
    key = text.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not is_key(key):
        raise BadRequestError(
            f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} visible ASCII characters without spaces"
        )
    return key


def request_hash(operation: str, target: str, command: Struct, seen: Seen) -> bytes:
    """The hash that distinguishes requests: 32 bytes.

    A retry may meet another release than the first try did, so a field that a later release adds
    is left out of the hash while it has its default. The fields of the first release are always
    hashed, as in the hashes that are stored.

    Args:
        operation: what is done, such as `place`.
        target: the order that it is done to; empty for a new one.
        command: what was asked for.
        seen: the version that the request requires. Its time is left out: a retry may meet a
            release that does not send or read it.
    """
    parts = [operation, target, seen.version, _canonical(command)]
    return sha256(msgspec.json.encode(parts)).digest()


_FIRST_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "PlaceOrder": frozenset(
        {"store_id", "currency", "items", "table_id", "note", "reference", "guest"}
    ),
    "NewItem": frozenset({"name", "quantity", "unit_price", "note"}),
    "NewGuest": frozenset({"name", "phone"}),
    "Transition": frozenset({"to", "reason"}),
    "ChangeOrder": frozenset({"items", "note"}),
}
"""The fields that each part of a command had in the first release, by the part's name."""


def _canonical(value: object) -> object:
    """The value with the later fields left out that have their default."""
    if isinstance(value, list):
        # Unchanged if they are as in the first release: there may be hundreds.
        return [_canonical(one) for one in value] if value and _has_grown(value[0]) else value
    if not isinstance(value, Struct):
        return value
    later = _later_fields(type(value))
    said = [(name, getattr(value, name)) for name in value.__struct_fields__]
    return {
        name: _canonical(one)
        for name, one in said
        if one is not UNSET and (name not in later or one != later[name])
    }


def _has_grown(value: object) -> bool:
    return isinstance(value, Struct) and bool(_later_fields(type(value)))


@cache
def _later_fields(kind: type[Struct]) -> dict[str, object]:
    """The fields that the first release did not have, with their defaults."""
    first = _FIRST_FIELDS.get(kind.__name__, frozenset())
    return {
        field.name: field.default if field.default_factory is NODEFAULT else field.default_factory()
        for field in fields(kind)
        if field.name not in first
    }
