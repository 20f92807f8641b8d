"""Leases lanes around those that Postgres cannot read, such as one whose webhook is damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from core_api.errors import UnreadableRowError
from core_api.postgres.pool import Pool
from core_api.postgres.take_around_damage import TakeAround
from core_api.webhooks.lanes import HeldLane, LaneKey, all_lanes, take_lanes
from server_common.logs import get_logger

_log = get_logger()


class Taker:
    """Leases lanes for one sender.

    Args:
        pool: the database.
        monotonic_s: a clock that only goes forward, in seconds.
    """

    def __init__(self, pool: Pool, monotonic_s: Callable[[], float]) -> None:
        self._pool = pool
        self._around: TakeAround[LaneKey, HeldLane] = TakeAround(
            partial(all_lanes, pool), _log_left_out, monotonic_s
        )

    @property
    def unreadable(self) -> int:
        """How many unreadable lanes are known."""
        return self._around.unreadable

    async def take(self, busy: Mapping[str, int], limit: int, *, failing: bool) -> list[HeldLane]:
        """Lease lanes that have something to send and are due.

        Args:
            busy: how many lanes this process holds already, by subscription.
            limit: how many it may take.
            failing: whether those whose last attempt failed, or the others.

        Raises:
            UnavailableError: Postgres does not answer, and nothing was taken.
        """

        async def take(
            taken: Sequence[HeldLane], room: int, only: Sequence[LaneKey] | None
        ) -> list[HeldLane]:
            held = Counter(busy) + Counter(lane.webhook_id for lane in taken)
            return await take_lanes(self._pool, held, room, failing=failing, only=only)

        return await self._around.take(limit, take)


def _log_left_out(key: LaneKey, error: UnreadableRowError) -> None:
    _log.error("webhook_unreadable", webhook=key[0], store=key[1], reason=str(error))
