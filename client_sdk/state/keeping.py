"""What a replica stores on disk, as writes for its store. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from client_sdk.state.documents import Documents
from client_sdk.state.entries import DocumentName, Entry
from client_sdk.state.queue import EditQueue
from client_sdk.state.records import (
    DropDocument,
    DropDocuments,
    PutCounters,
    PutDocument,
    PutEntry,
    Write,
    row_of,
)


def entry_kept(entry: Entry) -> PutEntry:
    """The write that stores the edit as it is now."""
    return PutEntry(row_of(entry))


def counters_kept(queue: EditQueue, prepared: int = 0) -> PutCounters:
    """The write that stores the queue's counters.

    Args:
        queue: has the client id, the next number and place, and the epoch.
        prepared: how many more edits are about to be accepted.
    """
    return PutCounters(queue.client, queue.next_n + prepared, queue.next_id + prepared, queue.epoch)


def prepared_kept(queue: EditQueue, entries: Sequence[Entry]) -> list[Write]:
    """The writes that must be stored before the edits are accepted."""
    return [*(entry_kept(entry) for entry in entries), counters_kept(queue, len(entries))]


def document_kept(documents: Documents, name: DocumentName) -> list[Write]:
    """The writes that store the document as shown; none if its version is not known."""
    document = documents.get(name[1])
    if document is None or document.value is None:
        return [DropDocument(*name)]
    return [PutDocument(document)] if document.version else []


def log_kept(channels: Mapping[str, Documents], log: str) -> list[Write]:
    """Delete the stored documents of other epochs, which a restart would take for this epoch's.

    Args:
        channels: the documents of each channel that the client follows.
        log: the epoch to keep.
    """
    writes: list[Write] = [DropDocuments()]
    for channel, documents in channels.items():
        if documents.epoch == log:
            for document in documents.all:
                writes += document_kept(documents, (channel, document.key))
    return writes
