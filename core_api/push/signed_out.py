"""Ends what is told to whoever was signed out: a token, a session or a subject that was revoked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from core_api.postgres.pool import Pool, any_error_mapped
from core_api.revocations.watching import Revoked
from server_common.revocations.holders import Holder


class Held(Protocol):
    """A browser that is to be told, as this process has just taken it."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What the statement that forgets it takes."""

    @property
    def holder(self) -> Holder:
        """Whose token subscribed it."""


D = TypeVar("D", bound=Held)


class SignedOut:
    """Compares those who are told with what was revoked.

    Args:
        pool: the database.
        revoked: what is known of revoked tokens.
        holders: the statement that reads all of them: the columns of their key, then `token`,
            `session`, `subject` and when somebody signed in.
        end_all: the one that forgets those with these keys, tokens and sessions, an array of each:
            whose page has a new token by now goes on.
        end: the one that forgets the one with this key.
    """

    def __init__(
        self, pool: Pool, revoked: Revoked, *, holders: str, end_all: str, end: str
    ) -> None:
        self._pool = pool
        self._revoked = revoked
        self._holders = holders
        self._end_all = end_all
        self._end = end
        self._compared: int | None = None
        """The newest revocation that all were compared with."""

    async def end_of(self, taken: Sequence[D]) -> list[D]:
        """Forget those whose holder is signed out by now, and return them.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        if not taken:
            return []
        # Not before: what is revoked by now counts.
        await self._revoked.look()
        ended = [one for one in taken if self._revoked.covers(one.holder)]
        for one in ended:
            with any_error_mapped():
                await self._pool.execute(self._end, *one.key)
        return ended

    async def settle(self) -> None:
        """Forget all whose holder is signed out, if anything was revoked since the last time.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        await self._revoked.look()
        newest = self._revoked.newest
        if newest == self._compared:
            return
        with any_error_mapped():
            rows = await self._pool.fetch(self._holders)
            ended = [tuple(row)[:-2] for row in rows if self._revoked.covers(Holder(*row[-4:]))]
            if ended:
                await self._pool.execute(self._end_all, *map(list, zip(*ended, strict=True)))
        self._compared = newest
