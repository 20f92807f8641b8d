"""The subscribers of one kind: leased while a message is sent, deleted once signed out."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar

import asyncpg

from core_api.errors import UnreadableRowError
from core_api.postgres.pool import Pool, any_error_mapped
from core_api.postgres.take_around_damage import TakeAround
from core_api.postgres.unreadable_rows import unreadable_rows
from core_api.push.browsers import DueBrowser
from core_api.push.places import all_places
from core_api.push.retries import Next
from core_api.push.signed_out import SignedOut
from core_api.push.subscriptions import LATE_AFTER_S, Standing
from core_api.revocations.watching import Revoked
from server_common.logs import get_logger

_log = get_logger()

D = TypeVar("D", bound=DueBrowser)

STANDING: Final = """
SELECT count(*) AS subscriptions,
    count(*) FILTER (WHERE failing_since < now() - make_interval(secs => $1)) AS late
FROM {table}
"""
"""Counts the rows of a table, and those that have failed for longer than `$1` seconds."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one kind; the first three begin with a browser's key."""

    done: str
    """Stores a success; also takes the new mark and its epoch."""
    fail: str
    """Stores a failure; also takes its text and the wait in seconds."""
    end: str
    """Deletes the subscription."""
    holders: str
    """As `SignedOut` takes it, and the next."""
    end_holders: str
    standing: str
    """`STANDING` of its table."""
    table: str


class Subscribers(ABC, Generic[D]):
    """The subscribers of one kind.

    Args:
        pool: the database.
        revoked: what is known of revoked tokens.
        statements: of this kind.
    """

    def __init__(self, pool: Pool, revoked: Revoked, statements: Statements) -> None:
        self._pool = pool
        self._statements = statements
        places = partial(all_places, pool, statements.table)
        self._signed_out = SignedOut(
            pool, revoked, places, holders=statements.holders, end=statements.end_holders
        )
        self._around: TakeAround[str, D] = TakeAround(places, self._log_left_out, time.monotonic)

    @property
    def unreadable(self) -> int:
        """How many of them the database cannot read, as far as is known."""
        return self._around.unreadable

    async def take(self, held: Sequence[D], limit: int, *, failing: bool) -> list[D]:
        """Lease those that are due, whose orders have waited for the longest first.

        Those whose holder was signed out are deleted instead.

        Args:
            held: those that this process has leased already.
            limit: how many it may take.
            failing: whether those whose last attempt failed, or the others.

        Raises:
            UnavailableError: Postgres does not answer.
        """

        async def take(taken: Sequence[D], room: int, only: Sequence[str] | None) -> list[D]:
            return await self._take([*held, *taken], room, failing, only)

        taken = await self._around.take(limit, take)
        ended = await self._signed_out.end_of(taken)
        for one in ended:
            self._log_revoked(one)
        return [one for one in taken if one not in ended]

    @abstractmethod
    async def _take(
        self, held: Sequence[D], limit: int, failing: bool, only: Sequence[str] | None
    ) -> list[D]:
        """As `take`, whoever their holder is; only of the rows at these places, or of all.

        Raises:
            UnavailableError: Postgres does not answer.
            UnreadableRowError: one that is due is damaged; none was taken.
        """

    async def _leased(
        self, statement: str, *arguments: object, only: Sequence[str] | None
    ) -> list[asyncpg.Record]:
        """The rows that a statement leases.

        Raises:
            UnavailableError: Postgres does not answer.
            UnreadableRowError: one that is due is damaged; none was leased.
        """
        of_these = () if only is None else (only,)
        with any_error_mapped(), unreadable_rows():
            # A returned value may not be valid text: then no row may stay leased.
            async with self._pool.acquire() as connection, connection.transaction():
                rows: list[asyncpg.Record] = await connection.fetch(
                    statement, *arguments, *of_these
                )
        return rows

    def _log_left_out(self, place: str, error: UnreadableRowError) -> None:
        table = self._statements.table
        _log.error("push_unreadable", table=table, row=place, reason=str(error))

    @abstractmethod
    def _log_revoked(self, one: D) -> None:
        """Log that its holder was signed out."""

    async def note_told(self, due: D) -> None:
        """Store that its push service has taken the message. Raises UnavailableError."""
        with any_error_mapped():
            await self._pool.execute(self._statements.done, *due.key, due.upto, due.epoch)

    async def note_failed(self, due: D, failure: str, after: Next) -> None:
        """Store that an attempt has failed, or delete the subscription. Raises UnavailableError.

        Args:
            due: the subscription that the attempt was for.
            failure: what went wrong, as it is stored.
            after: how long to wait for the next attempt, or why there is none.
        """
        with any_error_mapped():
            if after.ending is None:
                await self._pool.execute(self._statements.fail, *due.key, failure, after.wait_s)
            else:
                await self._pool.execute(self._statements.end, *due.key)

    async def settle(self) -> None:
        """Clear the state of those whose notification is no longer needed.

        Those whose holder was signed out are deleted.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        await self._signed_out.settle()

    async def standing(self) -> Standing:
        """The state of all of them now. Raises UnavailableError."""
        with any_error_mapped():
            row = await self._pool.fetchrow(self._statements.standing, LATE_AFTER_S)
        return Standing(**row) if row else Standing(0, 0)
