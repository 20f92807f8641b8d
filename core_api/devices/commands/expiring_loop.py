"""The loop that lets unanswered commands expire, by the database's clock. The rule is
`lifecycle.py:expire_one`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core_api.devices.commands.lifecycle import ExpiringError, expire_one
from core_api.errors import ConflictError, UnavailableError
from core_api.postgres.patience import despite_locks, keep_looking
from core_api.system_edits.document_access import DocumentAccess
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.devices.metrics import CommandMetrics

_log = get_logger()

EVERY_S: Final = 1.0


class Expiring:
    """Lets commands expire; any number of processes may do so side by side.

    Args:
        documents: those that it changes.
        metrics: where the counts go.
    """

    def __init__(
        self,
        documents: DocumentAccess,
        metrics: CommandMetrics,
    ) -> None:
        self._documents = documents
        self._metrics = metrics

    async def run(self) -> None:
        """Look every second, for ever."""
        absent = (ConflictError, UnavailableError)
        await keep_looking(self.round, EVERY_S, "expiring_commands_failed", absent)

    async def round(self) -> int:
        """Let all overdue commands expire. Returns how many did.

        One that fails is left for the next round, and does not stop the others.

        Raises:
            ConflictError, UnavailableError: Postgres does not answer, or a lock is held for long.
        """
        total, failed = 0, list[str]()
        while True:
            try:
                done = await despite_locks(lambda: expire_one(self._documents, failed))
            except ExpiringError as error:
                failed.append(error.name)
                self._metrics.stuck.inc()
                _log.error("command_not_expired", command=error.name, exc_info=error.__cause__)
                continue
            if done is None:
                return total
            total += 1
            self._documents.committed(done.channels)
            self._metrics.expired.inc()
            _log.warning("command_expired", command=done.name)
