"""Stream tickets: proof of permission and of a recent sync in one.

A ticket is a JWS in compact form (RFC 7515, HS256) that Core signs with a key which no access token
is signed with. It is bound to the channels, to the epoch and to the cursor the sync ended at. Its
times are the database's, as is the watermark, so an event server checks it without trusting any
other clock. Every connect needs a verification: the header is compared with the exact bytes that
Core writes for that key, never parsed, which excludes algorithm confusion.
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from client_sdk.contract.errors import TicketError
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.limits import MAX_TICKET_CHARS
from server_common.revocations.holders import Holder


class Ticket(Struct, frozen=True, omit_defaults=True):
    """The content of a ticket. Times are seconds since the Unix epoch by the database's clock."""

    epoch: str
    cursor: dict[str, int]
    """The channels that may be streamed, each with the seq the sync ended at."""
    issued_at: float
    """When the sync read the log: all committed before it is at or below the cursor."""
    expires_at: float
    subject: str
    device: str = ""
    """The device of an owner that synced, so that its receipts count."""
    token: str = ""
    """The revocation key of the access token that it was made for."""
    session: str = ""
    """The key of that token's session."""
    made_at: int = 0
    """When that token was made, in seconds since 1970; 0: not known."""

    @property
    def holder(self) -> Holder:
        """The holder, as revocations name it."""
        return Holder(self.token, self.session, self.subject, self.made_at)


_decoder: Final = msgspec.json.Decoder(Ticket)
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_PADDING: Final = (b"", b"===", b"==", b"=")


class _Mac:
    """HMAC-SHA256 (RFC 2104) with one key, whose two blocks are hashed once and not per text."""

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def text_of(self, signed: bytes) -> bytes:
        """The code of these bytes, as it stands in a ticket."""
        inner = self._inner.copy()
        inner.update(signed)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return _encode(outer.digest())


class TicketKeys:
    """The ticket keys by `kid`: one signs, all verify, so that keys can be rotated.

    Raises:
        TicketError: no key, an unknown signing key, or a key shorter than 32 bytes.
    """

    def __init__(self, keys: Mapping[str, bytes], signing_kid: str) -> None:
        if signing_kid not in keys:
            raise TicketError(f"the signing key {signing_kid!r} is not among the ticket keys")
        for kid, key in keys.items():
            if len(key) < 32:
                raise TicketError(f"the ticket key {kid!r} is shorter than 32 bytes")
        self._by_header = {_header(kid): _Mac(key) for kid, key in keys.items()}
        self._signing_header = _header(signing_kid)
        self._signing_key = self._by_header[self._signing_header]

    def sign(self, ticket: Ticket) -> str:
        """The ticket as text for a URL."""
        signed = self._signing_header + b"." + _encode(msgspec.json.encode(ticket))
        return (signed + b"." + self._signing_key.text_of(signed)).decode()

    def verify(self, text: str, now: float) -> Ticket:
        """Read a ticket at `now` (seconds, the database's clock).

        Raises:
            TicketError: malformed, signed by none of our keys, or expired.
        """
        if len(text) > MAX_TICKET_CHARS or not text.isascii():
            raise TicketError("the ticket is malformed")
        signed, _, signature = text.encode().rpartition(b".")
        header, _, payload = signed.partition(b".")
        key = self._by_header.get(header)
        if key is None:
            raise TicketError("the ticket was not signed by a key of this system")
        if not hmac.compare_digest(key.text_of(signed), signature):
            raise TicketError("the ticket's signature is wrong")
        try:
            raw = a2b_base64(payload.translate(_STANDARD) + _PADDING[len(payload) % 4])
            ticket = decode(_decoder, raw)
        except (Base64Error, msgspec.DecodeError) as error:
            raise TicketError("the ticket is malformed") from error
        if now >= ticket.expires_at:
            raise TicketError("the ticket has expired: sync again for a new one")
        return ticket


def _header(kid: str) -> bytes:
    return _encode(msgspec.json.encode({"alg": "HS256", "kid": kid, "typ": "yabam-ticket"}))


def _encode(raw: bytes) -> bytes:
    return b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=")
