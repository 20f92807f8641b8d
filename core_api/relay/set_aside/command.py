"""`yabam relay set-aside`: shows the events that Kafka has refused, and tries them again."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from core_api.postgres.pool import open_pool
from core_api.relay.set_aside.statements import SetAsideEvent, list_set_aside, retry_set_aside

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

_MOST: Final = 1000


async def list_all(database_url: str) -> list[SetAsideEvent]:
    """The oldest of them, in the order in which they were set aside.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    async with _pool(database_url) as pool:
        return await list_set_aside(pool, _MOST)


async def retry(database_url: str, ids: Sequence[int]) -> int:
    """Put these back into the outbox. Returns the number put back.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    async with _pool(database_url) as pool:
        return await retry_set_aside(pool, ids)


@contextlib.asynccontextmanager
async def _pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, size=1, command_timeout_s=60.0, name="yabam-set-aside")
    try:
        yield pool
    finally:
        pool.terminate()
