"""Old rows are deleted by their time, around those whose deletion fails.

A row may be damaged on its disk, or another row may refer to it although none should. Postgres
cannot always say which row it is, so it is found by time: the span in which a deletion fails is
halved until it is short, and the rows in it are left for the next round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import asyncpg

from core_api.errors import UnreadableRowError
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.unreadable_rows import unreadable_rows
from server_common.logs import get_logger

_log = get_logger()

ALL_TIME_S: Final = 100 * 366 * 86_400.0
"""No row is as old as this."""
SHORTEST_S: Final = 1.0
"""A span of time that is not halved any more."""
MAX_LEFT: Final = 20
"""How many spans a round skips at most: with more, the disk is broken."""
UNDELETABLE: Final = (UnreadableRowError, asyncpg.PostgresError)
"""The errors of a deletion that are caused by its rows."""


class Trim(Protocol):
    """Deletes old rows."""

    async def __call__(
        self, pool: Pool, older_than_s: float, batch: int, at_most_s: float = ALL_TIME_S
    ) -> int:
        """Delete at most `batch` rows whose age lies between the two. Returns how many.

        Raises:
            UnavailableError: Postgres does not answer.
            UnreadableRowError: one of the rows is damaged.
        """


def trim_by_age(table: str, key: str, time: str, where: str = "true") -> Trim:
    """What deletes old rows of a table; those that somebody holds locked are left for later.

    Args:
        table: its name.
        key: the columns of its primary key.
        time: the column whose age counts; an index of it is walked.
        where: which rows alone.
    """
    statement = f"""
    DELETE FROM {table} WHERE ({key}) IN (
        SELECT {key} FROM {table}
        WHERE {where} AND {time} < now() - make_interval(secs => $1)
          AND {time} >= now() - make_interval(secs => $3)
        ORDER BY {time} LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    """  # noqa: S608  (all parts are ours)

    async def trim(
        pool: Pool, older_than_s: float, batch: int, at_most_s: float = ALL_TIME_S
    ) -> int:
        with mapped_errors(), unreadable_rows():
            tag = await pool.execute(statement, older_than_s, batch, at_most_s)
        return int(tag.rpartition(" ")[2])

    return trim


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
            if failures == MAX_LEFT:
                break
    return total
