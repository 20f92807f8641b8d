"""A PostgreSQL standby, which streams from a primary and can take over from it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

from tests.drilled_postgres import DrilledPostgres

_FOLLOWING: Final = (
    "SELECT EXISTS (SELECT FROM pg_stat_replication"
    " WHERE application_name = $1 AND state = 'streaming')"
)
_ASK_AGAIN_S: Final = 0.02
_HAS_IT: Final = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)"
_RECEIVING: Final = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver)"


class Standby:
    """The standby of a primary.

    Args:
        primary: the primary, which must run.
        data: the standby's folder, which must not exist; its name is the standby's name.
        port: the standby's port; 0 chooses a free one.
        durable: whether it uses fsync; only tests that throw the data away may turn it off.
        settings: more settings of PostgreSQL.
    """

    def __init__(
        self,
        primary: DrilledPostgres,
        data: Path,
        port: int = 0,
        *,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.primary = primary
        self.server = DrilledPostgres(data, port, durable=durable, settings=settings)
        self._data = data

    def start(self) -> None:
        """Make a base backup of the primary, and start it as the standby."""
        self.primary.copy_to(self._data, follows=True)
        self.server.start()

    def stop(self) -> None:
        """Stop the standby at once, if it runs."""
        if self.server.process.running:
            self.server.stop_at_once()

    async def follow(self, *, is_synchronous: bool) -> None:
        """Wait until the standby streams and has everything that the primary has written.

        From then on each commit waits for the standby, if `is_synchronous`; otherwise none does.
        """
        name = self._data.name if is_synchronous else ""
        admin = await asyncpg.connect(self.primary.url)
        try:
            await _until_true(admin, _FOLLOWING, self._data.name)
            await admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            await admin.execute("SELECT pg_reload_conf()")
            await _until_true(
                admin, "SELECT current_setting('synchronous_standby_names') = $1", name
            )
        finally:
            await admin.close()
        await self._catch_up()

    async def fall_behind(self) -> None:
        """Let the standby receive nothing more; it has everything that was written before."""
        await self._catch_up()
        admin = await asyncpg.connect(self.server.url)
        try:
            await admin.execute("ALTER SYSTEM SET primary_conninfo = ''")
            await admin.execute("SELECT pg_reload_conf()")
            await _until_true(admin, f"SELECT NOT ({_RECEIVING})")
        finally:
            await admin.close()

    async def _catch_up(self) -> None:
        primary = await asyncpg.connect(self.primary.url)
        standby = await asyncpg.connect(self.server.url)
        try:
            written = await primary.fetchval("SELECT pg_current_wal_lsn()::text")
            await _until_true(standby, _HAS_IT, written)
        finally:
            await primary.close()
            await standby.close()

    def take_over(self) -> None:
        """Kill the primary and promote the standby; no process is told the new address."""
        self.primary.kill()
        self.server.promote()


async def _until_true(
    admin: asyncpg.Connection[asyncpg.Record], question: str, *arguments: str
) -> None:
    """Ask until the answer is true, as Postgres does not notify when it changes."""
    while not await admin.fetchval(question, *arguments):  # noqa: ASYNC110
        await asyncio.sleep(_ASK_AGAIN_S)
