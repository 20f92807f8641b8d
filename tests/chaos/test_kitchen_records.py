"""The kitchen's judge finds in Core's tables which tickets can still be printed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.chaos.kitchen.names import PRINTER, STORE
from tests.chaos.kitchen.records import Records
from tests.chaos.proof import Ledger
from tests.integration.core_service import CoreService, an_order, bearer, token
from tests.parts import migrated_database

pytestmark = pytest.mark.xdist_group("kitchen-records")


@pytest.fixture(scope="module")
def core(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    database = asyncio.run(migrated_database(postgres_server))
    service = CoreService.start(database, tmp_path_factory.mktemp("kitchen-records"))
    yield service
    service.stop()


async def test_a_ticket_can_come_out_until_its_job_is_done(core: CoreService) -> None:
    records, owner = Records(Ledger(core.database)), bearer(token("owner", STORE))
    device = f"/v1/stores/{STORE}/devices/{PRINTER}"
    routing = {"printers": {PRINTER: {"statuses": ["placed"]}}}
    edit = {"n": 1, "channel": f"team:{STORE}", "key": "printing", "do": {"set": routing}}
    async with CoreService.over(core.database, core.stack).client as http:
        http.headers.update(owner)

        async def post(path: str, body: object) -> None:
            (await http.post(path, json=body)).raise_for_status()

        (await http.put(device, json={})).raise_for_status()
        await post("/v1/edits", {"client": "records", "edits": [edit]})
        for reference in ("K-1", "K-2"):
            await post("/v1/orders", an_order(STORE, reference=reference))
        # Its job is not made yet, or waits.
        assert await records.unprinted() == {"K-1", "K-2"}
        async with asyncio.timeout(60):
            while len(await records.jobs()) < 2:  # noqa: ASYNC110  (in the database)
                await asyncio.sleep(0.05)
        assert await records.unprinted() == {"K-1", "K-2"}
        first = min((await records.jobs()).items(), key=lambda job: job[1]["seq"])[0]
        await post(f"{device}/printer", {"agent": "a"})
        await post(f"{device}/prints/{first}", {"step": "take", "agent": "a"})
        assert await records.unprinted() == {"K-1", "K-2"}
        await post(f"{device}/prints/{first}", {"step": "done", "agent": "a", "attempt": 1})
    assert await records.unprinted() == {"K-2"}
