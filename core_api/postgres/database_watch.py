"""Whether the database is there, for processes that else notice only when they have work for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from core_api.errors import UnavailableError
from server_common.logs import get_logger

_log = get_logger()

TASK: Final = "database"
"""Its name in the metrics."""
LOOK_EVERY_S: Final = 1.0


class DatabaseWatch:
    """Looks again and again; its process is not ready while the database is absent.

    Args:
        check: raises `UnavailableError` while the database does not answer, takes no writes, or is
            not migrated (`pool.py:check_database`).
    """

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        self._check = check
        self.trouble: str | None = "the database was not asked yet"
        """Why it counts as absent; None: it is there."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self._check()
            except UnavailableError as error:
                if self.trouble != str(error):
                    _log.warning("database_absent", reason=str(error))
                self.trouble = str(error)
            else:
                self.trouble = None
            await asyncio.sleep(LOOK_EVERY_S)
