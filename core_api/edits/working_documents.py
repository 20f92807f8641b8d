"""Documents, and the room left in their channels, while edits are settled on them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import canonical
from client_sdk.contract.state.edit import EditOutcome
from core_api.documents.kept_versions import Head, History, Kept
from core_api.documents.settling import Settlement
from core_api.edits.plan import Known
from core_api.edits.requests import refused
from core_api.edits.rows import shown_bytes
from core_api.edits.what_was_read import DocumentName, Room
from server_common.limits import CHANNEL_DOCUMENT_BYTES, CHANNEL_DOCUMENTS


@dataclass(slots=True)
class WorkingDocument:
    """A document while edits are settled on it."""

    read: Head
    head: Head
    content: bytes
    """The head's value in the form of RFC 8785; empty: there is none."""
    history: History
    row: tuple[Any, ...] | None = None
    """What is to be written of it; None: nothing."""


@dataclass(slots=True)
class Undo:
    """The state before a batch, to go back to."""

    rooms: dict[str, Room]
    documents: dict[DocumentName, tuple[Head, bytes]] = field(default_factory=dict)


class Working:
    """The documents that edits are settled on, and how much their channels hold by now."""

    def __init__(self, known: Known) -> None:
        self._heads = known.state.heads
        self._histories = known.histories
        self._rooms: dict[str, Room] = dict(known.state.rooms)
        self._documents: dict[DocumentName, WorkingDocument] = {}

    @property
    def rows(self) -> Mapping[DocumentName, tuple[Any, ...]]:
        """The documents that are to be written."""
        return {name: one.row for name, one in self._documents.items() if one.row is not None}

    def at(self, name: DocumentName) -> WorkingDocument:
        """The document as it stands by now."""
        document = self._documents.get(name)
        if document is None:
            head = self._heads.get(name, Head())
            history = self._histories.get(name)
            if history is None:
                history = History(
                    [Kept(head.version, head.made_at, [], head.schema_version, head.value)]
                    if head.version and head.made_at
                    else []
                )
            content = b"" if head.value is None else canonical(head.value)
            document = WorkingDocument(head, head, content, history.copy())
            self._documents[name] = document
        return document

    def begin(self) -> Undo:
        """The present state, for `restore` to come back to."""
        return Undo(dict(self._rooms))

    def take(
        self, channel: Channel, name: DocumentName, settlement: Settlement, undo: Undo
    ) -> EditOutcome | None:
        """Replace the document by an edit's result, if its channel has room for it.

        Args:
            channel: the document's.
            name: which document.
            settlement: what became of the edit; one that made no version changes nothing.
            undo: from `begin`; what the document was before is noted in it.

        Returns:
            The refusal of an edit for which there is no room; None: it is taken.
        """
        document, made = self.at(name), settlement.made
        if made is None:
            return None
        room = self._rooms.get(str(channel), Room(0, 0))
        documents = room.documents + (made.value is not None) - (document.head.value is not None)
        growth = shown_bytes(made.content) - shown_bytes(document.content)
        if documents > max(CHANNEL_DOCUMENTS, room.documents):
            return refused(
                settlement.n,
                "too-many-documents",
                f"{channel} has {room.documents} documents, as many as a channel may have",
            )
        if growth > 0 and room.size + growth > CHANNEL_DOCUMENT_BYTES:
            return refused(
                settlement.n,
                "too-many-documents",
                f"the documents of {channel} have {room.size} bytes, and may have "
                f"{CHANNEL_DOCUMENT_BYTES}",
            )
        self._rooms[str(channel)] = Room(documents, room.size + growth)
        undo.documents.setdefault(name, (document.head, document.content))
        document.head, document.content = settlement.head, made.content
        document.history.add(made.kept)
        return None

    def restore(self, undo: Undo) -> None:
        """Go back to when `begin` was called."""
        self._rooms = dict(undo.rooms)
        for name, (head, content) in undo.documents.items():
            document = self._documents[name]
            document.head, document.content = head, content
            document.history = History(
                [kept for kept in document.history.after(-1) if kept.version <= head.version]
            )
