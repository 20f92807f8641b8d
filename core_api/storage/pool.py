"""The connection pool, and the one place where Postgres's errors become Core's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from core_api.errors import UnavailableError

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

_UNREACHABLE: Final = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.QueryCanceledError,
)


async def open_pool(database_url: str, *, size: int, command_timeout_s: float, name: str) -> Pool:
    """A pool of `size` connections; a statement is given up after `command_timeout_s`.

    Connections are handed out as they are: our statements leave no session state behind, so the
    reset that asyncpg sends after each use, a round trip of its own, is left out.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        return await asyncpg.create_pool(
            database_url,
            min_size=min(2, size),
            max_size=size,
            command_timeout=command_timeout_s,
            reset=_keep,
            server_settings={"application_name": name, "jit": "off"},
        )


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
