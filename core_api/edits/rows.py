"""The input of the writing statement: the rows of settled edits. Pure.

A value above `MAX_SHOWN_VALUE_BYTES` is left out of what is shown: its clients fetch it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import EMPTY, canonical
from client_sdk.contract.limits import MAX_SHOWN_VALUE_BYTES
from client_sdk.contract.state.digest import hash_of_content
from client_sdk.contract.state.document import CHANGED, DocumentOperation, EditName
from client_sdk.contract.state.edit import Edit, EditOutcome, OwnEdit
from client_sdk.contract.state.operations import encode_operation
from core_api.documents.basis import OwnResult
from core_api.documents.kept_versions import Head
from core_api.documents.new_version import Version
from core_api.documents.settling import Settlement
from core_api.event_log.lines import one_line
from server_common.kafka_records.events import partition_of_channel

_STAFF: Final = ("team", "device")
"""The kinds of channels that no guest follows."""

KEYFRAME_EVERY: Final = 32
"""The interval of versions stored whole, so that any version needs only a few diffs."""


@dataclass(slots=True)
class PlanRows:
    """The rows of each table, in the order of the statement's arguments."""

    documents: list[tuple[Any, ...]] = field(default_factory=list)
    clients: list[tuple[Any, ...]] = field(default_factory=list)
    history: list[tuple[Any, ...]] = field(default_factory=list)
    outcomes: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    rules: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Before:
    """A document before an edit."""

    head: Head
    content: bytes
    """Its value in the form of RFC 8785; empty: there is none."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who made an edit."""

    subject: str
    client: str
    """Empty: Core itself."""
    role: str

    def shown_in(self, channel: Channel) -> str:
        """The author as every follower of the channel may see it: for guests, only the role."""
        return author_shown(channel, self.subject, self.role)


class _Facts(Struct, frozen=True, omit_defaults=True):
    channel: str
    key: str
    version: int
    schema: int
    updated_at: datetime
    by: str
    edit: EditName | None = None


class _Event(Struct, frozen=True, omit_defaults=True):
    type: str
    occurred_at: datetime
    key: str
    version: int
    operation: DocumentOperation
    schema: int
    by: str
    base: int | None = None
    edit: EditName | None = None
    settled: str | None = None
    metadata: dict[str, Any] | None = None
    diff: msgspec.Raw | UnsetType = UNSET
    data: msgspec.Raw | UnsetType = UNSET


class HistoryEntry(Struct, frozen=True, omit_defaults=True):
    """One entry of a document's history, its diff aside."""

    at: datetime
    """When it was settled, by the database's clock."""
    by: str
    """The subject; guests are told its role only."""
    role: str = ""
    client: str = ""
    """Whose edit it was; left out, with `n`: Core itself ended or migrated the document."""
    n: int = 0
    version: int | None = None
    """The version that it made; None: it was put aside."""
    operation: str | None = None
    base: int | None = None
    made_at: datetime | None = None
    settled: str | None = None
    """The strategy that settled it, if it was concurrent."""
    aside: list[str] = []
    """The JSON Pointers at which something of it was put aside."""
    do: dict[str, Any] | None = None
    """The operation of the edit, if something of it was put aside."""
    metadata: dict[str, Any] | None = None


_NULL: Final = msgspec.Raw(b"null")


def document_row(
    component: int,
    channel: Channel,
    key: str,
    before: int,
    version: Version,
    author: Author,
    now: datetime,
    ends_at: datetime | None,
    edit: EditName | None = None,
) -> tuple[Any, ...]:
    """The row of a document at the newest of its versions.

    Args:
        component: the number of the requests that share documents with each other; they are
            written together or not at all.
        channel: the document's.
        key: the document's.
        before: the version that the statement must find.
        version: the newest one.
        author: who made it.
        now: by the database's clock.
        ends_at: when the document ends by itself; None: never.
        edit: the edit that made the newest version; None: Core itself did.
    """
    facts = _Facts(
        str(channel),
        key,
        version.version,
        version.schema_version,
        now,
        author.shown_in(channel),
        edit,
    )
    return (
        str(channel), key, component, before, version.version, version.schema_version,
        msgspec.json.encode(facts)[:-1].decode(),
        None if version.value is None else one_line(version.content).decode(),
        version.made_at, now, None if version.value is None else ends_at,
    )  # fmt: skip


def event_row(
    component: int,
    channel: Channel,
    edit: Edit,
    before: Before,
    settlement: Settlement,
    version: Version,
    author: Author,
    now: datetime,
    partitions: int,
) -> tuple[Any, ...]:
    """The row of the event of one version, and what it changes of its channel's digest and room.

    Args:
        component, channel, version, author, now: as for `document_row`.
        edit: what made the version.
        before: the document before it.
        settlement: how the edit was settled.
        partitions: how many shards the outbox has.
    """
    content = one_line(version.content)
    diff = one_line(canonical(version.diff))
    event = _Event(
        CHANGED, now, edit.key, version.version, version.operation, version.schema_version,
        author.shown_in(channel), base_version(edit),
        EditName(author.client, edit.n) if author.client else None,
        settlement.strategy, edit.metadata,
        msgspec.Raw(diff) if len(diff) <= MAX_SHOWN_VALUE_BYTES else UNSET,
        _shown(content, version.value is None),
    )  # fmt: skip
    delta = _hash(edit.key, before.head.version, before.content) ^ _hash(
        edit.key, version.version, version.content
    )
    return (
        component, str(channel), edit.key, version.version, now,
        delta,
        (version.value is not None) - (before.head.value is not None),
        shown_bytes(version.content) - shown_bytes(before.content),
        one_line(msgspec.json.encode(event))[1:].decode(),
        partition_of_channel(channel, partitions), channel.store_id,
    )  # fmt: skip


def history_row(
    component: int, edit: Edit, settlement: Settlement, author: Author, now: datetime
) -> tuple[Any, ...]:
    """The row of the history for an edit that made a version, or was put aside.

    Args:
        component, author, now: as for `document_row`.
        edit: what the entry is about.
        settlement: how it was settled.
    """
    made = settlement.made
    entry = HistoryEntry(
        now, author.subject, author.role, author.client, edit.n,
        None if made is None else made.version,
        None if made is None else made.operation,
        base_version(edit), edit.made_at, settlement.strategy, list(settlement.aside),
        encode_operation(edit.do) if settlement.aside else None,
        edit.metadata,
    )  # fmt: skip
    value = None
    if made is not None and made.value is not None and _is_keyframe(made):
        value = made.content.decode()
    head = settlement.head
    return (
        component, edit.channel, edit.key, head.version, author.client, edit.n, made is not None,
        now, now if made is None else made.made_at, msgspec.json.encode(entry).decode(),
        "[]" if made is None else canonical(made.diff).decode(), value, head.schema_version,
    )  # fmt: skip


def outcome_row(
    component: int,
    client: str,
    outcome: EditOutcome,
    request_hash: bytes,
    result: OwnResult | None,
) -> tuple[Any, ...]:
    """The row of the answer that is kept for a repeat, and for edits that are made on this one.

    Args:
        component: as for `document_row`.
        client: whose edit it was.
        outcome: what is answered.
        request_hash: the edit's fingerprint, which a repeat must have.
        result: what an edit made on this one needs of it; None: it was refused.
    """
    return (
        component, client, outcome.n, request_hash, msgspec.json.encode(outcome).decode(),
        None if result is None else msgspec.json.encode(result).decode(),
    )  # fmt: skip


def base_version(edit: Edit) -> int | None:
    """The version that the edit names as its base; None: it names no version (no base, or one of
    the client's own edits)."""
    return None if isinstance(edit.base, OwnEdit) else edit.base


def _is_keyframe(made: Version) -> bool:
    return made.version % KEYFRAME_EVERY == 1 or made.operation == "create"


def _shown(content: bytes, is_deleted: bool) -> msgspec.Raw | UnsetType:
    if is_deleted:
        return _NULL
    return msgspec.Raw(content) if len(content) <= MAX_SHOWN_VALUE_BYTES else UNSET


def author_shown(channel: Channel, subject: str, role: str) -> str:
    """The author as every follower of the channel may see it; the history shows owners more.

    Args:
        channel: where the document stands.
        subject: the author's.
        role: the author's; all that is shown where guests follow the channel.
    """
    return subject if channel.kind in _STAFF else role


def shown_bytes(content: bytes) -> int:
    """The bytes that a snapshot shows of a value; 0: there is none, or it is too large."""
    return len(content) if len(content) <= MAX_SHOWN_VALUE_BYTES else 0


def _hash(key: str, version: int, content: bytes) -> int:
    return hash_of_content(key, version, content) if content else EMPTY
