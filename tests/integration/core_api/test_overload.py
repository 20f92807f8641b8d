"""Core under more than it takes: the surplus is refused early, and nothing else suffers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import islice

import asyncpg
import httpx
import pytest

from client_sdk.contract.problem import decode_problem
from client_sdk.contract.sync import decode_sync
from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_api.hammer import Connection
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.parts import migrated_database

POOL = 4
AT_ONCE = 20
DEADLINE_S = 5.0
USUAL_MS = 3000
_OF_CORE = """
SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') AS stuck, count(*) AS connections
FROM pg_stat_activity WHERE application_name = 'yabam-core' AND datname = current_database()
"""


pytestmark = pytest.mark.xdist_group("core-overload")


@pytest.fixture(scope="module")
def process(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    """A Core with few connections, whose requests give up long before its statements would."""
    service = CoreService.start(
        asyncio.run(migrated_database(postgres_server)),
        tmp_path_factory.mktemp("overload"),
        {
            "YABAM_POOL_SIZE": str(POOL),
            "YABAM_MAX_SYNCS": str(AT_ONCE),
            "YABAM_POLL_AFTER_MS": str(USUAL_MS),
            "YABAM_DEADLINE_S": str(DEADLINE_S),
            "YABAM_STATEMENT_TIMEOUT_S": "120",
        },
    )
    yield service
    service.stop()


@pytest.fixture
async def core(process: CoreService) -> AsyncIterator[CoreService]:
    service = CoreService.over(process.database, process.stack)
    service.client = httpx.AsyncClient(
        base_url=process.stack.core_url, timeout=30, limits=httpx.Limits(max_connections=None)
    )
    async with service.client:
        yield service


@pytest.fixture
async def db(core: CoreService) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(core.database)
    yield connection
    connection.terminate()


def slugs(answers: list[httpx.Response]) -> Counter[str]:
    """How many got which problem, each with a time to come back."""
    found: Counter[str] = Counter()
    for answer in answers:
        problem = decode_problem(answer.content)
        assert problem is not None, answer.text
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        found[problem.slug] += 1
    return found


async def test_syncs_that_are_stuck_are_bounded_and_starve_nobody_and_their_query_is_cancelled(
    core: CoreService, db: Connection
) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    placed = await core.client.post("/v1/orders", json=an_order(store), headers=owner)
    sync = f"/v1/sync?channel=store:{store}&lastEventId=0"
    stuck = db.transaction()
    await stuck.start()
    await db.execute("LOCK TABLE channel_log IN ACCESS EXCLUSIVE MODE")
    syncs = [asyncio.create_task(core.client.get(sync, headers=owner)) for _ in range(3 * AT_ONCE)]
    first = [await answer for answer in islice(asyncio.as_completed(syncs), 2 * AT_ONCE)]
    assert slugs(first) == {"overloaded": 2 * AT_ONCE}
    for path, who in (
        ("/healthz", {}),
        ("/readyz", {}),
        (f"/v1/orders/{placed.json()['id']}", owner),
        ("/metrics", bearer(token("ops"))),
    ):
        assert (await core.client.get(path, headers=who)).status_code == 200, path
    assert sum(not task.done() for task in syncs) == AT_ONCE, "they were not stuck"
    assert await count(db, "stuck") == 1, "they share one query"
    assert slugs(await asyncio.gather(*syncs))["unavailable"] == AT_ONCE
    async with asyncio.timeout(30):
        stuck_still = 1
        while stuck_still:
            stuck_still = await count(db, "stuck")
    await stuck.rollback()
    answer = decode_sync((await core.client.get(sync, headers=owner)).content)
    assert [event.seq for event in answer.channels[0].events] == [1]
    assert answer.poll_after_ms > USUAL_MS, "clients poll more slowly after that"
    async with asyncio.timeout(60):
        while answer.poll_after_ms > USUAL_MS:
            answer = decode_sync((await core.client.get(sync, headers=owner)).content)


async def test_hundreds_wait_without_a_connection_to_the_database_of_their_own(
    core: CoreService, db: Connection
) -> None:
    stores = [new_store() for _ in range(10)]
    waiting: dict[str, list[asyncio.Task[httpx.Response]]] = {}
    for store in stores:
        who = bearer(token("owner", store))
        path = f"/v1/sync?channel=store:{store}&lastEventId=0&wait=25"
        waiting[store] = [
            asyncio.create_task(core.client.get(path, headers=who)) for _ in range(AT_ONCE)
        ]
        await until_waiting(core, AT_ONCE * len(waiting))
    assert await count(db, "connections") <= POOL
    for store, tasks in waiting.items():
        who = bearer(token("owner", store))
        await core.client.post("/v1/orders", json=an_order(store), headers=who)
        for task in tasks:
            channel = decode_sync((await task).content).channels[0]
            assert [event.seq for event in channel.events] == [1]


async def until_waiting(core: CoreService, wanted: int) -> None:
    """Return once so many syncs wait, as Core's own metrics say."""
    ops, seen = bearer(token("ops")), ""
    async with asyncio.timeout(20):
        while f"yabam_core_waiting_requests {wanted}.0" not in seen:
            seen = (await core.client.get("/metrics", headers=ops)).text


async def count(db: Connection, what: str) -> int:
    """How many of Core's connections there are, or wait for a lock."""
    row = await db.fetchrow(_OF_CORE)
    assert row is not None
    number: int = row[what]
    return number
