"""A Core's background work: log when it can serve, and delete expired rows.

Each task runs until cancelled; `main` supervises them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from core_api.errors import UnavailableError
from core_api.postgres.patience import keep_looking
from core_api.postgres.pool import Pool, check_database
from core_api.postgres.trim_around_damage import Trim, trim_around
from core_api.retention.log_trim import trim_log_round
from server_common.backoff import Backoff
from server_common.logs import get_logger

_log = get_logger()

_TRIM_BATCH: Final = 1000
_TRIM_EVERY_S: Final = 60.0


async def wait_until_ready(check: Callable[[], Awaitable[None]], waiting_event: str) -> None:
    """Return once `check` passes; until then log one line per attempt, with back-off."""
    backoff = Backoff(0.1, 5.0, random.uniform)
    while True:
        try:
            await check()
        except UnavailableError as error:
            delay = backoff.failed()
            _log.warning(waiting_event, reason=str(error), next_attempt_s=round(delay, 3))
        else:
            return
        await asyncio.sleep(delay)


async def announce(pool: Pool) -> None:
    """Log once that the database is ready."""
    await wait_until_ready(lambda: check_database(pool), "waiting_for_database")
    _log.info("core_ready")
    await asyncio.Event().wait()


async def keep_trimming_log(pool: Pool, older_than_s: float, left: Callable[[], None]) -> None:
    """Trim the log every minute, each time until no old event is left.

    Args:
        pool: the database.
        older_than_s: the age in seconds.
        left: called for each channel of which an event cannot be deleted.
    """
    await keep_looking(
        lambda: trim_log_round(pool, older_than_s, left=lambda _channel: left()),
        _TRIM_EVERY_S,
        "trim_failed",
    )


async def keep_trimming(
    trim: Trim,
    pool: Pool,
    older_than_s: float,
    left: Callable[[], None],
    batch: int = _TRIM_BATCH,
) -> None:
    """Trim every minute, batch by batch; skip rows that cannot be deleted.

    Args:
        trim: deletes a batch.
        pool: the database.
        older_than_s: the age in seconds.
        left: called for each short span of time that is skipped.
        batch: how many rows at once.
    """
    await keep_looking(
        lambda: trim_around(trim, pool, older_than_s, batch, left), _TRIM_EVERY_S, "trim_failed"
    )
