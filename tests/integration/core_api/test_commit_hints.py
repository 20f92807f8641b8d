"""Hints: whoever listens knows whether they arrive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import asyncpg
import pytest

from core_api.postgres.commit_hints import CHANNEL, Hints
from core_api.postgres.pool import Primary

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND pid <> ALL($1::int[])"


@contextlib.asynccontextmanager
async def listening(hints: Hints) -> AsyncIterator[None]:
    task = asyncio.create_task(hints.listen())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(hints: Hints, *, arrive: bool) -> None:
    async with asyncio.timeout(60):
        while hints.arrive is not arrive:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.01)


async def test_hints_arrive_once_the_listener_has_heard_its_own_word(
    pool: Pool, database_url: str
) -> None:
    heard = asyncio.Event()
    hints = Hints(pool, database_url, heard.set)
    assert not hints.arrive
    async with listening(hints):
        await until(hints, arrive=True)
        assert not heard.is_set(), "its own word says of no commit"
        await pool.execute("SELECT pg_notify('yabam_outbox', '')")
        async with asyncio.timeout(60):
            await heard.wait()
    assert not hints.arrive


async def test_hints_do_not_arrive_where_what_is_listened_for_is_swallowed(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: asyncio.Queue[object] = asyncio.Queue()
    watcher = await Primary(database_url).connect()
    try:
        await watcher.add_listener(CHANNEL, lambda *told: words.put_nowait(told[-1]))

        async def swallow(*_: object) -> None:
            """As a pooler in transaction mode does."""

        monkeypatch.setattr(asyncpg.Connection, "add_listener", swallow)
        hints = Hints(pool, database_url, lambda: None)
        async with listening(hints), asyncio.timeout(60):
            assert await words.get()
            assert not hints.arrive
    finally:
        await watcher.close()


async def test_hints_that_arrived_do_so_no_more_once_the_connection_is_cut(
    pool: Pool, database_url: str
) -> None:
    before = [row[0] for row in await pool.fetch(LISTENERS, [])]
    hints = Hints(pool, database_url, lambda: None)
    async with listening(hints):
        await until(hints, arrive=True)
        ours = [row[0] for row in await pool.fetch(LISTENERS, before)]
        assert len(ours) == 1
        await pool.execute("SELECT pg_terminate_backend($1)", ours[0])
        await until(hints, arrive=False)
        await until(hints, arrive=True)
