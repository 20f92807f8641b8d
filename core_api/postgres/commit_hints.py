"""Hints that something was committed, sent after the commit and never inside it.

NOTIFY takes a database-wide lock at its commit, so it must not be part of an order's transaction.
Here it is a separate statement, and at most one is in progress per process however many orders
commit. Nothing depends on it: a pooler may drop it, and the relay and the tail poll as well. A
listener checks with test hints of its own whether hints arrive (`Hints.arrive`), so that it may
poll less often while they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Final

from core_api.errors import UnavailableError
from core_api.postgres.pool import Pool, Primary, mapped_errors

CHANNEL: Final = "yabam_outbox"
_RETRY_S: Final = 1.0


class Hints:
    """Sends and receives the hints of one process.

    Args:
        pool: where hints are sent from.
        database_url: for the connection that listens.
        received: called for each hint of any process.
    """

    def __init__(self, pool: Pool, database_url: str, received: Callable[[], None]) -> None:
        self._pool = pool
        self._primary = Primary(database_url)
        self._received = received
        self._committed = asyncio.Event()
        self.arrive = False
        """Whether hints are known to arrive over the connection that listens now."""

    def committed(self) -> None:
        """Note that this process has committed something."""
        self._committed.set()

    async def send(self) -> None:
        """Send a hint after commits, for ever."""
        while True:
            await self._committed.wait()
            self._committed.clear()
            try:
                with mapped_errors():
                    await self._pool.execute("SELECT pg_notify($1, '')", CHANNEL)
            except UnavailableError:
                self._committed.set()
                await asyncio.sleep(_RETRY_S)

    async def listen(self) -> None:
        """Receive the hints of all processes, for ever."""
        while True:
            with contextlib.suppress(UnavailableError), mapped_errors():
                await self._listen_once()
            await asyncio.sleep(_RETRY_S)

    async def _listen_once(self) -> None:
        connection = await self._primary.connect()
        closed = asyncio.Event()
        word = secrets.token_hex(8)

        def hear(payload: object) -> None:
            if payload == word:
                self.arrive = True
            else:
                self._received()

        try:
            connection.add_termination_listener(lambda _: closed.set())
            await connection.add_listener(CHANNEL, lambda *told: hear(told[-1]))
            # Sent by another connection, like real hints: a pooler may echo a connection's own.
            await self._pool.execute("SELECT pg_notify($1, $2)", CHANNEL, word)
            await closed.wait()
        finally:
            self.arrive = False
            connection.terminate()
