"""Subscriptions of owners' browsers as the API takes and shows them. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from client_sdk.contract.text import base64url_pattern, whole
from server_common.limits import PUSH_ENDPOINT_BYTES

KEPT_S: Final = 30 * 86_400.0
"""A page renews its subscription at each start; else it expires after so many seconds."""
LATE_AFTER_S: Final = 300.0
"""A browser's push service counts as late after failing for so many seconds."""
Language = Literal["ko", "en"]


class Subscribe(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/stores/{id}/pushes/{device}`, as a browser's PushSubscription has it."""

    endpoint: Annotated[str, Meta(min_length=1, max_length=PUSH_ENDPOINT_BYTES)]
    """The URL of its push service that takes its messages."""
    p256dh: Annotated[str, Meta(pattern=whole(base64url_pattern(87, 1)))]
    """Its public key on the curve P-256, in base64url."""
    auth: Annotated[str, Meta(pattern=whole(base64url_pattern(22, 2)))]
    """Its secret, which only it and its page know: 16 bytes, in base64url."""
    language: Language = "en"


class Push(Struct, frozen=True):
    """A subscription as the API shows it: without its endpoint and keys."""

    device: str
    service: str
    """The host of its push service."""
    subject: str
    """Of the token with which it was made."""
    language: Language
    renewed_at: datetime
    pushed_at: datetime | None
    """When its push service last took a message."""
    failing_since: datetime | None
    failure: str | None
    """What the last attempt has come to."""


class Pushes(Struct, frozen=True):
    """The answer of `GET /v1/stores/{id}/pushes`."""

    pushes: list[Push]


class GuestPush(Struct, frozen=True):
    """A guest's phone as the API shows it to the store's owner: without its endpoint and keys."""

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
    """The state of all subscriptions."""

    subscriptions: int
    late: int
    """How many have a push service that has failed for more than `LATE_AFTER_S`."""
