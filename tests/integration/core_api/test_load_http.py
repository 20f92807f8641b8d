"""Core at its limits: it refuses early, says when to come back, and serves again afterwards."""

from __future__ import annotations

import asyncio
import itertools
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from os import kill
from pathlib import Path

import httpx
import pytest

from client_sdk.contract.problem import decode_problem
from client_sdk.contract.sync import decode_sync
from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.parts import migrated_database


def check(response: httpx.Response, slug: str) -> None:
    problem = decode_problem(response.content)
    assert problem is not None, response.text
    assert (problem.slug, problem.status) == (slug, response.status_code)
    assert int(response.headers["retry-after"]) >= 1
    assert problem.retry_after is not None
    assert problem.retry_after <= int(response.headers["retry-after"])


async def wait_for_waiting(core: CoreService, count: int) -> None:
    """Return once so many syncs wait, as Core's own metrics say."""
    wanted = f"yabam_core_waiting_requests {count}.0"
    async with asyncio.timeout(10):
        for look in itertools.count():
            # A name for each look, so that it is not the looks that are too many.
            ops = bearer(token("ops", f"look-{look}"))
            if wanted in (await core.client.get("/metrics", headers=ops)).text:
                return


pytestmark = pytest.mark.xdist_group("core-load")


@pytest.fixture(scope="module")
def small_process(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    """A Core with little room."""
    service = CoreService.start(
        asyncio.run(migrated_database(postgres_server)),
        tmp_path_factory.mktemp("small"),
        {"YABAM_MAX_WAITING": "2", "YABAM_RATE_PER_S": "0.01", "YABAM_RATE_BURST": "3"},
    )
    yield service
    service.stop()


@pytest.fixture
async def small(small_process: CoreService) -> AsyncIterator[CoreService]:
    service = CoreService.over(small_process.database, small_process.stack)
    async with service.client:
        yield service


async def test_a_subject_that_asks_too_often_is_slowed_down_and_no_other_is(
    small: CoreService,
) -> None:
    store, other = new_store(), new_store()
    sync = f"/v1/sync?channel=store:{store}"
    responses = [
        await small.client.get(sync, headers=bearer(token("owner", store))) for _ in range(4)
    ]
    assert [response.status_code for response in responses] == [200, 200, 200, 429]
    check(responses[3], "too-many-requests")
    response = await small.client.get(
        f"/v1/sync?channel=store:{other}", headers=bearer(token("owner", other))
    )
    assert response.status_code == 200


async def test_a_batch_counts_as_many_requests_as_it_has_orders(small: CoreService) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    batch = {"items": [{"order": an_order(store)} for _ in range(3)]}
    assert (await small.client.post("/v1/orders/batch", json=batch, headers=owner)).is_success
    sync = await small.client.get(f"/v1/sync?channel=store:{store}", headers=owner)
    check(sync, "too-many-requests")


async def test_no_more_syncs_wait_than_there_is_room_for(small: CoreService) -> None:
    stores = [new_store() for _ in range(3)]

    async def wait(store: str) -> httpx.Response:
        return await small.client.get(
            f"/v1/sync?channel=store:{store}&lastEventId=0&wait=20",
            headers=bearer(token("owner", store)),
        )

    waiting = [asyncio.create_task(wait(store)) for store in stores[:2]]
    await wait_for_waiting(small, 2)
    check(await wait(stores[2]), "overloaded")
    for store in stores[:2]:
        await small.client.post(
            "/v1/orders", json=an_order(store), headers=bearer(token("producer", store))
        )
    for task in waiting:
        assert len(decode_sync((await task).content).channels[0].events) == 1


async def test_sigterm_lets_those_who_wait_go_and_ends_with_status_0(
    postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    database = await asyncio.to_thread(lambda: asyncio.run(migrated_database(postgres_server)))
    core = await asyncio.to_thread(CoreService.start, database, tmp_path)
    store = new_store()
    headers = bearer(token("owner", store))
    async with core.client:
        await core.client.post("/v1/orders", json=an_order(store), headers=headers)
        waiting = asyncio.create_task(
            core.client.get(
                f"/v1/sync?channel=store:{store}&lastEventId=1&wait=25", headers=headers
            )
        )
        await wait_for_waiting(core, 1)
        kill(core.stack.core.pid, signal.SIGTERM)
        async with asyncio.timeout(5):
            answer = decode_sync((await waiting).content)
        assert (answer.channels[0].events, answer.channels[0].head) == ([], 1)
    await asyncio.to_thread(core.stack.core.finish)
    assert core.stack.core.exit_status == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can reach."""
    with tempfile.TemporaryDirectory(prefix="yabam-pg-", ignore_cleanup_errors=True) as name:
        yield Path(name)


async def test_core_outlives_its_database(tmp_path: Path, folder: Path) -> None:
    """Without Postgres each request is refused at once; with it again all goes on by itself."""
    postgres = EmbeddedPostgres(folder / "data")
    await asyncio.to_thread(postgres.start)
    core: CoreService | None = None
    store = new_store()
    headers = bearer(token("owner", store))
    try:
        database = await migrated_database(postgres)
        core = await asyncio.to_thread(CoreService.start, database, tmp_path)
        client = core.client
        sync = f"/v1/sync?channel=store:{store}&lastEventId=0"
        placed = await client.post("/v1/orders", json=an_order(store), headers=headers)
        order_path = f"/v1/orders/{placed.json()['id']}"
        waiting = asyncio.create_task(
            client.get(f"{sync.removesuffix('0')}1&wait=25", headers=headers)
        )
        await wait_for_waiting(core, 1)
        await asyncio.to_thread(postgres.kill)
        for refused in (
            await client.get(sync, headers=headers),
            await client.get(order_path, headers=headers),
            await client.post("/v1/orders", json=an_order(store), headers=headers),
            await client.patch(order_path, json={"note": "x"}, headers=headers),
            await client.get("/readyz"),
        ):
            check(refused, "unavailable")
            assert str(postgres.port) not in refused.text
        assert (await client.get("/healthz")).status_code == 200
        await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(core.stack.core.wait_ready, 30)
        answer = decode_sync((await client.get(sync, headers=headers)).content)
        assert [event.seq for event in answer.channels[0].events] == [1]
        again = await client.post("/v1/orders", json=an_order(store), headers=headers)
        assert again.status_code == 201
        woken = decode_sync((await waiting).content)
        assert [event.seq for event in woken.channels[0].events] == [2]
    finally:
        if core is not None:
            await core.client.aclose()
            await asyncio.to_thread(core.stop)
        await asyncio.to_thread(postgres.stop)
