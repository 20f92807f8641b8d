"""Whether a printer is online, and its faults: its document `status`.

A printer reports through its holder: its agent, or its own polls. It is offline once it has no
holder.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from client_sdk.contract.channel import Channel
from client_sdk.contract.json_decoding import decode_any
from client_sdk.contract.state.values import Value
from core_api.documents.devices import STATUS
from core_api.documents.new_version import Version, next_version
from core_api.edits.reading import Connection
from core_api.edits.writing import ensure_rows
from core_api.postgres.patience import keep_looking
from core_api.postgres.pool import mapped_errors, transaction
from core_api.printing.statements import lock_document, read_value, take_silent
from core_api.system_edits.changes import SystemEdit
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.locked_rows import LockedRow
from core_api.system_edits.writing import write_system_edits
from server_common.logs import get_logger

_log = get_logger()

EVERY_S: Final = 5.0
_AT_ONCE: Final = 50


class PrinterPresence:
    """Writes the status of printers.

    Args:
        documents: those that it changes.
    """

    def __init__(self, documents: DocumentAccess) -> None:
        self._documents = documents

    async def heard(self, printer: Channel, connection: str, troubles: Sequence[str]) -> None:
        """Store that the printer is online, who reported it, and its faults.

        Args:
            printer: its channel.
            connection: who reports for it: the name of its holder.
            troubles: what needs a person, such as an empty paper roll.

        Raises:
            UnavailableError: Postgres does not answer, or somebody holds a lock.
        """
        said = {"online": True, "connection": connection, "troubles": list(troubles)}
        with mapped_errors():
            known = await read_value(self._documents.pool, str(printer), STATUS.key)
            if known is not None and _says(decode_any(known), said):
                return
        await self._write(printer, said)

    async def gone(self, printer: Channel, connection: str) -> None:
        """Store that the printer's holder has released it; raises as `heard`."""
        await self._write(printer, {"online": False}, connection)

    async def run(self) -> None:
        """Find silent printers periodically, until cancelled."""
        await keep_looking(self.round, EVERY_S, "finding_silent_printers_failed")

    async def round(self) -> int:
        """Mark all printers without a holder as offline. Returns how many.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        count = 0
        while True:
            async with transaction(self._documents.pool, isolation="read_committed") as connection:
                found, silent = await take_silent(connection, _AT_ONCE)
                printers = [Channel("device", store, device) for store, device in silent]
                changed = await self._set(connection, printers, {"online": False}, None)
            if not found:
                return count
            if not silent:
                continue
            count += len(silent)
            self._documents.committed(changed)
            _log.warning("printers_silent", printers=[str(printer) for printer in printers])

    async def _write(
        self, printer: Channel, said: dict[str, Any], only_of: str | None = None
    ) -> None:
        async with transaction(self._documents.pool, isolation="read_committed") as connection:
            changed = await self._set(connection, [printer], said, only_of)
        if changed:
            self._documents.committed(changed)

    async def _set(
        self,
        connection: Connection,
        printers: Sequence[Channel],
        said: dict[str, Any],
        only_of: str | None,
    ) -> list[str]:
        """Write the documents that differ. Returns the channels that got an event.

        Args:
            connection: with a transaction.
            printers: the printers.
            said: the known fields.
            only_of: change only documents last reported by this connection; None: change any.
        """
        ordered = sorted(printers, key=str)
        await ensure_rows(connection, [(str(printer), STATUS.key) for printer in ordered], [])
        now, edits = datetime.min, list[SystemEdit]()
        for printer in ordered:
            row = await lock_document(connection, str(printer), STATUS.key)
            made = None if row is None else _version(row, said, only_of)
            if row is not None and made is not None:
                now = row.now
                edits.append(SystemEdit(printer, STATUS.key, row.head(), made))
        if not edits:
            return []
        await write_system_edits(connection, edits, now, self._documents.rules)
        return [str(edit.channel) for edit in edits]


def _version(row: LockedRow, said: dict[str, Any], only_of: str | None) -> Version | None:
    """The document's next version; None: it does not change."""
    head = row.head()
    if _says(head.value, said):
        return None
    if only_of is not None and (head.value or {}).get("connection") != only_of:
        return None
    return next_version(head, head.value, _status(head.value, said, row.now), STATUS, row.now)


def _says(value: Value | None, said: dict[str, Any]) -> bool:
    return value is not None and all(value.get(name) == what for name, what in said.items())


def _status(before: Value | None, said: dict[str, Any], now: datetime) -> Value:
    known = before or {"online": False, "connection": "", "firmware": "", "troubles": []}
    return {**known, **said, "at": now.isoformat()}
