"""Problem details (RFC 9457): the form of every error answer.

`type` is a stable URN for programs; `detail` says what was wrong and what to do. The table below is
the complete list: a server cannot send a problem that is not in it.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.json_decoding import reader

MEDIA_TYPE: Final = "application/problem+json"
_PREFIX: Final = "urn:yabam:problem:"

TITLES: Final[dict[str, tuple[int, str]]] = {
    "bad-json": (400, "The body is not JSON in UTF-8"),
    "bad-request": (400, "The request is malformed"),
    "bad-cursor": (400, "The lastEventId is malformed"),
    "bad-channel": (400, "The channel is malformed"),
    "unauthorized": (401, "The token is missing or not valid"),
    "party-left": (401, "The party that the token was made for has left"),
    "bad-ticket": (401, "The ticket is missing or not valid"),
    "forbidden": (403, "The token does not permit this"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "impossible-transition": (409, "The order cannot go there from where it is"),
    "conflict": (409, "Another write came first, again and again"),
    "too-many-open": (409, "There is no room for more open orders"),
    "too-many-devices": (409, "There is no room for more devices"),
    "too-many-commands": (409, "The device has not answered enough of its commands"),
    "too-many-revocations": (409, "There is no room for more revocations"),
    "too-many-webhooks": (409, "There is no room for more webhooks"),
    "sold-out": (409, "Something in the order is sold out"),
    "not-taking-orders": (409, "The store takes no orders now"),
    "edit-conflict": (409, "Others have changed the document"),
    "edit-gap": (409, "Edits before this one are not settled"),
    "edit-mismatch": (409, "The edit's number came with other content before"),
    "client-taken": (409, "The client belongs to another subject"),
    "depends": (409, "An edit that it depends on was refused"),
    "base-ahead": (409, "The edit's base is a version that is not there"),
    "too-late": (409, "The edit is too old"),
    "too-many-clients": (409, "There is no room for more clients of edits"),
    "too-many-documents": (409, "There is no room for more documents"),
    "stale-version": (412, "The order has changed since you read it"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body is not of a supported media type"),
    "misdirected": (421, "Another server owns this channel"),
    "invalid": (422, "The body breaks a rule"),
    "unknown-document": (422, "No such document is defined"),
    "forbidden-operation": (422, "The document does not take this operation"),
    "patch-failed": (422, "The patch does not apply"),
    "call-refused": (422, "The function refuses the call"),
    "edit-outdated": (422, "The edit was made for an older schema"),
    "schema-ahead": (422, "The edit was made for a newer schema"),
    "idempotency-mismatch": (422, "The Idempotency-Key was used for another request"),
    "upgrade-required": (426, "This path is for WebSockets"),
    "too-many-requests": (429, "Too many requests"),
    "internal": (500, "The server failed"),
    "overloaded": (503, "The server is full"),
    "degraded": (503, "The server cannot prove that it is up to date"),
    "unavailable": (503, "The server cannot reach what it needs"),
}


class Problem(Struct, frozen=True, omit_defaults=True):
    """One problem, as in the answer's body."""

    type: str
    title: str
    status: int
    detail: str = ""
    order: msgspec.Raw | UnsetType = UNSET
    """With `stale-version` and `impossible-transition`: the current order.

    Not `Raw | None`: msgspec would take null only.
    """
    retry_after: float | None = None
    """Seconds, as in the Retry-After header."""
    url: str | None = None
    """With `misdirected`: the URL to use instead."""
    settled: int | None = None
    """With `edit-gap`: the client's last settled number."""
    items: list[str] | None = None
    """With `sold-out`: the names of the sold-out items."""

    @property
    def slug(self) -> str:
        """The type without its URN prefix, as in `TITLES`."""
        return self.type.removeprefix(_PREFIX)


_decoder: Final = reader(Problem)


def problem(
    slug: str,
    detail: str,
    *,
    order: bytes | None = None,
    retry_after: float | None = None,
    url: str | None = None,
    settled: int | None = None,
    items: list[str] | None = None,
) -> Problem:
    """Create a problem.

    Args:
        slug: its key in `TITLES`.
        detail: what went wrong here, for a person.
        order: the current order, as JSON.
        retry_after: seconds until a retry makes sense.
        url: the address to send the request to.
        settled: the number up to which the client's edits are settled.
        items: the names of the sold-out items.
    """
    status, title = TITLES[slug]
    raw = msgspec.Raw(order) if order is not None else UNSET
    return Problem(_PREFIX + slug, title, status, detail, raw, retry_after, url, settled, items)


def encode_problem(value: Problem) -> bytes:
    """The problem as an `application/problem+json` body."""
    return msgspec.json.encode(value)


def decode_problem(body: bytes) -> Problem | None:
    """Read a problem body; None if it is not one (a proxy's HTML page, say)."""
    try:
        return _decoder(body)
    except msgspec.DecodeError:
        return None
