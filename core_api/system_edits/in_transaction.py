"""Changes of documents that Core makes in a transaction of its caller's: an event and a version
each, as of any edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import canonical
from client_sdk.contract.state.values import Value
from core_api.documents.kept_versions import Head
from core_api.documents.new_version import Version, ended, next_version
from core_api.edits.plan import Rules
from core_api.edits.reading import Connection, read_state
from core_api.edits.rows import shown_bytes
from core_api.edits.what_was_read import KnownState, Room
from core_api.edits.writing import ensure_rows
from core_api.errors import ConflictError, TooManyDocumentsError
from core_api.system_edits.changes import SystemEdit
from core_api.system_edits.writing import write_system_edits
from server_common.limits import CHANNEL_DOCUMENT_BYTES, CHANNEL_DOCUMENTS

# Sorted, as every writer locks them.
_LOCK: Final = """
SELECT d.channel FROM documents d
     JOIN unnest($1::text[], $2::text[]) AS q(channel, key)
          ON q.channel = d.channel AND q.key = d.key
ORDER BY d.channel, d.key FOR NO KEY UPDATE OF d
"""


@dataclass(frozen=True, slots=True)
class SystemChange:
    """The change of one document."""

    channel: Channel
    key: str
    value: Callable[[Value | None, datetime], Value | None]
    """Computes the new value from the present one and the database's time; None: delete it."""
    ends_at: datetime | None = None


async def change_documents(
    connection: Connection, changes: Sequence[SystemChange], rules: Rules
) -> list[str]:
    """Write these changes, each of another document. Their rows stay locked until the transaction
    of the connection ends.

    Args:
        connection: with a transaction.
        changes: each of another document, for which there is a definition.
        rules: what holds for all edits.

    Returns:
        The channels that got an event.

    Raises:
        RefusedEditError: no document may have the value.
        TooManyDocumentsError: the channel has no room for it.
        ConflictError: a document has changed while its row was locked.
        UnavailableError: Postgres does not answer, or somebody holds a lock.
    """
    places = sorted((str(change.channel), change.key) for change in changes)
    if not places:
        return []
    await ensure_rows(connection, places, [])
    await connection.fetch(_LOCK, *map(list, zip(*places, strict=True)))
    state = await read_state(connection, places, [])
    edits = _edits(changes, state, rules)
    if edits and await write_system_edits(connection, edits, state.now, rules) < len(edits):
        raise ConflictError("a document has changed while it was locked")
    return sorted({str(edit.channel) for edit in edits})


def _edits(changes: Sequence[SystemChange], state: KnownState, rules: Rules) -> list[SystemEdit]:
    rooms = dict(state.rooms)
    edits = []
    for change in changes:
        name = str(change.channel)
        head = state.heads.get((name, change.key), Head())
        made = _version(change, head, state.now, rules)
        if made is None:
            continue
        rooms[name] = _taken(name, rooms.get(name, Room(0, 0)), head, made)
        edits.append(SystemEdit(change.channel, change.key, head, made, change.ends_at))
    return edits


def _version(change: SystemChange, head: Head, now: datetime, rules: Rules) -> Version | None:
    definition = rules.definitions.of(change.channel.kind, change.key)
    assert definition is not None, change.key  # noqa: S101 - Core names what it defines itself
    current = definition.migrate(head.value, head.schema_version)
    value = change.value(current, now)
    if value is None:
        return None if head.value is None else ended(head, now)
    return next_version(head, current, value, definition, now)


def _taken(name: str, room: Room, head: Head, made: Version) -> Room:
    more = (made.value is not None) - (head.value is not None)
    before = b"" if head.value is None else canonical(head.value)
    growth = shown_bytes(made.content) - shown_bytes(before)
    if (more > 0 and room.documents >= CHANNEL_DOCUMENTS) or (
        growth > 0 and room.size + growth > CHANNEL_DOCUMENT_BYTES
    ):
        raise TooManyDocumentsError(f"{name} has as many documents as a channel may have")
    return Room(room.documents + more, room.size + growth)
