"""Commands from producers that speak Kafka: what a record of `orders.inbound` must look like. Pure.

The value is JSON in UTF-8, at most 64 KiB, and says the same as a request over HTTP would:

    {"command": "place", "idempotency_key": "…", "subject": "pos-7", "body": {…}}
    {"command": "transition", "idempotency_key": "…", "subject": "pos-7", "order_id": "…",
     "if_match": 3, "if_updated_at": "2026-11-22T09:30:00.123456Z",
     "body": {"to": "cancelled", "reason": "…"}}
    {"command": "change", "idempotency_key": "…", "subject": "pos-7", "order_id": "…", "body": {…}}

`body` is the body of the HTTP request of that name, `if_match` (optional) the version that the
order must have, and `if_updated_at` (optional) the `updated_at`. `idempotency_key` is required,
because Kafka delivers at least once, and counts within `subject`, the producer's name. The record's
key is the store id: commands with the same key are applied in order.

There is no token: Kafka's access rules say who may write to the topic. A writer counts as a
producer for all stores, with a producer's rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.json_decoding import decode
from client_sdk.contract.text import KEY_PATTERN, whole
from core_api.access.callers import EVERY_STORE, Caller
from core_api.errors import BadRequestError, InvalidError
from core_api.orders.idempotency import Idempotency, parse_key
from core_api.orders.lifecycle import ChangeOrder, PlaceOrder, Seen, Transition
from server_common.limits import COMMAND_BYTES

MAX_COMMAND_BYTES: Final = COMMAND_BYTES
"""The largest value that is parsed, in bytes."""
_MAX_DETAIL_CHARS: Final = 1000

Headers = Sequence[tuple[str, bytes | None]]
_Subject = Annotated[str, Meta(max_length=200, pattern=whole(KEY_PATTERN))]
_Version = Annotated[int, Meta(ge=1)]
_Time = Annotated[datetime, Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class InboundRecord:
    """One Kafka record as it was read."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class UnreadRecords:
    """Unreadable data in Kafka: one record, or a batch of them."""

    topic: str
    partition: int
    first: int
    """The first offset."""
    last: int
    """The last offset."""
    timestamp_ms: int | None
    """The time of the newest record, if it is known."""
    raw: bytes
    """The bytes as the broker keeps them."""


UNREADABLE: Final = "unreadable"
"""The reason of a dead letter that holds `UnreadRecords`."""


class _Command(Struct, frozen=True, forbid_unknown_fields=True, tag_field="command"):
    idempotency_key: str
    subject: _Subject

    @property
    def caller(self) -> Caller:
        """The caller that the command comes from."""
        return Caller(self.subject, "producer", frozenset({EVERY_STORE}))

    @property
    def idempotency(self) -> Idempotency:
        """The key, in the scope of Kafka and the subject: over HTTP the scope is `role:subject`."""
        return Idempotency(f"kafka/{self.subject}", self.idempotency_key)


class PlaceCommand(_Command, frozen=True, tag="place"):
    """Place an order."""

    body: PlaceOrder


class _OrderCommand(_Command, frozen=True, kw_only=True):
    order_id: str
    if_match: _Version | None = None
    if_updated_at: _Time | None = None

    @property
    def seen(self) -> Seen:
        """The version of the order that the command was made on."""
        return Seen(self.if_match, self.if_updated_at)


class TransitionCommand(_OrderCommand, frozen=True, tag="transition"):
    """Take an order one step further."""

    body: Transition


class ChangeCommand(_OrderCommand, frozen=True, tag="change"):
    """Replace an order's items, its note, or both."""

    body: ChangeOrder


InboundCommand = PlaceCommand | TransitionCommand | ChangeCommand

_decoder: Final[msgspec.json.Decoder[InboundCommand]] = msgspec.json.Decoder(InboundCommand)


def decode_command(value: bytes | None) -> InboundCommand:
    """Read a command.

    Raises:
        BadRequestError: too large, not JSON in UTF-8, or without a usable key.
        InvalidError: JSON, but not a command.
    """
    if value is None:
        raise BadRequestError("the record has no value; a command is JSON", "bad-json")
    if len(value) > MAX_COMMAND_BYTES:
        raise BadRequestError(
            f"the command has {len(value)} bytes; at most {MAX_COMMAND_BYTES} are taken",
            "too-large",
        )
    try:
        command = decode(_decoder, value)
    except msgspec.ValidationError as error:
        raise InvalidError(str(error)) from error
    except msgspec.DecodeError as error:
        raise BadRequestError(f"the command is not JSON in UTF-8: {error}", "bad-json") from error
    key = parse_key(command.idempotency_key)
    if key != command.idempotency_key:
        raise BadRequestError("idempotency_key must not have quotes or spaces around it")
    return command


def dead_letter_headers(
    record: InboundRecord, slug: str, detail: str
) -> list[tuple[str, bytes | None]]:
    """The headers of a dead letter: the record's own, then the reason and the origin.

    Ours come last, so that they win in a reader that keeps one value per name.

    Args:
        record: the command as it was read.
        slug: the problem's name.
        detail: what is wrong; a long text is cut.
    """
    return [
        *record.headers,
        ("reason", slug.encode()),
        ("detail", detail[:_MAX_DETAIL_CHARS].encode("utf-8", "replace")),
        ("original_topic", record.topic.encode()),
        ("original_partition", b"%d" % record.partition),
        ("original_offset", b"%d" % record.offset),
        ("original_timestamp_ms", b"%d" % record.timestamp_ms),
    ]


def unread_letter(what: UnreadRecords, detail: str) -> tuple[InboundRecord, Headers]:
    """The dead letter of unreadable data: its bytes, with the reason and the origin as headers.

    It has no key, as the key is somewhere in the bytes.
    """
    record = InboundRecord(
        what.topic, what.partition, what.first, what.timestamp_ms or -1, None, what.raw, ()
    )
    last = ("original_last_offset", b"%d" % what.last)
    return record, [*dead_letter_headers(record, UNREADABLE, detail), last]


def without_value(
    record: InboundRecord, headers: Sequence[tuple[str, bytes | None]]
) -> list[tuple[str, bytes | None]]:
    """The headers of a dead letter that carries neither the record's value nor its headers."""
    ours = list(headers[len(record.headers) :])
    return [*ours, ("value_left_out", b"%d bytes" % len(record.value or b""))]
