"""Those who are told of one kind of thing: held while they are told, forgotten once signed out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from core_api.postgres.pool import Pool, any_error_mapped
from core_api.push.browsers import DueBrowser
from core_api.push.rules import Next
from core_api.push.signed_out import SignedOut
from core_api.push.subscriptions import LATE_AFTER_S, Standing
from core_api.revocations.watching import Revoked

D = TypeVar("D", bound=DueBrowser)

STANDING: Final = """
SELECT count(*) AS subscriptions,
    count(*) FILTER (WHERE failing_since < now() - make_interval(secs => $1)) AS late
FROM {table}
"""
"""Counts those of a table, and those that have failed for longer than it takes."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one kind; the first three begin with a browser's key."""

    done: str
    """Its push service has taken the message; takes also the new mark and its epoch."""
    fail: str
    """An attempt has failed; takes also the failure and the wait in seconds."""
    end: str
    """It is forgotten."""
    holders: str
    """As `SignedOut` takes it, and the next."""
    end_holders: str
    standing: str
    """`STANDING` of its table."""


class Subscribers(ABC, Generic[D]):
    """Those of one kind.

    Args:
        pool: the database.
        revoked: what is known of revoked tokens.
        statements: of this kind.
    """

    def __init__(self, pool: Pool, revoked: Revoked, statements: Statements) -> None:
        self._pool = pool
        self._statements = statements
        self._signed_out = SignedOut(
            pool, revoked, holders=statements.holders, end=statements.end_holders
        )

    async def take(self, held: Sequence[D], limit: int, *, failing: bool) -> list[D]:
        """Take those that are due, whose orders have waited for the longest first.

        Those whose holder was signed out are forgotten instead.

        Args:
            held: those that this process holds already.
            limit: how many it may take.
            failing: whether those whose last attempt failed, or the others.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        taken = await self._take(held, limit, failing)
        ended = await self._signed_out.end_of(taken)
        for one in ended:
            self._log_revoked(one)
        return [one for one in taken if one not in ended]

    @abstractmethod
    async def _take(self, held: Sequence[D], limit: int, failing: bool) -> list[D]:
        """As `take`, whoever their holder is."""

    @abstractmethod
    def _log_revoked(self, one: D) -> None:
        """Log that its holder was signed out."""

    async def note_told(self, due: D) -> None:
        """Note that its push service has taken the message. Raises UnavailableError."""
        with any_error_mapped():
            await self._pool.execute(self._statements.done, *due.key, due.upto, due.epoch)

    async def note_failed(self, due: D, failure: str, after: Next) -> None:
        """Note that an attempt has failed, or forget the browser. Raises UnavailableError."""
        with any_error_mapped():
            if after.ending is None:
                await self._pool.execute(self._statements.fail, *due.key, failure, after.wait_s)
            else:
                await self._pool.execute(self._statements.end, *due.key)

    async def settle(self) -> None:
        """Let nothing be left of what was to be told, and need not be any more.

        Those whose holder was signed out are forgotten.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        await self._signed_out.settle()

    async def standing(self) -> Standing:
        """How all of them stand now. Raises UnavailableError."""
        with any_error_mapped():
            row = await self._pool.fetchrow(self._statements.standing, LATE_AFTER_S)
        return Standing(**row) if row else Standing(0, 0)
