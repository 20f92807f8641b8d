"""After a restore of the database nobody prints, or confirms, a ticket for another one.

An agent or a printer learns of a restore only when its stream or its next poll says so. Until then
it asks for the jobs that it knows, whose orders' versions Core has given to other events by now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from client_sdk.printer.core_source import CoreSource
from client_sdk.printer.source import Job
from core_api.restore.lineage import start_epoch
from core_api.restore.main import epoch_after
from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.parts import migrated_database
from tests.star_printer import StarPrinter

DEVICE = "kitchen-1"
AGENT = "agent-1"
BEFORE = [{"name": "Tea", "quantity": 1, "unit_price": 100}]
AFTER = [{"name": "Stew", "quantity": 1, "unit_price": 900}]


@dataclass
class Kitchen:
    """A store whose accepted orders print, on a database of its own."""

    core: CoreService
    postgres: EmbeddedPostgres
    star: str
    """The printer's CloudPRNT URL."""
    store: str = field(default_factory=new_store)

    @property
    def owner(self) -> str:
        return token("owner", self.store)

    async def ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        answer = await self.core.client.request(method, path, json=body, headers=bearer(self.owner))
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def accept(self, order: str, items: list[dict[str, Any]]) -> None:
        """Give the order these items, and accept it: its third version, which is printed."""
        await self.ask("PATCH", f"/v1/orders/{order}", {"items": items})
        await self.ask("POST", f"/v1/orders/{order}/transitions", {"to": "accepted"})

    async def placed(self) -> str:
        body = an_order(self.store, items=BEFORE)
        return str((await self.ask("POST", "/v1/orders", body))["id"])

    async def back_up(self) -> str:
        """Copy the database; the name of the copy."""
        name = self.core.database.rpartition("/")[2]
        await asyncio.to_thread(self.core.stop)
        await self._run(f"CREATE DATABASE {name}_b TEMPLATE {name}")
        await asyncio.to_thread(self._start)
        return f"{name}_b"

    async def restore(self, copy: str) -> None:
        """Put the copy in the place of the database."""
        name = self.core.database.rpartition("/")[2]
        await asyncio.to_thread(self.core.stop)
        await self._run(f"DROP DATABASE {name} WITH (FORCE)")
        await self._run(f"ALTER DATABASE {copy} RENAME TO {name}")
        await asyncio.to_thread(self._start)

    async def begin_epoch(self) -> None:
        """What `yabam db new-epoch` does after a restore (docs/restore.md)."""
        connection = await asyncpg.connect(self.core.database)
        await start_epoch(connection, epoch_after)
        await connection.close()

    def _start(self) -> None:
        self.core.stack.core.start()
        self.core.stack.core.wait_ready(60)

    async def _run(self, statement: str) -> None:
        admin = await asyncpg.connect(self.postgres.url)
        await admin.execute(statement)
        await admin.close()

    def agent(self) -> CoreSource:
        return CoreSource(self.core.stack.core_url, self.owner, self.store, DEVICE, AGENT)

    async def state_of(self, job: Job) -> str:
        """How Core says that the job stands."""
        answer = await self.core.client.get(
            "/v1/documents",
            params={"channel": f"device:{self.store}/{DEVICE}", "key": f"print.{job.id}"},
            headers=bearer(self.owner),
        )
        return str(answer.json()["value"]["state"])


@pytest.fixture
async def kitchen(postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Kitchen]:
    database = await migrated_database(postgres_server)
    core = await asyncio.to_thread(CoreService.start, database, tmp_path)
    made = Kitchen(core, postgres_server, "")
    device = f"/v1/stores/{made.store}/devices/{DEVICE}"
    told = await made.ask("PUT", device, {})
    made.star = f"{core.stack.core_url}/cloudprnt/{told['user']}.{told['password']}/printer"
    printing = {"statuses": ["accepted"], "language": "en", "media": "text"}
    edit = {"n": 1, "channel": f"team:{made.store}", "key": "printing",
            "do": {"set": {"printers": {DEVICE: printing}}}}  # fmt: skip
    await made.ask("POST", "/v1/edits", {"client": f"c-{made.store}", "edits": [edit]})
    yield made
    core.stop()
    await core.client.aclose()


async def job_of(agent: CoreSource, dish: str) -> Job:
    """The job whose ticket names this dish, once it is known."""
    async with asyncio.timeout(60):
        while True:
            for job in agent.jobs():
                if any(dish in line.text for line in job.lines):
                    return job
            await agent.changed(1.0)


async def test_an_agent_does_not_print_the_ticket_of_an_event_that_a_restore_has_taken_back(
    kitchen: Kitchen,
) -> None:
    order = await kitchen.placed()
    copy = await kitchen.back_up()
    await kitchen.accept(order, BEFORE)
    async with kitchen.agent() as unaware:
        old = await job_of(unaware, "Tea")
    await kitchen.restore(copy)
    await kitchen.accept(order, AFTER)
    async with kitchen.agent() as agent:
        new = await job_of(agent, "Stew")
        await agent.hold(())
        # What it knew before it heard of the restore.
        assert await agent.take(old) is None
        taken = await agent.take(new)
        assert taken is not None
        assert (taken.state, taken.attempts) == ("sent", 1)
        await agent.tell(old.id, 1, "done", "")
        assert await kitchen.state_of(new) == "sent"
        await agent.tell(new.id, 1, "done", "")
        assert await kitchen.state_of(new) == "done"


async def test_a_star_printer_does_not_confirm_a_ticket_by_the_token_of_one_before_a_restore(
    kitchen: Kitchen,
) -> None:
    order = await kitchen.placed()
    copy = await kitchen.back_up()
    await kitchen.accept(order, BEFORE)
    async with httpx.AsyncClient(timeout=30) as http:
        printer = StarPrinter(kitchen.star, http, supports=("text/plain",))
        old = await offered(printer)
        assert "Tea" in (await printer.fetch(old, "text/plain")).text
        await kitchen.restore(copy)
        await kitchen.accept(order, AFTER)
        new = await offered(printer)
        assert (await printer.fetch(old, "text/plain")).status_code == 404
        assert "Stew" in (await printer.fetch(new, "text/plain")).text
        await printer.confirm(token=old["jobToken"])
        async with kitchen.agent() as agent:
            assert await kitchen.state_of(await job_of(agent, "Stew")) == "sent"


async def test_a_ticket_that_waited_in_the_backup_and_was_printed_since_comes_with_a_mark(
    kitchen: Kitchen,
) -> None:
    await kitchen.accept(await kitchen.placed(), BEFORE)
    async with httpx.AsyncClient(timeout=30) as http:
        printer = StarPrinter(kitchen.star, http, supports=("text/plain",))
        await offered(printer)
        copy = await kitchen.back_up()
        assert await printer.cycle()
        assert b"REPEAT" not in printer.papers[0][1]
        await kitchen.restore(copy)
        await kitchen.begin_epoch()
        again = await printer.fetch(await offered(printer), "text/plain")
        assert "Tea" in again.text
        assert "REPEAT" in again.text


async def offered(printer: StarPrinter) -> dict[str, Any]:
    """Poll until there is something to print; the answer."""
    async with asyncio.timeout(60):
        while not (answer := await printer.poll())["jobReady"]:
            pass
    return answer
