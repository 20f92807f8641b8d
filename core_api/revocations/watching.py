"""A Core's copy of the table of revocations: read once, then updated every second."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

from core_api.access.callers import Caller
from core_api.errors import UnauthorizedError, UnavailableError
from core_api.postgres.pool import Pool
from core_api.revocations.statements import PAGE, newest_id, read_after
from server_common.logs import get_logger
from server_common.revocations.holders import Holder, Revocations

_log = get_logger()

LOOK_EVERY_S: Final = 1.0
_ANSWER_WITHIN_S: Final = 2.0
_KEPT_LONGER_S: Final = 3600.0
"""The database's clock and this machine's may differ."""


class Revoked:
    """Knows which callers are signed out.

    Args:
        pool: the database.
        now: seconds since the Unix epoch.
        clock: seconds that only go forward.
    """

    def __init__(self, pool: Pool, now: Callable[[], float], clock: Callable[[], float]) -> None:
        self._pool = pool
        self._now = now
        self._clock = clock
        self._list = Revocations()
        self._newest = 0
        self._looking = asyncio.Lock()
        self._looked_at: float | None = None
        self._made_at = clock()
        self._why_not = "this process has just started"
        """Why the table has not been read, in words for clients."""

    @property
    def age_s(self) -> float:
        """The age of the last read, in seconds."""
        since = self._made_at if self._looked_at is None else self._looked_at
        return self._clock() - since

    @property
    def is_read(self) -> bool:
        """Whether the table has been read at all."""
        return self._looked_at is not None

    @property
    def newest(self) -> int:
        """The id of the newest row that was read; 0: there is none."""
        return self._newest

    def covers(self, holder: Holder) -> bool:
        """Whether the holder of a token is signed out, by the rows read so far."""
        return self._list.cover(holder)

    def check(self, caller: Caller) -> None:
        """Check that the caller has not been signed out.

        Raises:
            UnauthorizedError: the caller was signed out.
            UnavailableError: the table was never read. Then only ops are admitted, to find the
                fault.
        """
        if self._looked_at is None and caller.role != "ops":
            raise UnavailableError("the revoked tokens have not been read", self._why_not)
        if self.covers(caller.holder):
            raise UnauthorizedError("this token has been revoked: sign in again")

    async def run(self) -> None:
        """Update the copy until cancelled."""
        told = None
        while True:
            try:
                await self.look()
                told = None
            except UnavailableError as error:
                self._why_not = error.told
                if str(error) != told:
                    _log.warning("revocations_not_read", reason=str(error))
                told = str(error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Read new rows.

        Raises:
            UnavailableError: the database does not answer.
        """
        async with self._looking:
            began = self._clock()
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    newest = await newest_id(self._pool)
            except TimeoutError:
                raise UnavailableError("the revocations cannot be read from the database") from None
            # If lower, the newest row was trimmed, or this is another database.
            if self._looked_at is None or newest < self._newest:
                await self._read(Revocations(), 0)
            elif newest > self._newest:
                await self._read(self._list, self._newest)
            self._list.forget(self._now())
            self._looked_at = began

    async def _read(self, into: Revocations, after: int) -> None:
        while True:
            page = await read_after(self._pool, after)
            for row in page:
                after = row.id
                until = math.inf if row.until is None else row.until + _KEPT_LONGER_S
                into.add(row.revocation, until)
            if len(page) < PAGE:
                break
        self._list, self._newest = into, after
