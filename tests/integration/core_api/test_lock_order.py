"""Who waits for a lock holds none that stands behind it in the order (docs/architecture.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest

from client_sdk.contract.channel import Channel
from client_sdk.contract.state.edit import Edit, EditBatch
from client_sdk.contract.state.operations import Set
from core_api.access.callers import Caller
from core_api.devices.registrations import RegisterDevice, Registrations
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.edits import service as edit_service
from core_api.edits.service import EditService
from core_api.edits.writing import ensure_rows
from core_api.postgres.pool import Pool, open_pool
from core_api.printing.star_printers import StarPrinters
from core_api.printing.statements import lock_printer
from core_api.store_rules.sold_out_or_closed import is_obeyed
from tests.integration.core_api.device_shop import KEYS
from tests.integration.core_api.relaying import until_true
from tests.integration.core_api.test_print_jobs import Store

_WAITS: Final = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND application_name = 'patient' AND datname = current_database()
"""


@pytest.fixture
async def patient(database_url: str) -> AsyncIterator[Pool]:
    """Connections that wait for a lock as long as it takes."""
    pool = await open_pool(database_url, size=6, command_timeout_s=30, name="patient")
    yield pool
    pool.terminate()


@pytest.fixture
def store(patient: Pool) -> Store:
    return Store(patient)


@asynccontextmanager
async def waiting_behind(pool: Pool, other: Any, work: Awaitable[Any]) -> AsyncIterator[None]:
    """While `work` waits for what the transaction of `other` holds; at the end it goes on."""
    task = asyncio.ensure_future(work)
    try:
        await until_true(pool, _WAITS)
        yield
    finally:
        await other.execute("ROLLBACK; BEGIN")
        await task


async def is_free(other: Any, table: str, where: str, *values: Any) -> bool:
    """Whether nobody holds the row."""
    row = f"SELECT 1 FROM {table} WHERE {where} FOR UPDATE NOWAIT"
    try:
        return bool(await other.fetch(row, *values))
    except asyncpg.LockNotAvailableError:
        return False


async def test_a_step_of_a_job_waits_for_the_maker_before_it_locks_the_job(
    store: Store, patient: Pool
) -> None:
    job = await store.a_job()
    await store.held()
    await store.do(job, "take")
    async with patient.acquire() as maker, maker.transaction():
        assert await lock_printer(maker, store.id, "kitchen-1")
        async with waiting_behind(patient, maker, store.do(job, "done")):
            printer = str(store.printer)
            assert await is_free(maker, "documents", "channel = $1 AND key LIKE 'print.%'", printer)
            assert await is_free(maker, "channel_heads", "channel = $1", printer)
    assert (await store.jobs())[0].state == "done"


async def test_who_removes_a_printer_waits_for_its_step_before_its_address_is_locked(
    store: Store, patient: Pool
) -> None:
    registrations = Registrations(store.documents._replace(pool=patient), KEYS)
    registered, _, _ = await registrations.put(store.id, "kitchen-1", RegisterDevice())
    await StarPrinters(patient).keep(registered.identity, f"mac-{store.id}")
    await store.presence.heard(store.printer, "a", [])
    async with patient.acquire() as step, step.transaction():
        await step.fetch(
            "SELECT 1 FROM channel_heads WHERE channel = $1 FOR UPDATE", str(store.printer)
        )
        async with waiting_behind(patient, step, registrations.remove(store.id, "kitchen-1")):
            assert await is_free(step, "star_printers", "store_id = $1", store.id)
    assert not await patient.fetch("SELECT 1 FROM star_printers WHERE store_id = $1", store.id)


async def test_an_edit_that_lost_its_races_waits_for_new_rows_before_it_locks_others(
    patient: Pool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edit_service, "RACES", 0)
    edits = EditService(patient, Definitions(DEFINITIONS), 4, lambda _: None, is_obeyed)
    owner = Caller(f"owner-{store.id}", "owner", frozenset({store.id}))
    channel = f"public:{store.id}"

    def edit(n: int, key: str, value: object) -> Edit:
        return Edit(n=n, channel=channel, key=key, do=Set(value={"value": value}), base=0)

    await edits.apply(owner, EditBatch(f"c-{store.id}", [edit(1, "taking-orders", True)]))
    async with patient.acquire() as other, other.transaction():
        await ensure_rows(other, [(channel, "waiting-time")], [])
        both = EditBatch(
            f"c-{store.id}", [edit(2, "taking-orders", False), edit(3, "waiting-time", 5)], True
        )
        async with waiting_behind(patient, other, edits.apply(owner, both)):
            known = "channel = $1 AND key = 'taking-orders'"
            assert await is_free(other, "documents", known, channel)


async def test_silent_printers_are_locked_before_any_of_them_is_written(
    store: Store, patient: Pool
) -> None:
    first, second = store.printer, Channel("device", store.id, "kitchen-2")
    for printer in (first, second):
        await store.prints.hold(printer, "a", 0.0)
        await store.presence.heard(printer, "a", [])
    async with patient.acquire() as other, other.transaction():
        await other.fetch("SELECT 1 FROM documents WHERE channel = $1 FOR UPDATE", str(second))
        async with waiting_behind(patient, other, store.presence.round()):
            assert await is_free(other, "channel_heads", "channel = $1", str(first))
