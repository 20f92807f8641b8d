"""The statements of the table of revocations.

Each row's `id` rises with each change of it, in the order of the commits, so that a reader that has
all up to some id misses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from core_api.errors import TooManyRevocationsError
from core_api.postgres.pool import Pool, mapped_errors, transaction
from core_api.postgres.trim_around_damage import trim_by_age
from server_common.limits import REVOCATIONS
from server_common.revocations.records import Revocation, RevocationKind, key_of

PAGE: Final = 5000

# Two that came at once would commit in either order, whatever their ids are.
_ORDER: Final = "SELECT pg_advisory_xact_lock(7061646)"
_FULL: Final = """
SELECT count(*) >= $3 AND NOT EXISTS (SELECT FROM revocations WHERE kind = $1 AND name = $2)
FROM revocations
"""
_REVOKE: Final = """
INSERT INTO revocations AS r (kind, name, before, until, made_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, name) DO UPDATE SET
    id = DEFAULT, before = greatest(r.before, excluded.before), made_by = excluded.made_by,
    until = CASE WHEN r.until IS NULL OR excluded.until IS NULL THEN NULL
                 ELSE greatest(r.until, excluded.until) END,
    made_at = now(), told_at = NULL
"""
_NOW: Final = "SELECT now()"
_NEWEST: Final = "SELECT coalesce(max(id), 0) FROM revocations"
_AFTER: Final = """
SELECT id, kind, name, before, extract(epoch FROM until)::float8
FROM revocations WHERE id > $1 ORDER BY id LIMIT $2
"""
_UNTOLD: Final = """
SELECT id, kind, name, before FROM revocations WHERE told_at IS NULL ORDER BY id LIMIT $1
"""
_TOLD: Final = "UPDATE revocations SET told_at = now() WHERE id = ANY($1::bigint[])"
_LIST: Final = """
SELECT kind, name, before, until, made_by, made_at FROM revocations ORDER BY id DESC LIMIT $1
"""


@dataclass(frozen=True, slots=True)
class NewRevocation:
    """What somebody wants revoked."""

    kind: RevocationKind
    name: str
    """The token's `jti`, the session's `sid`, or the subject."""
    before: int
    """Of a subject: until which second, since 1970, its tokens were made."""
    until: datetime | None
    """When it may be forgotten, as the last such token has expired; None: never."""
    made_by: str


class StoredRevocation(NamedTuple):
    """A row, as those read it who obey it."""

    id: int
    revocation: Revocation
    until: float | None
    """When it may be forgotten, in seconds since 1970; None: never."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A row, as a person reads it."""

    kind: str
    name: str
    before: int
    until: datetime | None
    made_by: str
    made_at: datetime


async def revoke(pool: Pool, wanted: NewRevocation, room: int = 0) -> None:
    """Store it. Of the same once more, what reaches further counts.

    Args:
        pool: the database.
        wanted: what is to be revoked.
        room: how many there may be beyond REVOCATIONS.

    Raises:
        TooManyRevocationsError: there are as many as may be.
        UnavailableError: the database does not answer.
    """
    async with transaction(pool) as connection:
        await connection.execute(_ORDER)
        if await connection.fetchval(_FULL, wanted.kind, wanted.name, REVOCATIONS + room):
            raise TooManyRevocationsError(
                f"{REVOCATIONS} are revoked already: say `until` when their tokens expire, "
                "or take a key that is not needed from the ring"
            )
        await connection.execute(
            _REVOKE, wanted.kind, wanted.name, wanted.before, wanted.until, wanted.made_by
        )


async def database_now(pool: Pool) -> datetime:
    """What time it is at the database. Raises UnavailableError."""
    with mapped_errors():
        now: datetime = await pool.fetchval(_NOW)
    return now


async def newest_id(pool: Pool) -> int:
    """The id of the newest row; 0: there is none. Raises UnavailableError."""
    with mapped_errors():
        return int(await pool.fetchval(_NEWEST))


async def read_after(pool: Pool, after: int) -> list[StoredRevocation]:
    """The next page of rows after an id. Raises UnavailableError."""
    with mapped_errors():
        rows = await pool.fetch(_AFTER, after, PAGE)
    return [StoredRevocation(row[0], _revocation(row[1], row[2], row[3]), row[4]) for row in rows]


async def read_untold(pool: Pool, limit: int) -> list[tuple[int, Revocation]]:
    """The oldest rows that event servers have not been told. Raises UnavailableError."""
    with mapped_errors():
        rows = await pool.fetch(_UNTOLD, limit)
    return [(row[0], _revocation(row[1], row[2], row[3])) for row in rows]


async def note_told(pool: Pool, ids: Sequence[int]) -> None:
    """Note that event servers have been told. Raises UnavailableError."""
    with mapped_errors():
        await pool.execute(_TOLD, ids)


async def list_newest(pool: Pool, limit: int) -> list[Listed]:
    """The newest rows. Raises UnavailableError."""
    with mapped_errors():
        rows = await pool.fetch(_LIST, limit)
    return [Listed(*row) for row in rows]


trim_revocations: Final = trim_by_age("revocations", "kind, name", "until")
"""Forgets those whose last token expired long ago."""


def _revocation(kind: RevocationKind, name: str, before: int) -> Revocation:
    return Revocation(kind, key_of(kind, name), before)
