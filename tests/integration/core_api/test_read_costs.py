"""What Fetch Sync's statements touch: one probe where nothing is new, and no lock of a writer's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from core_api.postgres.pool import PLANNER, Pool, open_pool
from core_api.retention.log_trim import trim_log
from core_api.sync.queries import PageQuery, SnapshotQuery
from core_api.sync.reading import PAGES, read_moved, read_pages, read_snapshots
from deploy.local.postgres import EmbeddedPostgres
from tests.bench.sync.fill import fill, make_database

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CHANNELS = 50
SHORT, LONG = 20, 400
_LOCKS = """
SELECT DISTINCT mode FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype IN ('relation', 'tuple')
"""


@pytest.fixture(params=[SHORT, LONG], ids=["short", "long"])
async def log(
    request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres, tmp_path: Any
) -> AsyncIterator[tuple[Connection, int]]:
    """A connection to a database with a log of so many events in each channel."""
    url = await make_database(postgres_server, f"costs_{request.param}_{tmp_path.name}")
    await fill(url, CHANNELS, request.param)
    connection = await asyncpg.connect(url, server_settings=PLANNER)
    yield connection, request.param
    await connection.close()


async def explained(connection: Connection, *queries: PageQuery) -> list[dict[str, Any]]:
    """The scans of tables that PAGES made for these queries."""
    text = await connection.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {PAGES}", *zip(*queries, strict=True)
    )
    return [node for node in nodes(json.loads(text)[0]["Plan"]) if "Relation Name" in node]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def test_nothing_new_costs_one_probe_of_the_heads_for_each_channel_and_none_of_the_log(
    log: tuple[Connection, int],
) -> None:
    connection, head = log
    asked = [PageQuery(f"store:{n}", head, 500) for n in range(1, 11)]
    scans = {scan["Relation Name"]: scan for scan in await explained(connection, *asked)}
    assert scans["channel_heads"]["Node Type"] == "Index Scan"
    assert scans["channel_heads"]["Index Name"] == "pk_channel_heads"
    assert scans["channel_heads"]["Actual Loops"] == len(asked)
    assert scans["channel_log"]["Actual Loops"] == 0
    # The page of the index and the row's, whatever the length of the log.
    touched = (
        scans["channel_heads"]["Shared Hit Blocks"] + scans["channel_heads"]["Shared Read Blocks"]
    )
    assert touched <= 3 * len(asked)


async def test_a_page_costs_its_rows_and_not_the_log(log: tuple[Connection, int]) -> None:
    connection, head = log
    scans = await explained(connection, PageQuery("store:7", head - 3, 500))
    (page,) = (scan for scan in scans if scan["Relation Name"] == "channel_log")
    assert (page["Index Name"], page["Actual Rows"]) == ("pk_channel_log", 3)
    assert page.get("Rows Removed by Filter", 0) == 0
    assert page["Shared Hit Blocks"] + page["Shared Read Blocks"] <= 8


async def test_reads_take_no_lock_that_a_writer_waits_for(database_url: str) -> None:
    pool = await open_pool(database_url, size=1, command_timeout_s=10, name="reader")
    try:
        async with pool.acquire() as connection, connection.transaction():
            one: Any = OneConnection(connection)
            await read_pages(one, [PageQuery("store:1", 0, 10)])
            await read_snapshots(one, [SnapshotQuery("store:1", "1", None, 1000, None, None)])
            await read_snapshots(one, [SnapshotQuery("table:1/5", "1", "5", 7, None, 0)])
            await read_moved(one, {"store:1": 0})
            assert [row["mode"] for row in await connection.fetch(_LOCKS)] == ["AccessShareLock"]
    finally:
        pool.terminate()


class OneConnection:
    """A pool whose every statement runs on one connection, in its transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, *arguments: Any) -> Any:
        return await self._connection.fetch(*arguments)


async def test_the_log_is_trimmed_by_age_in_batches_with_the_floor_of_each_channel(
    database_url: str, pool: Pool
) -> None:
    await fill(database_url, 10, 30)
    await pool.execute(
        "UPDATE channel_log SET occurred_at = now() - interval '9 days' WHERE seq <= 20"
    )
    batches: list[int] = []
    while not batches or batches[-1] > 0:
        batches.append((await trim_log(pool, 8 * 86_400.0, 25))[0])
        unlike = await pool.fetch(
            "SELECT channel FROM channel_heads h WHERE floor + 1 <>"
            " (SELECT min(seq) FROM channel_log l WHERE l.channel = h.channel)"
        )
        assert unlike == [], "the floor moves with the rows"
    assert sum(batches) == 200
    # A batch is of so many rows; what is older in the same channel goes with it.
    assert len(batches) > 200 // (2 * 25)
    assert await pool.fetchval("SELECT array_agg(DISTINCT floor) FROM channel_heads") == [20]
