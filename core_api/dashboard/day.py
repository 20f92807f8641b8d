"""The last day of the ops page, a point a minute, whether or not anybody watches.

One Core at a time takes the points: the holder of a lease. Another takes over when the lease
expires.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, TypeVar

from core_api.dashboard.alerts import Spells
from core_api.dashboard.figures import RoundHistory
from core_api.dashboard.points import Point, StoredPoints, stored_of, to_store
from core_api.dashboard.processes import ProcessKind
from core_api.dashboard.sampler import PERIOD_S, ReadRound
from core_api.errors import UnavailableError
from core_api.postgres.pool import Pool, any_error_mapped
from core_api.postgres.trim_around_damage import trim_by_age
from server_common.limits import OPS_POINTS, OPS_POINTS_READ
from server_common.logs import get_logger

_log = get_logger()

DAY_S: Final = 86_400.0
_EVERY_S: Final = 60.0
T = TypeVar("T")
_LEASE_S: Final = 90.0
"""The longest gap in the day's points after the Core that takes them died, in seconds."""

_CLAIM: Final = """
INSERT INTO ops_sampling AS s (id, owner, until)
VALUES (1, $1, now() + make_interval(secs => $2))
ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE s.owner = excluded.owner OR s.until < now()
RETURNING true
"""

# Only the lease's holder writes: a Core that was suspended meanwhile writes nothing.
_STORE: Final = """
INSERT INTO ops_points (at, point)
SELECT now(), $2 FROM ops_sampling WHERE id = 1 AND owner = $1 AND until >= now()
ON CONFLICT (at) DO NOTHING
"""

_READ: Final = """
SELECT at, point FROM ops_points
WHERE at > now() - make_interval(secs => $1) AND ($3::timestamptz IS NULL OR at < $3)
ORDER BY at DESC LIMIT $2
"""


async def claim(pool: Pool, owner: str) -> bool:
    """Take the lease, or renew it; whether it is the owner's now.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        return bool(await pool.fetchval(_CLAIM, owner, _LEASE_S))


async def store(pool: Pool, owner: str, text: str) -> None:
    """Store a point, if the lease is still the owner's.

    Args:
        pool: the database.
        owner: the Core whose point it is, by the name that `claim` was given.
        text: the point, as `to_store` writes it.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        await pool.execute(_STORE, owner, text)


async def read_day(pool: Pool) -> list[StoredPoints]:
    """The points of the last day, the oldest first.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    return _the_oldest_first([part async for part in _parts(pool)])


async def charted_day(pool: Pool) -> list[Point]:
    """The same for the charts.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    return _the_oldest_first([[one.point for one in part] async for part in _parts(pool)])


async def _parts(pool: Pool) -> AsyncIterator[list[StoredPoints]]:
    """The day in parts, the newest first: decoding all of it at once would delay other requests."""
    before: datetime | None = None
    for left in range(OPS_POINTS, 0, -OPS_POINTS_READ):
        most = min(left, OPS_POINTS_READ)
        with any_error_mapped():
            rows = await pool.fetch(_READ, DAY_S, most, before)
        yield stored_of(row["point"] for row in rows)
        if len(rows) < most:
            return
        before = rows[-1]["at"]


def _the_oldest_first(parts: list[list[T]]) -> list[T]:
    return [one for part in reversed(parts) for one in reversed(part)]


trim_points: Final = trim_by_age("ops_points", "at", "at")
"""Deletes old points."""


class DayKeeper:
    """Takes a point a minute while this Core holds the lease.

    Args:
        pool: the database.
        owner: this Core, by a name that no other has.
        looking: a context that gives the function which takes a sample.
        kinds: the kind of process that last answered at each address.
    """

    def __init__(
        self,
        pool: Pool,
        owner: str,
        looking: Callable[[], AbstractAsyncContextManager[ReadRound]],
        kinds: MutableMapping[str, ProcessKind],
    ) -> None:
        self._pool = pool
        self._owner = owner
        self._looking = looking
        self._kinds = kinds
        self._history: RoundHistory | None = None

    async def run(self) -> None:
        """Take points until cancelled."""
        while True:
            try:
                await self.keep()
            except UnavailableError as error:
                self._history = None
                _log.warning("ops_point_not_stored", reason=str(error))
            await asyncio.sleep(_EVERY_S)

    async def keep(self) -> None:
        """Store a point, if the lease is this Core's.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        if not await claim(self._pool, self._owner):
            self._history = None
            return
        async with self._looking() as look:
            if self._history is None:
                # A rate needs two samples, so the first point takes one more.
                self._history = _over_a_minute()
                self._history.figures(await look())
                await asyncio.sleep(PERIOD_S)
            figures = self._history.figures(await look())
        await store(self._pool, self._owner, to_store(figures, self._kinds))


def _over_a_minute() -> RoundHistory:
    window_s = _EVERY_S + 2 * PERIOD_S
    return RoundHistory(Spells(), window_s, window_s)


def moments(points: list[StoredPoints]) -> list[tuple[int, list[str]]]:
    """What was wrong at each moment, as `Spells` takes it."""
    return [(one.point.at_ms, one.alerts) for one in points]
