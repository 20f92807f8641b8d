"""Fetch Sync under random faults: whatever is cut, cancelled or stuck, no answer is wrong."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import httpx
import pytest

from client_sdk.contract.problem import decode_problem
from client_sdk.contract.sync import decode_sync
from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_api.following import Database, Follower, open_orders
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.parts import migrated_database

STORES = 6
FOLLOWERS_EACH = 4
FAULTS_FOR_S = 6.0
_KILL = """
SELECT count(pg_terminate_backend(pid)) FROM (
    SELECT pid FROM pg_stat_activity
    WHERE application_name = 'yabam-core' AND datname = current_database()
    ORDER BY random() LIMIT 1
) AS victim
"""


pytestmark = pytest.mark.xdist_group("core-sync-faults")


@pytest.fixture(scope="module")
def process(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    """A Core that is short of everything."""
    service = CoreService.start(
        asyncio.run(migrated_database(postgres_server)),
        tmp_path_factory.mktemp("faults"),
        {
            "YABAM_POOL_SIZE": "2",
            "YABAM_MAX_SYNCS": "12",
            "YABAM_MAX_WAITING": "6",
            "YABAM_DEADLINE_S": "1",
            "YABAM_STATEMENT_TIMEOUT_S": "5",
        },
    )
    yield service
    service.stop()


@pytest.fixture
async def core(process: CoreService) -> AsyncIterator[CoreService]:
    service = CoreService.over(process.database, process.stack)
    async with service.client:
        yield service


@pytest.fixture
async def db(core: CoreService) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(core.database)
    yield connection
    connection.terminate()


class Hostile:
    """A follower that asks in every form, and hangs up when it likes.

    Args:
        follower: holds the answers against the protocol.
        chance: what it does next.
        counts: what became of its requests.
    """

    def __init__(self, follower: Follower, chance: random.Random, counts: Counter[str]) -> None:
        self._follower = follower
        self._chance = chance
        self._counts = counts

    async def follow(self, core: CoreService, done: asyncio.Event) -> None:
        """Until done."""
        while not done.is_set():
            hang_up_s = self._chance.choice([None, 0.001, 0.01, 0.05])
            try:
                async with asyncio.timeout(hang_up_s):
                    response = await self._ask(core.client)
            except TimeoutError:
                self._counts["hung up"] += 1
                continue
            if self._served(response):
                self._follower.take(decode_sync(response.content))

    async def finish(self, core: CoreService) -> None:
        """To the end, once there are no more faults."""
        follower, more = self._follower, True
        while more:
            parameters = {"channel": follower.channels, "lastEventId": follower.cursor}
            response = await core.client.get(
                "/v1/sync", params=parameters, headers=follower.headers
            )
            more = not self._served(response) or follower.take(decode_sync(response.content))

    async def _ask(self, client: httpx.AsyncClient) -> httpx.Response:
        follower, chance = self._follower, self._chance
        more: dict[str, Any] = {"limit": chance.randint(1, 50)}
        if chance.random() < 0.3:
            more["wait"] = 0.3
        if follower.cursor:
            more["epoch"] = follower.epoch
        if chance.random() < 0.5:
            channels = {name: follower.seqs.get(name) for name in follower.channels}
            return await client.post(
                "/v1/sync", json={"channels": channels} | more, headers=follower.headers
            )
        if follower.cursor:
            more["lastEventId"] = follower.cursor
        parameters = {"channel": follower.channels} | more
        return await client.get("/v1/sync", params=parameters, headers=follower.headers)

    def _served(self, response: httpx.Response) -> bool:
        if response.status_code == 200:
            self._counts["served"] += 1
            return True
        problem = decode_problem(response.content)
        assert problem is not None, response.text
        assert (response.status_code, problem.slug in ("overloaded", "unavailable")) == (503, True)
        assert int(response.headers["retry-after"]) >= 1
        self._counts[problem.slug] += 1
        return False


async def write(core: CoreService, store: str, chance: random.Random, done: asyncio.Event) -> None:
    """Orders of the store; what is refused is not tried again."""
    headers = bearer(token("owner", store))
    while not done.is_set():
        body = an_order(store, chance.choice(["1", "2", None]))
        placed = await core.client.post("/v1/orders", json=body, headers=headers)
        if placed.status_code == 201 and chance.random() < 0.6:
            path = f"/v1/orders/{placed.json()['id']}/transitions"
            step = {"to": chance.choice(["accepted", "rejected"])}
            placed = await core.client.post(path, json=step, headers=headers)
        assert placed.status_code in (200, 201, 409, 503), placed.text


async def kill_connections(
    url: str, chance: random.Random, counts: Counter[str], done: asyncio.Event
) -> None:
    """Cut Core's connections to the database, whatever they do."""
    connection = await asyncpg.connect(url)
    while not done.is_set():
        counts["killed"] += await connection.fetchval(_KILL)
        await asyncio.sleep(chance.uniform(0.02, 0.2))
    await connection.close()


async def lock_the_log(
    url: str, chance: random.Random, counts: Counter[str], done: asyncio.Event
) -> None:
    """Keep the log from being read, at times for longer than a request may take."""
    connection = await asyncpg.connect(url)
    while not done.is_set():
        async with connection.transaction():
            await connection.execute("LOCK TABLE channel_log IN ACCESS EXCLUSIVE MODE")
            counts["locked"] += 1
            await asyncio.sleep(chance.uniform(0.0, 1.5))
        await asyncio.sleep(chance.uniform(0.2, 0.6))
    await connection.close()


async def test_no_answer_is_wrong_whatever_is_cut_cancelled_or_stuck(
    core: CoreService, db: Database
) -> None:
    seed = int(os.environ.get("YABAM_TEST_SEED", secrets.randbelow(1_000_000)))
    print(f"YABAM_TEST_SEED={seed}")
    chance, counts, done = random.Random(seed), Counter[str](), asyncio.Event()
    stores = [new_store() for _ in range(STORES)]
    followers = [
        Follower(bearer(token("owner", store)), names[: 1 + n % 3])
        for store in stores
        for names in [(f"store:{store}", f"table:{store}/1", f"table:{store}/2")]
        for n in range(FOLLOWERS_EACH)
    ]
    hostile = [Hostile(follower, chance, counts) for follower in followers]
    work = [asyncio.create_task(one.follow(core, done)) for one in hostile]
    work += [asyncio.create_task(write(core, store, chance, done)) for store in stores]
    for fault in (kill_connections, lock_the_log):
        work.append(asyncio.create_task(fault(core.database, chance, counts, done)))
    await asyncio.wait(work, timeout=FAULTS_FOR_S, return_when=asyncio.FIRST_EXCEPTION)
    done.set()
    await asyncio.gather(*work)
    async with asyncio.timeout(30):
        for one in hostile:
            await one.finish(core)
    print(counts)
    for fault_seen in ("served", "hung up", "overloaded", "unavailable", "killed", "locked"):
        assert counts[fault_seen] > 0, counts
    for follower in followers:
        assert follower.compared > 0
        assert set(follower.resets) == {"first_sync"}
        for name in follower.channels:
            shown = {key: order.version for key, order in follower.orders[name].items()}
            store = name.partition(":")[2].partition("/")[0]
            assert shown == await open_orders(db, store, name)
