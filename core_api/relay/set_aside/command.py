"""`yabam relay set-aside`: shows the events that Kafka has refused, and tries them again."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from client_sdk.contract.channel import event_id
from core_api.postgres.pool import open_pool
from core_api.relay.set_aside.statements import list_set_aside, retry_set_aside

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

_MOST: Final = 1000


async def list_all(database_url: str) -> list[str]:
    """One line for each: its id, when it was set aside, its event ids and the reason.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    async with _pool(database_url) as pool:
        found = await list_set_aside(pool, _MOST)
    return [
        f"{one.id}  {one.at:%Y-%m-%dT%H:%M:%SZ}"
        f"  {','.join(map(event_id, one.channels, one.seqs))}  {one.reason}"
        for one in found
    ]


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
