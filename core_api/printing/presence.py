"""Whether a printer is there, and what troubles it: its document `status`.

A printer is heard of by whoever holds it: its agent, or its own polls. It is offline once nobody
holds it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from client_sdk.contract.channel import Channel
from client_sdk.contract.state.values import Value
from core_api.documents.devices import STATUS
from core_api.documents.kept_versions import Head
from core_api.documents.new_version import next_version
from core_api.edits.plan import Rules
from core_api.edits.reading import Connection
from core_api.edits.writing import ensure_rows
from core_api.errors import UnavailableError
from core_api.postgres.pool import Pool, mapped_errors
from core_api.printing.statements import lock_document, read_value, take_silent
from core_api.system_edits.changes import SystemEdit
from core_api.system_edits.writing import write_system_edits

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_log: FilteringBoundLogger = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
_AT_ONCE: Final = 50


class PrinterPresence:
    """Writes what printers say of themselves.

    Args:
        pool: the database, by connections that wait for a lock shortly only.
        rules: what holds for all edits.
        committed: called after each commit with the channels that got an event.
    """

    def __init__(
        self, pool: Pool, rules: Rules, committed: Callable[[Sequence[str]], None]
    ) -> None:
        self._pool = pool
        self._rules = rules
        self._committed = committed

    async def heard(self, printer: Channel, connection: str, troubles: Sequence[str]) -> None:
        """Note that the printer is there, by whom it says so, and what troubles it.

        Raises:
            UnavailableError: Postgres does not answer, or somebody holds a lock.
        """
        said = {"online": True, "connection": connection, "troubles": list(troubles)}
        with mapped_errors():
            known = await read_value(self._pool, str(printer), STATUS.key)
            if known is not None and _says(msgspec.json.decode(known), said):
                return
        await self._write(printer, said)

    async def gone(self, printer: Channel, connection: str) -> None:
        """Note that who held the printer has let go of it; raises as `heard`."""
        await self._write(printer, {"online": False}, connection)

    async def run(self) -> None:
        """Find out which printers are silent, for ever."""
        while True:
            try:
                await self.round()
            except UnavailableError as error:
                _log.warning("finding_silent_printers_failed", reason=str(error))
            await asyncio.sleep(EVERY_S)

    async def round(self) -> int:
        """Note of all printers that nobody holds any more that they are offline. Returns how many.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        count = 0
        while True:
            with mapped_errors():
                async with (
                    self._pool.acquire() as connection,
                    connection.transaction(isolation="read_committed"),
                ):
                    found, silent = await take_silent(connection, _AT_ONCE)
                    channels = [Channel("device", store, device) for store, device in silent]
                    for channel in channels:
                        await self._set(connection, channel, {"online": False}, None)
            if not found:
                return count
            if not silent:
                continue
            count += len(silent)
            self._committed([str(channel) for channel in channels])
            _log.warning("printers_silent", printers=[str(channel) for channel in channels])

    async def _write(
        self, printer: Channel, said: dict[str, Any], only_of: str | None = None
    ) -> None:
        with mapped_errors():
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="read_committed"),
            ):
                has_changed = await self._set(connection, printer, said, only_of)
        if has_changed:
            self._committed([str(printer)])

    async def _set(
        self, connection: Connection, printer: Channel, said: dict[str, Any], only_of: str | None
    ) -> bool:
        """Write the document if it says something else; whether it did.

        Args:
            connection: with a transaction.
            printer: the printer.
            said: the fields that are known.
            only_of: leave it if another connection has said what it says; None: whoever it was.
        """
        await ensure_rows(connection, [(str(printer), STATUS.key)], [])
        row = await lock_document(connection, str(printer), STATUS.key)
        head = Head() if row is None else row.head()
        if row is None or _says(head.value, said):
            return False
        if only_of is not None and (head.value or {}).get("connection") != only_of:
            return False
        value = _status(head.value, said, row.now)
        made = next_version(head, head.value, value, STATUS, row.now)
        if made is None:
            return False
        edit = SystemEdit(printer, STATUS.key, head, made)
        return await write_system_edits(connection, [edit], row.now, self._rules) == 1


def _says(value: Value | None, said: dict[str, Any]) -> bool:
    return value is not None and all(value.get(name) == what for name, what in said.items())


def _status(before: Value | None, said: dict[str, Any], now: datetime) -> Value:
    known = before or {"online": False, "connection": "", "firmware": "", "troubles": []}
    return {**known, **said, "at": now.isoformat()}
