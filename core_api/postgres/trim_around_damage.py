"""Old rows are deleted by their time, around those whose deletion fails.

A row may be damaged on its disk, or another row may refer to it although none should. Postgres
cannot always say which row it is, so it is found by time: the span in which a deletion fails is
halved until it is short, and the rows in it are left for the next round.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from core_api.errors import UnreadableRowError
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.unreadable_rows import unreadable_rows

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_log: FilteringBoundLogger = structlog.get_logger(__name__)

ALL_TIME_S: Final = 100 * 366 * 86_400.0
"""No row is as old as this."""
SHORTEST_S: Final = 1.0
"""A span of time that is not halved any more."""
MOST_LEFT: Final = 20
"""How many spans a round skips at most: with more, the disk is broken."""
UNDELETABLE: Final = (UnreadableRowError, asyncpg.PostgresError)
"""The errors of a deletion that are caused by its rows."""

Trim = Callable[[Pool, float, int, float], Awaitable[int]]
"""Deletes at most so many rows that are older than so many seconds and at most so many seconds old,
and returns the number."""


async def trim_by(
    pool: Pool, statement: str, older_than_s: float, batch: int, at_most_s: float
) -> int:
    """Run a deleting statement with the age, the number of rows and the greatest age as $1 to $3.

    Returns how many rows it deleted.

    Args:
        pool: the database.
        statement: it deletes.
        older_than_s: how old its rows are at least.
        batch: how many at most.
        at_most_s: how old they are at most.

    Raises:
        UnavailableError: Postgres does not answer.
        UnreadableRowError: one of the rows is damaged.
    """
    with mapped_errors(), unreadable_rows():
        tag = await pool.execute(statement, older_than_s, batch, at_most_s)
    return int(tag.rpartition(" ")[2])


async def trim_around(
    trim: Trim, pool: Pool, older_than_s: float, batch: int, left: Callable[[], None]
) -> int:
    """Delete all that is older than `older_than_s` and can be deleted, batch by batch.

    Args:
        trim: deletes a batch.
        pool: the database.
        older_than_s: the age in seconds.
        batch: how many rows at once.
        left: called for each short span of time in which a row cannot be deleted.

    Returns:
        How many rows are gone.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    total, failures = 0, 0
    spans = [(older_than_s, ALL_TIME_S)]
    while spans:
        younger, older = spans.pop()
        try:
            while (gone := await trim(pool, younger, batch, older)) >= batch:
                total += gone
            total += gone
        except UNDELETABLE as error:
            middle = (younger + older) / 2
            if older - younger > SHORTEST_S:
                # The younger half comes first: rows grow older meanwhile, and none is missed.
                spans += [(middle, older), (younger, middle)]
                continue
            left()
            failures += 1
            _log.error("rows_not_trimmed", seconds_old=round(younger, 1), reason=str(error))
            if failures == MOST_LEFT:
                break
    return total
