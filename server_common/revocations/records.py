"""A revocation, as Core stores it and as a record of Kafka. Pure.

An event server never gets the name of a token or a session: tickets and records have a hash.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final, Literal

import msgspec
from msgspec import Struct

from client_sdk.contract.errors import RecordError
from client_sdk.contract.json_decoding import decode

RevocationKind = Literal["token", "session", "subject"]
MAX_RECORD_BYTES: Final = 4096
_HASH_BYTES: Final = 18


class Revocation(Struct, frozen=True):
    """One token, one session, or all that a subject was given until a moment."""

    kind: RevocationKind
    key: str
    """The result of `key_of` for its name."""
    before: int = 0
    """Of a subject: tokens made in this second or earlier are revoked."""


_decoder: Final = msgspec.json.Decoder(Revocation)


def key_of(kind: RevocationKind, name: str) -> str:
    """The key by which a revoked name is compared: a hash; for a subject the subject itself."""
    if kind == "subject":
        return name
    digest = sha256(f"{kind}:{name}".encode(errors="surrogatepass")).digest()
    return urlsafe_b64encode(digest[:_HASH_BYTES]).decode()


def encode_revocation(revocation: Revocation) -> bytes:
    """The value of a record."""
    return msgspec.json.encode(revocation)


def decode_revocation(value: bytes | None) -> Revocation:
    """Read the value of a record.

    Raises:
        RecordError: it is not ours.
    """
    if value is None or len(value) > MAX_RECORD_BYTES:
        raise RecordError("a revocation has a value of a few bytes")
    try:
        return decode(_decoder, value)
    except msgspec.DecodeError as error:
        raise RecordError(f"this is not a revocation: {error}") from error
