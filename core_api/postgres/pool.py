"""The connection pool, and the one place where Postgres's errors become Core's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from asyncpg.exceptions import TargetServerAttributeNotMatched

from core_api.errors import LockedError, UnavailableError
from core_api.postgres.errors import IS_ABSENT, READ_ONLY, Meaning, means, told_by

_CHECK_WITHIN_S: Final = 2.0

# asyncpg's classes are generic for type checkers only.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_STATEMENTS_KEPT: Final = 100
"""How many prepared statements a connection keeps: more than there are."""
_HOST_WITHIN_S: Final = 5.0
"""How long a connect to one of several hosts may take before the next one is tried, in seconds."""

# Every statement of ours is a handful of index probes. A cached plan from when a table was small
# must not scan the table when it has grown.
PLANNER: Final = {"jit": "off", "enable_seqscan": "off"}

_UNREACHABLE: Final = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection that was cut in mid-statement may raise
)
_CHECK: Final = """
SELECT epoch, (SELECT max(version_num) FROM alembic_version),
    current_setting('transaction_read_only')::bool
FROM epoch
"""
NEEDED_REVISION: Final = max(
    path.stem[1:5] for path in Path(__file__).parent.glob("migrations/versions/v[0-9]*.py")
)
"""The newest migration of this release: it does not run on an older database."""


LOCK_WAIT_S: Final = 0.1
"""The lock time-out of a writing statement, in seconds: usually a lock is released within
milliseconds."""


def shares(size: int) -> tuple[int, int]:
    """How many of `size` connections, 2 or more, are for reading, and how many for writing.

    Of those that write, one is for batches of orders and two are for batches of edits, if there are
    so many; the others are for writes that meet a lock.
    """
    writing = min(4, max(size // 3, min(2, size // 2)))
    return size - writing, writing


async def open_pool(
    database_url: str,
    *,
    size: int,
    command_timeout_s: float,
    name: str,
    lock_wait_s: float | None = None,
    is_pooled: bool = False,
) -> Pool:
    """Open a pool of connections.

    Connections are handed out as they are: our statements leave no session state behind, so the
    reset that asyncpg sends after each use, a round trip of its own, is left out. The pool opens
    whether or not Postgres is there yet: connections are made when they are needed, each to the
    host that is the primary then.

    Args:
        database_url: of Postgres, with user and password.
        size: the most connections.
        command_timeout_s: a statement is given up after so many seconds.
        name: the application name of each connection.
        lock_wait_s: Postgres cancels a statement, with nothing written, once it has waited so many
            seconds for one lock; None: there is no such time-out.
        is_pooled: a pooler in transaction mode may run each statement on another of its
            connections, so nothing is prepared or set for a session. The pooler must set `PLANNER`.
    """
    lock_wait = {} if lock_wait_s is None else {"lock_timeout": f"{lock_wait_s * 1000:.0f}"}
    of_session = {} if is_pooled else PLANNER | lock_wait
    return await asyncpg.create_pool(
        connect=Primary(database_url).connect,
        min_size=0,
        max_size=size,
        command_timeout=command_timeout_s,
        reset=_keep,
        statement_cache_size=0 if is_pooled else _STATEMENTS_KEPT,
        server_settings={"application_name": name} | of_session,
    )


async def open_replica(database_url: str, *, size: int, command_timeout_s: float) -> Pool:
    """Open connections to a standby, for reading; a promoted one is accepted, too.

    Args:
        database_url: where it is.
        size: the most connections.
        command_timeout_s: a statement is given up after so many seconds.
    """
    return await asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=size,
        command_timeout=command_timeout_s,
        reset=_keep,
        server_settings={"application_name": "yabam-core", **PLANNER},
    )


class Primary:
    """The server that takes writes, among all the hosts of a URL.

    A standby is never accepted: connections to one would stay in a pool and refuse every write
    until its promotion.

    Args:
        database_url: `postgresql://user:password@host:port,host:port/database`.
    """

    def __init__(self, database_url: str) -> None:
        self._urls = hosts_of(database_url)

    async def connect(self, *_: Any, **arguments: Any) -> _Connection:
        """A new connection; the host that was the primary last is asked first.

        Args:
            arguments: as of `asyncpg.connect`.

        Raises:
            Exception: the error of the last host that was tried, as `asyncpg.connect` raises it.
        """
        # With one host there is no other to try, so the usual time-out applies.
        patience = None if len(self._urls) == 1 else _HOST_WITHIN_S
        urls = list(self._urls)
        for url in urls:
            try:
                async with asyncio.timeout(patience):
                    connection: _Connection = await asyncpg.connect(
                        url, target_session_attrs=SessionAttribute.primary, **arguments
                    )
            except Exception as error:
                if absence_of(error) is None or url == urls[-1]:
                    raise
            else:
                self._urls.remove(url)
                self._urls.insert(0, url)
                return connection
        raise AssertionError("the URL needs a host")


def hosts_of(database_url: str) -> list[str]:
    """The URL of each host that it names, alike in all else."""
    scheme, _, rest = database_url.partition("://")
    end = min(at for at in (rest.find("/"), rest.find("?"), len(rest)) if at >= 0)
    user, at, hosts = rest[:end].rpartition("@")
    return [f"{scheme}://{user}{at}{host}{rest[end:]}" for host in hosts.split(",")]


async def check_database(pool: Pool) -> None:
    """Check that Postgres answers, takes writes and is migrated.

    A newer migration than this release needs is accepted, as during an upgrade.

    Raises:
        UnavailableError: one of these does not hold.
    """
    with mapped_errors():
        async with asyncio.timeout(_CHECK_WITHIN_S):
            row = await pool.fetchrow(_CHECK)
    trouble = _trouble_of(row)
    if trouble is not None:
        told = f"the database is not available: {trouble}"
        raise UnavailableError(told, told)


def _trouble_of(row: asyncpg.Record | None) -> str | None:
    if row is None:
        return "it has no epoch: run yabam db upgrade"
    _epoch, revision, is_read_only = row
    if revision is None or revision < NEEDED_REVISION:
        return f"it is at migration {revision}, not yet at {NEEDED_REVISION}: run yabam db upgrade"
    return READ_ONLY if is_read_only else None


def absence_of(error: BaseException) -> str | None:
    """Why the error means that the database is not available now.

    None: it does not mean that. The error concerns the data of one statement, or is a bug, and a
    retry would fail again.
    """
    if isinstance(error, asyncpg.DataError):  # which is an InterfaceError, too: a bad argument
        return None
    if isinstance(error, TargetServerAttributeNotMatched):
        return READ_ONLY
    if isinstance(error, asyncpg.PostgresError):
        told = told_by(error)
        return told[1] if told is not None and told[0] in IS_ABSENT else None
    return "it cannot be reached" if isinstance(error, _UNREACHABLE) else None


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn errors of an unavailable Postgres into ours.

    Raises:
        LockedError: a statement has waited too long for a lock.
        UnavailableError: Postgres does not answer, or takes no statements now.
    """
    try:
        yield
    except Exception as error:
        reason = absence_of(error)
        if reason is None:
            raise
        told = f"the database is not available: {reason}"
        detail = f"{told} ({str(error) or type(error).__name__})"
        kind = LockedError if means(error, Meaning.LOCKED) else UnavailableError
        raise kind(detail, told) from error


@contextmanager
def any_error_mapped(but: Collection[Meaning] = ()) -> Iterator[None]:
    """`mapped_errors`, and all other errors of Postgres as well: for work that is retried until it
    is done, which must not end because of an unexpected kind of error.

    Args:
        but: errors of these meanings are not mapped.

    Raises:
        LockedError, UnavailableError: as `mapped_errors`, and for each error of Postgres.
    """
    try:
        with mapped_errors():
            yield
    except asyncpg.PostgresError as error:
        meant = told_by(error)
        if meant is not None and meant[0] in but:
            raise
        # Only the first line: the lines that Postgres adds may quote the row.
        reason = str(error).partition("\n")[0]
        raise UnavailableError(f"the database answers with an error: {reason}") from error


@asynccontextmanager
async def transaction(
    pool: Pool, *, isolation: Literal["read_committed"] | None = None
) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy[asyncpg.Record]]:
    """A connection in a transaction of its own.

    Args:
        pool: where it comes from.
        isolation: the isolation level; None: the database's default.

    Raises:
        LockedError, UnavailableError: as `mapped_errors`.
    """
    with mapped_errors():
        async with pool.acquire() as connection, connection.transaction(isolation=isolation):
            yield connection


async def _keep(_connection: object) -> None:
    return None
