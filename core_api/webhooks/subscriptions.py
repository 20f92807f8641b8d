"""Subscriptions as the API takes and shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from client_sdk.contract.order import EventType
from client_sdk.contract.text import ID_PATTERN, whole
from core_api.errors import InvalidError
from server_common.limits import WEBHOOK_STORES, WEBHOOK_TYPES, WEBHOOK_URL_BYTES

LATE_AFTER_S: Final = 300.0
"""A webhook counts as late once its receiver has failed for so many seconds."""
WebhookState = Literal["active", "disabled", "ended"]
"""`ended`: its receiver has answered 410."""
LaneState = Literal["current", "late", "parked"]

StoreId = Annotated[str, Meta(pattern=whole(ID_PATTERN))]


class AddWebhook(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/webhooks`. It begins with the next event."""

    url: Annotated[str, Meta(min_length=1, max_length=WEBHOOK_URL_BYTES)]
    stores: Annotated[list[StoreId], Meta(min_length=1, max_length=WEBHOOK_STORES)]
    types: Annotated[list[EventType], Meta(max_length=WEBHOOK_TYPES)] = []
    """Which events; empty: all."""


class SetState(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/webhooks/{webhook}/state`."""

    state: Literal["active", "disabled"]
    """`active` also resumes the stores that are parked."""


class Replay(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/webhooks/{webhook}/replays`."""

    cursor: Annotated[str, Meta(min_length=1, max_length=16_384)]
    """Events after it are sent again: `store:12@480`, or several, joined by commas."""


class Lane(Struct, frozen=True):
    """The progress of one store."""

    store_id: str
    seq: int
    """The last event that needs no sending."""
    head: int
    """The newest event of the store."""
    state: LaneState
    failing_since: datetime | None
    failure: str | None
    """The outcome of the last attempt."""
    next_try_at: datetime | None
    """null: nothing is known to be wrong, or it is parked."""
    delivered_at: datetime | None


class SetAside(Struct, frozen=True):
    """An event that the receiver refused for an hour while it took others."""

    event: str
    epoch: str
    failure: str
    at: datetime


class Webhook(Struct, frozen=True):
    """A subscription as it is shown."""

    id: str
    url: str
    stores: list[str]
    types: list[str]
    state: WebhookState
    made_by: str
    made_at: datetime
    late: int
    """How many of its stores fail now."""
    parked: int
    """How many of its stores are parked."""
    set_aside: int
    """How many events were left out."""
    old_secret_until: datetime | None
    """Until when an older secret still signs; null: none does."""
    lanes: list[Lane] | UnsetType = UNSET
    """Only in the answer for a single webhook."""
    events_set_aside: list[SetAside] | UnsetType = UNSET
    """As well."""


class Standing(Struct, frozen=True):
    """The state of all webhooks."""

    active: int
    late: int
    """Their receiver has failed for more than `LATE_AFTER_S`."""
    parked: int
    """At least one of their stores is parked until a person resumes it."""
    waiting_s: float
    """Age of the oldest event that waits although its receiver does not fail."""
    set_aside: int
    """Events that were left out."""


class NewSecret(Struct, frozen=True):
    """The answer of an operation that makes a secret, which is shown only once."""

    secret: str
    """`whsec_…`, as the Standard Webhooks libraries take it."""
    webhook: Webhook


class Webhooks(Struct, frozen=True):
    """The answer of `GET /v1/webhooks`."""

    webhooks: list[Webhook]


def distinct(values: Iterable[str], field: str) -> list[str]:
    """The values, sorted.

    Raises:
        InvalidError: one comes twice.
    """
    found = sorted(values)
    if len(set(found)) != len(found):
        raise InvalidError(f"`{field}` names something twice")
    return found
