"""An earlier state of the database is put back in place, under a sender of webhooks that works on.

A file system's snapshot leaves the identity of the database and its epoch as they were, and gives
seqs to other orders that receivers have seen already.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from core_api.postgres.pool import open_pool
from core_api.restore.epoch_guard import LifetimeGuard
from core_api.restore.main import RelayLog
from deploy.local.broker import EmbeddedBroker
from deploy.local.stack import Addresses, Stack, free_ports
from deploy.local.webhook_sender import add_sender
from deploy.processes.ports import free_port
from tests.data_folder import data_folder
from tests.drilled_postgres import DrilledPostgres
from tests.forked import FORKED
from tests.integration.core_service import KEYS, CoreService, an_order, bearer, new_store, token
from tests.parts import ROOMY, migrated_database
from tests.webhook_receiver import Receiver

pytestmark = pytest.mark.xdist_group("webhook-process")


@dataclass
class Machine:
    """A PostgreSQL whose folder can be put back."""

    postgres: DrilledPostgres
    database: str
    folder: Path

    async def snapshot(self) -> None:
        """Keep the folder as it is now, as a file system's snapshot does."""
        await asyncio.to_thread(self.postgres.stop)
        self._copy("data", "snapshot")
        await asyncio.to_thread(self.postgres.start)

    async def put_back(self) -> None:
        """Put what was kept in the place of the folder."""
        await asyncio.to_thread(self.postgres.stop)
        shutil.rmtree(self.folder / "data")
        self._copy("snapshot", "data")
        await asyncio.to_thread(self.postgres.start)

    async def epoch(self) -> str:
        connection = await asyncpg.connect(self.database)
        try:
            return str(await connection.fetchval("SELECT epoch FROM epoch"))
        finally:
            await connection.close()

    async def until_none(self, rows: str) -> None:
        """Return once there are no such rows."""
        connection = await asyncpg.connect(self.database)
        try:
            async with asyncio.timeout(60):
                while await connection.fetchval(f"SELECT count(*) {rows}"):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        finally:
            await connection.close()

    def _copy(self, source: str, target: str) -> None:
        # With its owner, who is not the one that runs the tests.
        command = ["cp", "--archive", str(self.folder / source), str(self.folder / target)]
        subprocess.run(command, check=True)


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    with data_folder("yabam-put-back-") as folder:
        postgres = DrilledPostgres(folder / "data")
        try:
            await asyncio.to_thread(postgres.start)
            yield Machine(postgres, await migrated_database(postgres), folder)
        finally:
            await asyncio.to_thread(postgres.stop_at_once)


@pytest.fixture
async def stack(machine: Machine) -> AsyncIterator[Stack]:
    """Core, a relay and a sender of webhooks, ready."""
    broker = EmbeddedBroker(machine.folder)
    await asyncio.to_thread(broker.start)
    addresses = Addresses(machine.database, broker.bootstrap, ports=free_ports())
    made = Stack(
        addresses, KEYS, machine.folder, ROOMY | {"YABAM_RELAY_LEASE_S": "2"}, starter=FORKED
    )
    sender = add_sender(made, free_port())
    try:
        for process in (made.core, made.relay, sender):
            process.start()
        for process in (made.core, made.relay, sender):
            await asyncio.to_thread(process.wait_ready, 120)
        yield made
    finally:
        for process in (made.core, made.relay, sender):
            process.kill()
        broker.kill()


async def test_a_receiver_takes_the_orders_of_a_database_that_was_put_back_and_is_told_of_it(
    machine: Machine, stack: Stack
) -> None:
    core = CoreService.over(machine.database, stack)
    store = new_store()
    headers = bearer(token("owner", store))

    async def place() -> str:
        while True:
            answer = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
            if answer.status_code == 201:
                return str(answer.json()["id"])
            # Core has not found the database again yet.
            assert answer.status_code == 503, answer.text

    def has(order: str) -> None:
        (message,) = [one for one in receiver.taken if one.body["data"].get("order_id") == order]
        ids[order] = message.id

    ids: dict[str, str] = {}
    async with Receiver() as receiver:
        answer = await core.client.post(
            "/v1/webhooks", json={"url": receiver.url, "stores": [store]}, headers=headers
        )
        receiver.secret = answer.json()["secret"]
        kept = await place()
        await receiver.until(lambda r: len(r.taken) == 1)
        await machine.until_none("FROM webhook_lanes WHERE seq < 1 OR held_until > now()")
        before = await machine.epoch()
        await machine.snapshot()
        lost = await place()
        await receiver.until(lambda r: len(r.taken) == 2)
        await machine.until_none("FROM outbox")

        # Nobody judges the database meanwhile, and the sender works on.
        await asyncio.to_thread(stack.relay.stop)
        await machine.put_back()
        assert await machine.epoch() == before
        new = await place()
        await receiver.until(lambda r: len(r.taken) == 3)
        for order in (kept, lost, new):
            has(order)
        assert receiver.taken[1].seq == receiver.taken[2].seq, "the seq was given again"
        assert len(set(ids.values())) == 3, "who drops ids that it has would lose the new order"

        stack.relay.start()
        await receiver.until(lambda r: len(r.taken) == 4)
        gap = receiver.taken[3].body
        assert (gap["type"], gap["data"]["reason"]) == ("webhook.gap", "epoch")
        assert gap["epoch"] == await machine.epoch() > before
        after = await place()
        await receiver.until(lambda r: len(r.taken) == 5)
        has(after)
        assert len(set(ids.values())) == 4
    await core.client.aclose()


async def test_a_relay_that_works_sees_by_the_databases_own_log_that_it_went_back(
    machine: Machine,
) -> None:
    """Also where nothing that was lost had been published; and two relays begin one epoch."""
    pool = await open_pool(machine.database, size=2, command_timeout_s=30, name="test")
    log = RelayLog(pool, "127.0.0.1:1", "order-events", 2.0)
    guards = [LifetimeGuard(log, 1, lambda: None, lambda: None) for _ in range(2)]
    try:
        before = await machine.epoch()
        await machine.snapshot()
        await pool.execute("CREATE TABLE lost AS SELECT generate_series(1, 1000)")
        for guard in guards:
            await guard.check_identity()
        assert await machine.epoch() == before
        await machine.put_back()
        with capture_logs() as logs:
            for guard in guards:
                await guard.check_identity()
                await guard.check_identity()
        (begun,) = [line for line in logs if line["event"] == "epoch_begun"]
        assert "it was restored to an earlier state" in begun["signs"][0]
        assert await machine.epoch() > before
    finally:
        await pool.close()


async def test_a_database_that_crashes_has_not_gone_back(machine: Machine) -> None:
    pool = await open_pool(machine.database, size=2, command_timeout_s=30, name="test")
    log = RelayLog(pool, "127.0.0.1:1", "order-events", 2.0)
    guard = LifetimeGuard(log, 1, lambda: None, lambda: None)
    try:
        before = await machine.epoch()
        for _ in range(3):
            await pool.execute("UPDATE epoch SET started_at = now()")
            await guard.check_identity()
            await asyncio.to_thread(machine.postgres.kill)
            await asyncio.to_thread(machine.postgres.start)
        await guard.check_identity()
        assert await machine.epoch() == before
    finally:
        await pool.close()
