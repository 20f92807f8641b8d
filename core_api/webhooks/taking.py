"""Lanes are taken around those that Postgres cannot give, such as one whose webhook is damaged.

One statement takes all that are due, so one such row would stop the sending of all. What cannot be
given is found by halves, is left out for a while, and is then looked at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from core_api.errors import UnavailableError, UnreadableRowError
from core_api.postgres.pool import Pool
from core_api.postgres.unreadable_rows import by_halves
from core_api.webhooks.lanes import HeldLane, LaneKey, all_lanes, take_lanes
from server_common.logs import get_logger

_log = get_logger()

LOOK_AGAIN_AFTER_S: Final = 60.0
"""A lane that could not be given is asked for again then: somebody may have mended it."""


class Taker:
    """Takes lanes for one sender.

    Args:
        pool: the database.
        monotonic_s: a clock that only goes forward, in seconds.
    """

    def __init__(self, pool: Pool, monotonic_s: Callable[[], float]) -> None:
        self._pool = pool
        self._monotonic_s = monotonic_s
        self._left_out: frozenset[LaneKey] = frozenset()
        self._left_out_until = 0.0

    @property
    def unreadable(self) -> int:
        """How many lanes Postgres cannot give, as far as is known."""
        return len(self._left_out)

    async def take(self, busy: Mapping[str, int], limit: int, *, failing: bool) -> list[HeldLane]:
        """Take lanes that have something to send and whose time has come.

        Args:
            busy: how many lanes this process holds already, by subscription.
            limit: how many it may take.
            failing: whether those whose last attempt failed, or the others.

        Raises:
            UnavailableError: Postgres does not answer, and nothing was taken.
        """
        if self._monotonic_s() >= self._left_out_until:
            self._left_out = frozenset()
        if not self._left_out:
            try:
                return await take_lanes(self._pool, busy, limit, failing=failing)
            except UnreadableRowError:
                pass
        return await self._take_around(busy, limit, failing=failing)

    async def _take_around(
        self, busy: Mapping[str, int], limit: int, *, failing: bool
    ) -> list[HeldLane]:
        taken: dict[LaneKey, HeldLane] = {}

        async def take_of(keys: Sequence[LaneKey]) -> list[None]:
            room = limit - len(taken)
            if room > 0:
                held = Counter(busy) + Counter(webhook_id for webhook_id, _ in taken)
                found = await take_lanes(self._pool, held, room, failing=failing, only=keys)
                taken.update({(lane.webhook_id, lane.store_id): lane for lane in found})
            return [None] * len(keys)

        keys = [key for key in await all_lanes(self._pool) if key not in self._left_out]
        try:
            answers = await by_halves(take_of, keys) if keys else []
        except UnavailableError:
            if not taken:
                raise
            # They are this process's already: nobody else sends them before their time is over.
            return list(taken.values())
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, UnreadableRowError):
                self._leave_out(key, answer)
        return list(taken.values())

    def _leave_out(self, key: LaneKey, error: UnreadableRowError) -> None:
        if not self._left_out:
            self._left_out_until = self._monotonic_s() + LOOK_AGAIN_AFTER_S
        self._left_out |= {key}
        _log.error("webhook_unreadable", webhook=key[0], store=key[1], reason=str(error))
