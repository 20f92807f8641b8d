"""The last sync of the chaos runs finds what a client that is behind could still get."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from deploy.local.postgres import EmbeddedPostgres
from deploy.processes.ports import free_port
from tests.chaos import final_sync
from tests.chaos.final_sync import to_come
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.parts import migrated_database

pytestmark = pytest.mark.xdist_group("final-sync")


@pytest.fixture(scope="module")
def core(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    database = asyncio.run(migrated_database(postgres_server))
    service = CoreService.start(database, tmp_path_factory.mktemp("final-sync"))
    yield service
    service.stop()


async def test_a_client_that_is_behind_could_be_given_exactly_what_it_lacks(
    core: CoreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(final_sync, "MAX_LIMIT", 2)  # several pages
    store = new_store()
    who = token("owner", store)
    orders = []
    async with CoreService.over(core.database, core.stack).client as http:
        for _ in range(6):
            placed = await http.post("/v1/orders", json=an_order(store), headers=bearer(who))
            orders.append(placed.json()["id"])
    found = await to_come(core.stack.core_url, who, f"store:{store}", 1)
    assert sorted(found) == [(seq + 1, orders[seq], 1) for seq in range(1, 6)]
    assert await to_come(core.stack.core_url, who, f"store:{store}", 6) == set()


async def test_what_core_would_not_give_is_not_to_come(core: CoreService) -> None:
    store = new_store()
    who = token("owner", store)
    ahead = await to_come(core.stack.core_url, who, f"store:{store}", 9)
    refused = await to_come(core.stack.core_url, "no token", f"store:{store}", 0)
    nobody = await to_come(f"http://127.0.0.1:{free_port()}", who, f"store:{store}", 0)
    assert (ahead, refused, nobody) == (set(), set(), set())
