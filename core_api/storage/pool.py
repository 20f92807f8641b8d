"""The connection pool, and the one place where Postgres's errors become Core's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

import asyncpg

from core_api.errors import UnavailableError

_CHECK_WITHIN_S: Final = 2.0

# asyncpg's classes are generic for type checkers only.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

# Every statement of ours is a handful of index probes. A plan that was made while a table was still
# small, and kept, must not turn into a scan of it when it has grown.
PLANNER: Final = {"jit": "off", "enable_seqscan": "off"}

_UNREACHABLE: Final = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection that was cut in mid-statement may raise
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,  # the disk is full: somebody will make room
    asyncpg.PostgresIOError,
)


async def open_pool(database_url: str, *, size: int, command_timeout_s: float, name: str) -> Pool:
    """A pool of `size` connections; a statement is given up after `command_timeout_s`.

    Connections are handed out as they are: our statements leave no session state behind, so the
    reset that asyncpg sends after each use, a round trip of its own, is left out. The pool opens
    whether or not Postgres is there yet: connections are made when they are needed.
    """
    return await asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=size,
        command_timeout=command_timeout_s,
        reset=_keep,
        server_settings={"application_name": name, **PLANNER},
    )


async def check_database(pool: Pool) -> None:
    """Whether Postgres answers and is migrated.

    Raises:
        UnavailableError: it does not, or is not.
    """
    try:
        with mapped_errors():
            async with asyncio.timeout(_CHECK_WITHIN_S):
                await pool.fetchval("SELECT epoch FROM epoch")
    except asyncpg.UndefinedTableError as error:
        raise UnavailableError("the database is not migrated: run yabam db upgrade") from error


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn what tells of an unreachable Postgres into `UnavailableError`."""
    try:
        yield
    except _UNREACHABLE as error:
        reason = str(error) or type(error).__name__
        raise UnavailableError(f"the database does not answer: {reason}") from error


async def _keep(_connection: object) -> None:
    return None
