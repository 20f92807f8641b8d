"""The table of revocations, what a Core learns from it, and what the relay has to tell."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core_api.access.callers import Caller
from core_api.errors import TooManyRevocationsError, UnauthorizedError, UnavailableError
from core_api.postgres.trim_around_damage import ALL_TIME_S
from core_api.revocations import statements, watching
from core_api.revocations.statements import (
    NewRevocation,
    list_newest,
    note_told,
    read_after,
    read_untold,
    revoke,
    trim_revocations,
)
from core_api.revocations.watching import Revoked
from server_common.revocations.records import Revocation, RevocationKind, key_of

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool


def new(
    name: str, kind: RevocationKind = "token", before: int = 0, until: datetime | None = None
) -> NewRevocation:
    return NewRevocation(kind, name, before, until, "a test")


def holder(token: str) -> Caller:
    return Caller("ann", "owner", token=key_of("token", token), issued_at=100)


def watcher(pool: Pool) -> Revoked:
    return Revoked(pool, time.time, time.monotonic)


async def test_a_core_learns_what_there_is_and_then_what_comes(pool: Pool) -> None:
    await revoke(pool, new("t1"))
    revoked = watcher(pool)
    await revoked.look()
    revoked.check(holder("t2"))
    with pytest.raises(UnauthorizedError, match="revoked"):
        revoked.check(holder("t1"))
    await revoke(pool, new("t2"))
    await revoke(pool, new("bo", "subject", 100))
    await revoked.look()
    for caller in (holder("t1"), holder("t2"), Caller("bo", "owner", issued_at=100)):
        with pytest.raises(UnauthorizedError, match="revoked"):
            revoked.check(caller)
    revoked.check(Caller("bo", "owner", issued_at=101))


async def test_all_is_read_however_many_there_are(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "PAGE", 2)
    monkeypatch.setattr(watching, "PAGE", 2)
    revoked = watcher(pool)
    for number in range(5):
        await revoke(pool, new(f"t{number}"))
    await revoked.look()
    for number in range(5):
        with pytest.raises(UnauthorizedError):
            revoked.check(holder(f"t{number}"))


async def test_before_the_table_is_read_only_ops_are_let_in(pool: Pool) -> None:
    revoked = watcher(pool)
    with pytest.raises(UnavailableError):
        revoked.check(holder("t1"))
    revoked.check(Caller("ops", "ops"))
    assert not revoked.is_read


async def test_another_database_is_read_from_its_beginning(pool: Pool) -> None:
    revoked = watcher(pool)
    for name in ("t1", "t2"):
        await revoke(pool, new(name))
    await revoked.look()
    # As a restore leaves it: fewer rows, and the numbers begin where they were then.
    await pool.execute("DELETE FROM revocations")
    await pool.execute("ALTER TABLE revocations ALTER COLUMN id RESTART WITH 1")
    await revoke(pool, new("t3"))
    await revoked.look()
    revoked.check(holder("t1"))
    with pytest.raises(UnauthorizedError):
        revoked.check(holder("t3"))


async def test_the_same_once_more_is_one_row_that_is_read_and_told_again(pool: Pool) -> None:
    await revoke(pool, new("ann", "subject", 100))
    ((first, _),) = await read_untold(pool, 10)
    await note_told(pool, [first])
    assert await read_untold(pool, 10) == []
    await revoke(pool, new("ann", "subject", 50))
    ((again, told),) = await read_untold(pool, 10)
    assert again > first
    assert told == Revocation("subject", "ann", 100)
    assert [row.id for row in await read_after(pool, first)] == [again]
    # What was told of the row as it was before does not count for what it is now.
    await note_told(pool, [first])
    assert len(await read_untold(pool, 10)) == 1


async def test_what_is_revoked_for_ever_stays_so_whatever_comes_later(pool: Pool) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    await revoke(pool, new("t1"))
    await revoke(pool, new("t1", until=soon))
    await revoke(pool, new("t2", until=soon))
    await revoke(pool, new("t2", until=soon + timedelta(hours=1)))
    kept = {row.name: row.until for row in await list_newest(pool, 10)}
    assert kept == {"t1": None, "t2": soon + timedelta(hours=1)}


async def test_only_what_has_expired_long_ago_is_deleted(pool: Pool) -> None:
    now = datetime.now(UTC)
    await revoke(pool, new("old", until=now - timedelta(hours=2)))
    await revoke(pool, new("lately", until=now - timedelta(minutes=5)))
    await revoke(pool, new("ever"))
    assert await trim_revocations(pool, 3600.0, 10, ALL_TIME_S) == 1
    assert {row.name for row in await list_newest(pool, 10)} == {"lately", "ever"}


async def test_there_is_room_for_so_many_and_a_known_one_needs_none(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "REVOCATIONS", 2)
    await revoke(pool, new("t1"))
    await revoke(pool, new("t2"))
    with pytest.raises(TooManyRevocationsError, match="until"):
        await revoke(pool, new("t3"))
    await revoke(pool, new("t1"))
    # Whoever has the database has some room more.
    await revoke(pool, new("t3"), 1)
    with pytest.raises(TooManyRevocationsError):
        await revoke(pool, new("t4"), 1)


async def test_who_has_read_up_to_a_number_misses_none_that_came_at_once(pool: Pool) -> None:
    seen: list[int] = []

    async def follow() -> None:
        while len(seen) < 40:
            seen.extend(row.id for row in await read_after(pool, max(seen, default=0)))

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(follow())
        for number in range(40):
            group.create_task(revoke(pool, new(f"t{number}")))
    assert seen == sorted(seen)
