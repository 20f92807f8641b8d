"""Ends the subscriptions of signed-out callers: by a revoked token, session or subject."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import asyncpg

from core_api.errors import UnreadableRowError
from core_api.postgres.pool import Pool, any_error_mapped
from core_api.postgres.unreadable_rows import by_halves, unreadable_rows
from core_api.push.browsers import DueBrowser
from core_api.push.places import at_places
from core_api.revocations.watching import Revoked
from server_common.revocations.holders import Holder

D = TypeVar("D", bound=DueBrowser)

AGAIN: Final = 12
"""How many settlements after a revocation compare all subscriptions again: a request that was
admitted just before may write after the first comparison, and Cores read a revocation a second or
two later. A revocation is deleted an hour after the token's end, but a subscription lasts for a
month."""


class SignedOut:
    """Compares subscriptions with revocations.

    Args:
        pool: the database.
        revoked: what is known of revoked tokens.
        places: names the places of all of them.
        holders: the statement that reads all of them: the columns of their key, then `token`,
            `session`, `subject` and when somebody signed in. Its table is `p`.
        end: the statement that deletes those with these keys, tokens and sessions, an array of
            each: one whose page has a new token by now stays.
    """

    def __init__(
        self,
        pool: Pool,
        revoked: Revoked,
        places: Callable[[], Awaitable[Sequence[str]]],
        *,
        holders: str,
        end: str,
    ) -> None:
        self._pool = pool
        self._revoked = revoked
        self._places = places
        self._holders = holders
        self._end = end
        self._compared: int | None = None
        """The newest revocation that all were compared with."""
        self._again = 0

    async def end_of(self, taken: Sequence[D]) -> list[D]:
        """Delete those whose holder is signed out by now, and return them.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        if not taken:
            return []
        # Compared only now, so that the newest revocations count.
        await self._revoked.look()
        ended = [one for one in taken if self._revoked.covers(one.holder)]
        await self._forget([(*one.key, one.holder.token, one.holder.session) for one in ended])
        return ended

    async def settle(self) -> None:
        """Delete all whose holder is signed out, if anything was revoked lately.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        await self._revoked.look()
        newest = self._revoked.newest
        is_new = newest != self._compared
        if not is_new and not self._again:
            return
        rows = await self._all_holders()
        await self._forget(
            [tuple(row)[:-2] for row in rows if self._revoked.covers(Holder(*row[-4:]))]
        )
        self._again = AGAIN if is_new else self._again - 1
        self._compared = newest

    async def _all_holders(self) -> list[asyncpg.Record]:
        try:
            return await self._read(self._holders)
        except UnreadableRowError:
            pass
        rows: list[asyncpg.Record] = []

        async def read_of(places: Sequence[str]) -> list[None]:
            rows.extend(await self._read(f"{self._holders} WHERE {at_places('p', 1)}", places))
            return [None] * len(places)

        # One that cannot be read is never told anything either: the sender leaves it out.
        if places := await self._places():
            await by_halves(read_of, places)
        return rows

    async def _read(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        with any_error_mapped(), unreadable_rows():
            rows: list[asyncpg.Record] = await self._pool.fetch(statement, *arguments)
        return rows

    async def _forget(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            with any_error_mapped():
                await self._pool.execute(self._end, *map(list, zip(*rows, strict=True)))
