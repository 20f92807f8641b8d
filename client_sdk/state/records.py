"""What a store keeps of the shared state, as plain values. Pure.

The modules that decide put out `Write`s; a store carries out those of one moment in one
transaction, or none.
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
    """The entry that it came of."""
    channel: str
    key: str
    slug: str
    """The problem that the edit was refused with: `edit-conflict` or `edit-outdated`."""
    conflict: Conflict

    @property
    def document(self) -> DocumentName:
        """The document that it is about."""
        return self.channel, self.key


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as it is kept."""

    id: int
    client: str
    body: bytes
    group: int
    outcome: bytes | None
    at: int | None
    shown: bool


@dataclass(frozen=True, slots=True)
class PutEntry:
    """Keep the entry as it is now."""

    row: EntryRow


@dataclass(frozen=True, slots=True)
class DropEntry:
    """The entry is done."""

    id: int


@dataclass(frozen=True, slots=True)
class PutCounters:
    """Keep the client id and what it has used up."""

    client: str
    next_n: int
    next_id: int
    epoch: str | None


@dataclass(frozen=True, slots=True)
class PutDocument:
    """Remember the document, to be shown after a start without a network."""

    document: Document


@dataclass(frozen=True, slots=True)
class DropDocument:
    """The document is gone."""

    channel: str
    key: str


@dataclass(frozen=True, slots=True)
class DropDocuments:
    """All that is remembered of documents is of another log, also of channels that are not followed
    now."""


@dataclass(frozen=True, slots=True)
class PutWaiting:
    """Keep the conflict until it is decided."""

    waiting: OpenConflict


@dataclass(frozen=True, slots=True)
class DropWaiting:
    """The conflict is decided."""

    id: int


@dataclass(frozen=True, slots=True)
class PutCommand:
    """Keep the command to an order as it is now."""

    id: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DropCommand:
    """The command is answered."""

    id: int


@dataclass(frozen=True, slots=True)
class PutPrivate:
    """Keep the value of a document that never leaves the device; None: it is deleted."""

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
    """All that a store has of one subject."""

    counters: PutCounters | None = None
    entries: list[EntryRow] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    waiting: list[OpenConflict] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    """In order."""
    private: dict[str, tuple[int, Value | None]] = field(default_factory=dict)


_encoder: Final = msgspec.json.Encoder()


def row_of(entry: Entry) -> EntryRow:
    """The entry as it is kept."""
    outcome = None if entry.outcome is None else _encoder.encode(entry.outcome)
    return EntryRow(entry.id, entry.client, entry.body, entry.group, outcome, entry.at, entry.shown)


def entry_of(row: EntryRow) -> Entry:
    """The entry that was kept.

    Raises:
        msgspec.DecodeError, StateError: it is damaged.
    """
    outcome: EditOutcome | None = None if row.outcome is None else decode_outcome(row.outcome)
    edit = decode_edit(row.body)
    return Entry(row.id, row.client, edit, row.body, row.group, outcome, row.at, row.shown)
