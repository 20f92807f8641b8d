"""A recovery to a point in time, from the base backup to clients that agree with the database.

1. Postgres archives its log. Orders are placed; a base backup is made while they are.
2. More orders, the point in time, and more orders still, which clients see.
3. Postgres' folder is lost. Core, relay and ingest are stopped; event servers and clients go on.
4. A new folder is made from the base backup and the archive, up to the point in time.
5. `yabam db restore-check` is run, as docs/restore.md says, and everything is started.
6. The orders until the point in time are there, later ones are not. Each client gets a reset, and
   then has the orders of the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg

from client_sdk import Item, OrderProducer
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.kafka.server import KafkaServer
from deploy.local.broker import EmbeddedBroker
from deploy.local.stack import Addresses, Keys, Stack, free_ports
from deploy.processes.process import Starter, execute
from tests.drilled_postgres import DrilledPostgres
from tests.end_to_end.followers import Follower, orders_of

_KEYS: Final = Keys(*(f"drill-{what}-key-{'t' * 32}" for what in ("token", "ticket", "devices")))
_CHANNELS: Final = ("store:1", "table:1/1", "table:1/2")
_ITEMS: Final = [Item("Bibimbap", 1, 9_500)]
_TABLES: Final = 10
"""Enough tables that none has more open orders than allowed."""
_AGREE_WITHIN_S: Final = 90.0


@dataclass
class Report:
    """The results of the drill."""

    point: datetime | None = None
    """The point in time to which the database was restored."""
    kept: int = 0
    """The number of orders that were placed until then."""
    lost: int = 0
    """The number of orders that were placed later, and that clients had received."""
    signs: list[str] = field(default_factory=list)
    """What `yabam db restore-check` has printed."""
    told: dict[str, list[str]] = field(default_factory=dict)
    """The reasons of all resets of each channel's client, in order."""
    backup_s: float = 0.0
    restore_s: float = 0.0
    """The time from the loss until Postgres accepted writes again."""
    agree_s: float = 0.0
    """The time from Core's start until all clients had the orders of the database."""
    wrong: list[str] = field(default_factory=list)
    """What was wrong."""

    def lines(self) -> Sequence[str]:
        """The results as text."""
        told = {reason for reasons in self.told.values() for reason in reasons[1:]}
        return [
            f"base backup: {self.backup_s:.1f} s",
            f"restored to {self.point:%H:%M:%S.%f}: {self.restore_s:.1f} s",
            f"orders kept: {self.kept}; lost with what came later: {self.lost}",
            *(f"restore-check: {sign}" for sign in self.signs),
            f"clients: {len(self.told)}, each told by reset {', '.join(sorted(told))}; "
            f"all agreed with the database after {self.agree_s:.1f} s",
            *(f"WRONG: {one}" for one in self.wrong),
        ]


class Drill:
    """One drill.

    Args:
        folder: for data, archive and logs; other users must be able to enter it.
        kafka: Kafka, which must run.
        orders: how many orders are placed in each of the three parts.
        starter: starts the processes.
    """

    def __init__(
        self,
        folder: Path,
        kafka: KafkaServer | EmbeddedBroker,
        orders: int,
        *,
        starter: Starter = execute,
    ) -> None:
        self._folder = folder
        self._archive = folder / "archive"
        self._orders = orders
        archived = {
            "archive_mode": "on",
            "archive_command": f"test ! -f {self._archive}/%f && cp %p {self._archive}/%f",
        }
        self._postgres = DrilledPostgres(folder / "postgres", settings=archived)
        self._stack = Stack(
            Addresses(self._postgres.url, kafka.bootstrap, ports=free_ports()),
            _KEYS,
            folder,
            {"YABAM_RELAY_LEASE_S": "2"},
            starter=starter,
        )
        owner = Caller("owner", "owner", frozenset({"1"}))
        self._token = token_keys({"local": _KEYS.token}, "local").sign(owner, 3600)
        self.report = Report()

    async def run(self) -> Report:
        """Run the drill. Returns its results."""
        self._archive.mkdir()
        self._archive.chmod(0o777)
        await asyncio.to_thread(self._postgres.start)
        try:
            await asyncio.to_thread(self._stack.migrate)
            await asyncio.to_thread(self._stack.start)
            async with self._followed() as followers:
                await self._rehearse(followers)
        finally:
            await asyncio.to_thread(self._stack.kill)
            if self._postgres.process.running:
                await asyncio.to_thread(self._postgres.stop_at_once)
        return self.report

    async def _rehearse(self, followers: Sequence[Follower]) -> None:
        report, core = self.report, self._stack.core_url
        async with OrderProducer(core, self._token, attempts=30) as producer:
            kept = await self._place(producer)
            begun = time.monotonic()
            await asyncio.to_thread(self._postgres.copy_to, self._folder / "base")
            report.backup_s = time.monotonic() - begun
            kept |= await self._place(producer)
            point = await self._fetch("SELECT clock_timestamp()")
            assert isinstance(point, datetime)
            report.point = point
            lost = await self._place(producer)
            await self._agreed(followers, resets=1)
            await self._archived()
            report.kept, report.lost = len(kept), len(lost)

            begun = time.monotonic()
            await asyncio.to_thread(self._lose)
            await asyncio.to_thread(self._restore)
            report.restore_s = time.monotonic() - begun
            there = await self._there()
            self._expect(kept <= there, f"{len(kept - there)} orders from before are missing")
            self._expect(not lost & there, f"{len(lost & there)} orders from after are there")
            report.signs = await asyncio.to_thread(self._check)
            self._expect(bool(report.signs), "restore-check found no sign")

            begun = time.monotonic()
            await asyncio.to_thread(self._start_again)
            await self._place(producer)
            await self._agreed(followers, resets=2)
            report.agree_s = time.monotonic() - begun
        report.told = {one.channel: one.resets for one in followers}
        for channel, resets in report.told.items():
            self._expect(resets == ["first_sync", "epoch"], f"{channel} was told by {resets}")

    @contextlib.asynccontextmanager
    async def _followed(self) -> AsyncIterator[Sequence[Follower]]:
        followers = [Follower(self._stack.core_url, self._token, one) for one in _CHANNELS]
        for follower in followers:
            follower.start()
        try:
            yield followers
        finally:
            for follower in followers:
                await follower.stop()

    async def _place(self, producer: OrderProducer) -> set[str]:
        """Place orders and accept them. Returns their ids."""
        placed = set()
        for n in range(self._orders):
            table = str(n % _TABLES + 1)
            order = await producer.place("1", _ITEMS, currency="KRW", table_id=table)
            await producer.transition(order.id, "accepted")
            placed.add(order.id)
        return placed

    async def _agreed(self, followers: Sequence[Follower], resets: int) -> None:
        """Wait until each client has had so many resets and has the database's open orders."""
        async with asyncio.timeout(_AGREE_WITHIN_S):
            for follower in followers:
                expected = await orders_of(self._postgres.url, follower.channel)
                while len(follower.resets) != resets or follower.orders != expected:
                    follower.check_running()
                    await asyncio.sleep(0.02)

    async def _archived(self) -> None:
        """Wait until all commits are in the archive."""
        name = await self._fetch("SELECT pg_walfile_name(pg_switch_wal())")
        async with asyncio.timeout(_AGREE_WITHIN_S):
            while not (self._archive / str(name)).exists():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def _lose(self) -> None:
        for process in (self._stack.core, self._stack.relay, self._stack.ingest):
            process.stop()
        self._postgres.kill()
        shutil.rmtree(self._folder / "postgres")

    def _restore(self) -> None:
        assert self.report.point is not None
        restored = self._folder / "base"
        (restored / "recovery.signal").touch()
        self._postgres = DrilledPostgres(
            restored,
            self._postgres.port,
            settings={
                "restore_command": f"cp {self._archive}/%f %p",
                "recovery_target_time": self.report.point.isoformat(),
                "recovery_target_action": "promote",
            },
        )
        self._postgres.start()
        self._postgres.until_primary()

    def _check(self) -> list[str]:
        """Run `yabam db restore-check`, as an operator does. Returns what it has found."""
        done = subprocess.run(
            [sys.executable, "-m", "client_sdk.cli", "db", "restore-check"],
            env=os.environ | self._stack.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout.splitlines()
        self._expect(done.returncode == 0, f"restore-check failed: {done.stderr.strip()}")
        return [line for line in said if "nothing shows" not in line][:-1]

    def _start_again(self) -> None:
        those = (self._stack.core, self._stack.relay, self._stack.ingest)
        for process in those:
            process.start()
        for process in those:
            process.wait_ready(60)

    async def _there(self) -> set[str]:
        connection = await asyncpg.connect(self._postgres.url)
        try:
            return {row[0] for row in await connection.fetch("SELECT id::text FROM orders")}
        finally:
            await connection.close()

    async def _fetch(self, question: str) -> object:
        connection = await asyncpg.connect(self._postgres.url)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.report.wrong.append(otherwise)
