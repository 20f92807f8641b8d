"""Expiry of documents: deleted by Core itself, with an event like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from core_api.documents.new_version import ended
from core_api.edits.lifetimes import still_ends
from core_api.edits.reading import Connection
from core_api.errors import LockedError, UnavailableError, UnreadableRowError
from core_api.postgres.pool import mapped_errors, transaction
from core_api.system_edits.changes import SystemEdit
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.locked_rows import LockedRow, due_names, lock_due
from core_api.system_edits.writing import write_system_edits
from server_common.logs import get_logger

if TYPE_CHECKING:
    from datetime import datetime


_log = get_logger()

EVERY_S: Final = 1.0
_BATCH: Final = 50

_MOVE: Final = """
UPDATE documents d SET ends_at = m.ends_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS m(channel, key, ends_at)
WHERE d.channel = m.channel AND d.key = m.key
"""


class Ending:
    """Deletes expired documents; any number of processes may do so side by side.

    Args:
        documents: those that it changes.
        ended: called with how many documents have ended.
        failed: called for each document that could not be ended.
    """

    def __init__(
        self,
        documents: DocumentAccess,
        ended: Callable[[int], None] = lambda _count: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._documents = documents
        self._ended = ended
        self._failed = failed

    async def run(self) -> None:
        """End what is due, every second, for ever."""
        while True:
            try:
                await self.round()
            except UnavailableError as error:
                _log.warning("ending_documents_failed", reason=str(error))
                self._failed()
            await asyncio.sleep(EVERY_S)

    async def round(self, batch: int = _BATCH) -> int:
        """Delete all expired documents, `batch` at a time. Returns how many.

        One that fails is left for the next round, and does not stop the others.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        total, later = 0, set[str]()
        limit = batch
        while True:
            seen: list[LockedRow] = []
            try:
                count = await self._end_some(later, limit, seen)
            except Exception as error:
                if _is_absent(error):
                    raise
                # The faulty one is found by deleting each separately.
                names = await self._names(later, limit, seen)
                if not names:
                    raise
                if limit == 1:
                    channel, key = names[0]
                    later.add(f"{channel} {key}")
                    self._tell(channel, key, error)
                limit = 1
                continue
            if not seen:
                return total
            total += count

    async def _names(
        self, but: Collection[str], limit: int, seen: Sequence[LockedRow]
    ) -> list[tuple[str, str]]:
        """The channels and keys of the documents that were to be ended."""
        if seen:
            return [(row.channel, row.key) for row in seen]
        with mapped_errors():
            return await due_names(self._documents.pool, sorted(but), limit)

    async def _end_some(self, but: Collection[str], limit: int, seen: list[LockedRow]) -> int:
        """Delete some documents; locked ones are added to `seen`, even after an error."""
        async with transaction(self._documents.pool, isolation="read_committed") as connection:
            seen += await lock_due(connection, sorted(but), limit)
            if not seen:
                return 0
            edits = await self._write(connection, seen)
        channels = sorted({str(edit.channel) for edit in edits})
        if channels:
            self._documents.committed(channels)
            self._ended(len(edits))
            _log.info("documents_ended", documents=len(edits), channels=len(channels))
        return len(edits)

    async def _write(self, connection: Connection, due: Sequence[LockedRow]) -> list[SystemEdit]:
        now = due[0].now
        edits: list[SystemEdit] = []
        moved: list[tuple[str, str, datetime | None]] = []
        for row in due:
            channel, head = row.place(), row.head()
            ends_at = still_ends(self._documents.rules.definitions.of(channel.kind, row.key), now)
            if head.value is None:
                moved.append((row.channel, row.key, None))
            elif ends_at is None or ends_at > now:
                moved.append((row.channel, row.key, ends_at))
            else:
                edits.append(SystemEdit(channel, row.key, head, ended(head, now)))
        if moved:
            await connection.fetch(_MOVE, *(list(column) for column in zip(*moved, strict=True)))
        if edits:
            await write_system_edits(connection, edits, now, self._documents.rules)
        return edits

    def _tell(self, channel: str, key: str, error: Exception) -> None:
        self._failed()
        _log.error("document_not_ended", channel=channel, key=key, exc_info=error)


def _is_absent(error: Exception) -> bool:
    """Whether the database has failed, and not one of the documents."""
    return isinstance(error, UnavailableError) and not isinstance(
        error, LockedError | UnreadableRowError
    )
