"""Subscriptions of owners' browsers as the API takes and shows them. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from server_common.limits import PUSH_ENDPOINT_BYTES

KEPT_S: Final = 30 * 86_400.0
"""A page says again at each start that its browser is to be told; after so long it is forgotten."""
LATE_AFTER_S: Final = 300.0
"""A browser's push service is late once it has failed for so long."""
Language = Literal["ko", "en"]


class Subscribe(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/stores/{id}/pushes/{device}`, as a browser's PushSubscription has it."""

    endpoint: Annotated[str, Meta(min_length=1, max_length=PUSH_ENDPOINT_BYTES)]
    """Where its push service takes messages for it."""
    p256dh: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{87}=?$(?!\n)")]
    """Its public key on the curve P-256, in base64url."""
    auth: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}(==)?$(?!\n)")]
    """What else only it and its page know: 16 bytes, in base64url."""
    language: Language = "en"


class Push(Struct, frozen=True):
    """A subscription as it is shown: never where it leads, nor its keys."""

    device: str
    service: str
    """The host of its push service."""
    subject: str
    """Of the token with which it was made."""
    language: Language
    renewed_at: datetime
    pushed_at: datetime | None
    """When its push service has taken a message last."""
    failing_since: datetime | None
    failure: str | None
    """What the last attempt has come to."""


class Pushes(Struct, frozen=True):
    """The answer of `GET /v1/stores/{id}/pushes`."""

    pushes: list[Push]


class GuestPush(Struct, frozen=True):
    """A guest's phone as it is shown to who owns the store: never where it leads, nor its keys."""

    table: str
    device: str
    service: str
    """The host of its push service."""
    language: Language
    renewed_at: datetime
    failing_since: datetime | None
    failure: str | None
    """What the last attempt has come to."""


class GuestPushes(Struct, frozen=True):
    """The answer of `GET /v1/stores/{id}/guest-pushes`."""

    pushes: list[GuestPush]


class PushKey(Struct, frozen=True):
    """The answer of `GET /v1/push`."""

    key: str
    """What a browser subscribes with: the public key of this installation, in base64url."""


class Standing(Struct, frozen=True):
    """How all subscriptions stand."""

    subscriptions: int
    late: int
    """Their push service has failed for more than `LATE_AFTER_S`."""
