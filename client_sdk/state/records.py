"""The records of the shared state in a store, as plain values. Pure.

The pure modules return `Write`s; a store does those of one batch in one transaction, or none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from client_sdk.contract.state.document import Document
from client_sdk.contract.state.edit import Conflict, EditOutcome, decode_edit, decode_outcome
from client_sdk.contract.state.values import Value
from client_sdk.state.entries import DocumentName, Entry


class OpenConflict(Struct, frozen=True):
    """A conflict that a resolver, or a person, has to decide."""

    id: int
    """The id of the refused entry."""
    channel: str
    key: str
    slug: str
    """The problem that the edit was refused with: `edit-conflict` or `edit-outdated`."""
    conflict: Conflict

    @property
    def document(self) -> DocumentName:
        """The channel and key of the document."""
        return self.channel, self.key


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as it is stored."""

    id: int
    client: str
    body: bytes
    group: int
    outcome: bytes | None
    at: int | None
    shown: bool


@dataclass(frozen=True, slots=True)
class PutEntry:
    """Store the entry as it is now."""

    row: EntryRow


@dataclass(frozen=True, slots=True)
class DropEntry:
    """Delete the entry: it is done."""

    id: int


@dataclass(frozen=True, slots=True)
class PutCounters:
    """Store the client id and the next unused numbers."""

    client: str
    next_n: int
    next_id: int
    epoch: str | None


@dataclass(frozen=True, slots=True)
class PutDocument:
    """Store the document, to be shown after a restart without a network."""

    document: Document


@dataclass(frozen=True, slots=True)
class DropDocument:
    """Delete the document."""

    channel: str
    key: str


@dataclass(frozen=True, slots=True)
class DropDocuments:
    """Delete all documents, including those of channels that are not followed now: their log is
    gone."""


@dataclass(frozen=True, slots=True)
class PutWaiting:
    """Store the conflict until it is decided."""

    waiting: OpenConflict


@dataclass(frozen=True, slots=True)
class DropWaiting:
    """Delete the conflict: it is decided."""

    id: int


@dataclass(frozen=True, slots=True)
class PutCommand:
    """Store the order command as it is now."""

    id: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DropCommand:
    """Delete the command: it is answered."""

    id: int


@dataclass(frozen=True, slots=True)
class PutPrivate:
    """Store a document that never leaves the device; None: delete it."""

    key: str
    version: int
    value: Value | None


Write = (
    PutEntry
    | DropEntry
    | PutCounters
    | PutDocument
    | DropDocument
    | DropDocuments
    | PutWaiting
    | DropWaiting
    | PutCommand
    | DropCommand
    | PutPrivate
)


@dataclass(slots=True)
class Stored:
    """All records of one subject."""

    counters: PutCounters | None = None
    entries: list[EntryRow] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    waiting: list[OpenConflict] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    """In order."""
    private: dict[str, tuple[int, Value | None]] = field(default_factory=dict)


_encoder: Final = msgspec.json.Encoder()


def row_of(entry: Entry) -> EntryRow:
    """The entry as a row of the store."""
    outcome = None if entry.outcome is None else _encoder.encode(entry.outcome)
    return EntryRow(entry.id, entry.client, entry.body, entry.group, outcome, entry.at, entry.shown)


def entry_of(row: EntryRow) -> Entry:
    """The entry of a stored row.

    Raises:
        msgspec.DecodeError, StateError: it is damaged.
    """
    outcome: EditOutcome | None = None if row.outcome is None else decode_outcome(row.outcome)
    edit = decode_edit(row.body)
    return Entry(row.id, row.client, edit, row.body, row.group, outcome, row.at, row.shown)
