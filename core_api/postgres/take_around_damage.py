"""Leases rows around those that Postgres cannot read, such as one that its disk has damaged.

One statement leases all that are due, so one such row would stop all. An unreadable one is found by
halving, is skipped for a while, and is then retried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from core_api.errors import UnavailableError, UnreadableRowError
from core_api.postgres.unreadable_rows import by_halves

LOOK_AGAIN_AFTER_S: Final = 60.0
"""When an unreadable row is retried, in seconds: it may have been repaired."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
K_contra = TypeVar("K_contra", contravariant=True)


class Take(Protocol[K_contra, T]):
    """Leases rows that are due."""

    async def __call__(
        self, taken: Sequence[T], room: int, only: Sequence[K_contra] | None
    ) -> Sequence[T]:
        """Lease at most `room` of these rows, or of all, beside those that were taken just now.

        Raises:
            UnavailableError: Postgres does not answer, and nothing was taken.
            UnreadableRowError: one that is due is damaged; none was taken.
        """


class TakeAround(Generic[K, T]):
    """Leases rows, and remembers those that cannot be read.

    Args:
        keys: names all rows that may be due.
        left_out: called for each row that is skipped from now on, with the reason.
        monotonic_s: a clock that only goes forward, in seconds.
    """

    def __init__(
        self,
        keys: Callable[[], Awaitable[Sequence[K]]],
        left_out: Callable[[K, UnreadableRowError], None],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._tell = left_out
        self._monotonic_s = monotonic_s
        self._left_out: frozenset[K] = frozenset()
        self._left_out_until = 0.0

    @property
    def unreadable(self) -> int:
        """How many unreadable rows are known."""
        return len(self._left_out)

    async def take(self, limit: int, take: Take[K, T]) -> list[T]:
        """Lease at most `limit` rows.

        Args:
            limit: how many.
            take: leases some.

        Raises:
            UnavailableError: Postgres does not answer, and nothing was taken.
        """
        if self._monotonic_s() >= self._left_out_until:
            self._left_out = frozenset()
        if not self._left_out:
            try:
                return [*await take((), limit, None)]
            except UnreadableRowError:
                pass
        return await self._take_around(limit, take)

    async def _take_around(self, limit: int, take: Take[K, T]) -> list[T]:
        taken: list[T] = []

        async def take_of(keys: Sequence[K]) -> list[None]:
            room = limit - len(taken)
            if room > 0:
                taken.extend(await take(taken, room, keys))
            return [None] * len(keys)

        keys = [key for key in await self._keys() if key not in self._left_out]
        try:
            answers = await by_halves(take_of, keys) if keys else []
        except UnavailableError:
            if not taken:
                raise
            # This process has leased them already: no other takes them before the lease expires.
            return taken
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, UnreadableRowError):
                self._leave_out(key, answer)
        return taken

    def _leave_out(self, key: K, error: UnreadableRowError) -> None:
        if not self._left_out:
            self._left_out_until = self._monotonic_s() + LOOK_AGAIN_AFTER_S
        self._left_out |= {key}
        self._tell(key, error)
