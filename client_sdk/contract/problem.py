"""Problem details (RFC 9457): the one form of every error answer.

`type` is a stable URN, made for programs to switch on; `detail` says what was wrong and what to do.
The table below is the whole list: a server cannot answer a problem that does not stand in it.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.json_decoding import decode

MEDIA_TYPE: Final = "application/problem+json"
_PREFIX: Final = "urn:yabam:problem:"

TITLES: Final[dict[str, tuple[int, str]]] = {
    "bad-json": (400, "The body is not JSON in UTF-8"),
    "bad-request": (400, "The request is malformed"),
    "bad-cursor": (400, "The lastEventId is malformed"),
    "bad-channel": (400, "The channel is malformed"),
    "unauthorized": (401, "The token is missing or not valid"),
    "bad-ticket": (401, "The ticket is missing or not valid"),
    "forbidden": (403, "The token does not permit this"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "impossible-transition": (409, "The order cannot go there from where it is"),
    "conflict": (409, "Another write came first, again and again"),
    "too-many-open": (409, "There is no room for more open orders"),
    "stale-version": (412, "The order has changed since you read it"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body is not of a supported media type"),
    "misdirected": (421, "Another server owns this channel"),
    "invalid": (422, "The body breaks a rule"),
    "idempotency-mismatch": (422, "The Idempotency-Key was used for another request"),
    "too-many-requests": (429, "Too many requests"),
    "internal": (500, "The server failed"),
    "overloaded": (503, "The server is full"),
    "degraded": (503, "The server cannot prove that it is up to date"),
    "unavailable": (503, "The server cannot reach what it needs"),
}


class Problem(Struct, frozen=True, omit_defaults=True):
    """One problem, as it stands in the answer's body."""

    type: str
    title: str
    status: int
    detail: str = ""
    order: msgspec.Raw | UnsetType = UNSET
    """With `stale-version` and `impossible-transition`: the order as it stands now.

    Not `Raw | None`: msgspec would take null only.
    """
    retry_after: float | None = None
    """Seconds, as in the Retry-After header."""
    url: str | None = None
    """With `misdirected`: where to go."""

    @property
    def slug(self) -> str:
        """The type without its URN prefix, as in `TITLES`."""
        return self.type.removeprefix(_PREFIX)


_decoder: Final = msgspec.json.Decoder(Problem)


def problem(
    slug: str,
    detail: str,
    *,
    order: bytes | None = None,
    retry_after: float | None = None,
    url: str | None = None,
) -> Problem:
    """Make the problem `slug` of `TITLES`."""
    status, title = TITLES[slug]
    raw = msgspec.Raw(order) if order is not None else UNSET
    return Problem(_PREFIX + slug, title, status, detail, raw, retry_after, url)


def encode_problem(value: Problem) -> bytes:
    """The problem as an `application/problem+json` body."""
    return msgspec.json.encode(value)


def decode_problem(body: bytes) -> Problem | None:
    """Read a problem body; None if it is not one (a proxy's HTML page, say)."""
    try:
        return decode(_decoder, body)
    except msgspec.DecodeError:
        return None
