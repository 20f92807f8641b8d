"""Compares the cost of an event without a store, by the number of shards, with one of a store.

`python -m tests.bench.wide` makes the same edits to a document of a store and to the notice to all,
one after the other, with a real PostgreSQL. Then a running relay publishes them to a real Apache
Kafka, and an event server that reads every partition takes them in. Each figure is for one event:
outbox rows, Kafka records, and the CPU of the process that makes the edits, of the relay and of the
event server. It writes `build/bench-wide.json` and prints a table for `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import structlog
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from client_sdk.contract.state.edit import Edit, EditBatch
from client_sdk.contract.state.operations import Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.edits.service import EditService
from core_api.postgres.migrate import upgrade
from core_api.postgres.pool import LOCK_WAIT_S, open_pool
from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.postgres import EmbeddedPostgres
from event_server.kafka.consumer import KafkaSource, Where
from event_server.replay.database_clock import DatabaseClock
from event_server.replay.frames import Frames, as_chunk
from event_server.replay.hub import Hub
from event_server.replay.ring import Rings
from tests.integration.core_api.relaying import started

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

OUT: Final = Path("build/bench-wide.json")
SHARDS: Final = (4, 12, 48)
STORES: Final = 50
OPS: Final = Caller("ops", "ops")
OWNER: Final = Caller("owner", "owner", frozenset({"*"}))
_WITHIN_S: Final = 120.0

Reach = Literal["store", "global"]
REACHES: Final[tuple[Reach, ...]] = ("store", "global")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one event."""

    reach: Reach
    shards: int
    rows: float
    records: float
    edit_us: float
    relay_us: float
    events_us: float


async def edit(pool: Pool, reach: Reach, shards: int, count: int) -> float:
    """Make the edits, one after the other. Returns the CPU seconds of this process."""
    service = EditService(
        pool, Definitions(DEFINITIONS), shards, lambda _: None, lambda _channel, _key: False
    )
    began = time.process_time()
    for n in range(count):
        if reach == "global":
            value = {"text": f"notice {n}", "level": "info"}
            made = Edit(n=n + 1, channel="global", key="notice", do=Set(value), base=n)
            answer = await service.apply(OPS, EditBatch("ops", [made], False, n))
        else:
            store, before = n % STORES, n // STORES
            made = Edit(
                n=n + 1, channel=f"public:{store}", key="waiting-time",
                do=Set({"value": n % 600}), base=before,
            )  # fmt: skip
            answer = await service.apply(OWNER, EditBatch("owner", [made], False, n))
        if answer.outcomes[0].outcome != "applied":
            raise RuntimeError(f"edit {n} was not applied: {answer.outcomes[0]}")
    return time.process_time() - began


async def until_true(pool: Pool, question: str) -> None:
    """Wait until the database's answer is true."""
    async with asyncio.timeout(_WITHIN_S):
        while not await pool.fetchval(question):  # noqa: ASYNC110  (it tells nobody)
            await asyncio.sleep(0.05)


async def ends(kafka: str, topic: str, shards: int) -> int:
    """How many records were written to all partitions."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    try:
        parts = [TopicPartition(topic, number) for number in range(shards)]
        return sum((await consumer.end_offsets(parts)).values())
    finally:
        await consumer.stop()


async def publish(pool: Pool, url: str, kafka: str, topic: str, shards: int) -> float:
    """Publish the outbox with a running relay. Returns its CPU seconds, without those that it uses
    in the same time when idle."""
    await pool.execute("CREATE TABLE held AS SELECT * FROM outbox")
    await pool.execute("DELETE FROM outbox")
    async with started(pool, url, kafka, topic, partitions=shards):
        owned = f"SELECT count(*) = {shards} FROM relay_leases WHERE expires_at > now()"
        await until_true(pool, owned)
        await asyncio.sleep(1.0)
        idle_from, idle_cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(3.0)
        idle = (time.process_time() - idle_cpu) / (time.monotonic() - idle_from)
        began, cpu = time.monotonic(), time.process_time()
        await pool.execute(
            "INSERT INTO outbox OVERRIDING SYSTEM VALUE SELECT * FROM held ORDER BY id"
        )
        await until_true(pool, "SELECT NOT EXISTS (SELECT FROM outbox)")
        return time.process_time() - cpu - idle * (time.monotonic() - began)


async def take_in(kafka: str, topic: str, shards: int, events: int) -> float:
    """Read all partitions as an event server does at its start. Returns the CPU seconds.

    Raises:
        RuntimeError: the events read are not those written.
    """
    hub = Hub(Rings(256, 256 << 20), Frames(as_chunk), DatabaseClock(), range(shards))
    where = Where(kafka, topic, shards, frozenset(range(shards)), 3600.0, 100)
    source = KafkaSource(where, hub, lambda _: None, lambda _: None, time.monotonic, time.time)
    began = time.process_time()
    reading = asyncio.create_task(source.run())
    try:
        async with asyncio.timeout(_WITHIN_S):
            while hub.published + hub.copies < events:  # noqa: ASYNC110  (it knows no event loop)
                await asyncio.sleep(0.02)
        return time.process_time() - began
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def measure(url: str, kafka: str, reach: Reach, shards: int, count: int) -> Cost:
    """Measure with one database and one topic, from the edits to the rings."""
    await upgrade(url)
    pool = await open_pool(url, size=4, command_timeout_s=60, name="bench", lock_wait_s=LOCK_WAIT_S)
    topic = f"wide-{reach}-{shards}-{time.time_ns()}"
    try:
        edit_s = await edit(pool, reach, shards, count)
        rows = await pool.fetchval("SELECT count(*) FROM outbox")
        relay_s = await publish(pool, url, kafka, topic, shards)
        records = await pool.fetchval("SELECT count(*) FROM held")
        if await ends(kafka, topic, shards) < records:
            raise RuntimeError("Kafka lacks records that the relay has published")
    finally:
        pool.terminate()
    empty_s = await take_in(kafka, topic, shards, 0)
    events_s = await take_in(kafka, topic, shards, records) - empty_s
    each = 1e6 / count
    return Cost(
        reach, shards, rows / count, records / count, edit_s * each, relay_s * each, events_s * each
    )


def lines(costs: Sequence[Cost]) -> Iterator[str]:
    """The table as Markdown."""
    yield (
        "| an event of | shards | outbox rows | Kafka records | Core, µs of CPU | relay, µs | "
        "event server, µs |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for cost in costs:
        reach = "a store" if cost.reach == "store" else "all stores"
        yield (
            f"| {reach} | {cost.shards} | {cost.rows:.0f} | {cost.records:.0f} | "
            f"{cost.edit_us:,.0f} | {cost.relay_us:,.0f} | {cost.events_us:,.0f} |"
        )


def median(costs: Sequence[Cost]) -> Cost:
    """The median of several rounds, figure by figure."""
    first = asdict(costs[0])
    numbers = {
        name: statistics.median(asdict(cost)[name] for cost in costs)
        for name in first
        if name not in ("reach", "shards")
    }
    return Cost(reach=costs[0].reach, shards=costs[0].shards, **numbers)


def main() -> None:
    """Print the figures and save them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.wide", description=__doc__)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    found: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="yabam-wide-") as text:
        folder = Path(text)
        folder.chmod(0o755)
        kafka = KafkaServer(folder / "kafka", ensure_libs(Path("build/kafka"), print))
        postgres = EmbeddedPostgres(folder / "postgres")
        kafka.start()
        postgres.start()
        try:
            for shards in SHARDS:
                for reach in REACHES:
                    rounds = []
                    for number in range(options.rounds):
                        name = f"b{shards}{reach}{number}"
                        url = uvloop.run(_database(postgres.url, name))
                        rounds.append(
                            uvloop.run(measure(url, kafka.bootstrap, reach, shards, options.events))
                        )
                    found.append(median(rounds))
                    print(found[-1], flush=True)
        finally:
            postgres.stop()
            kafka.stop()
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([asdict(cost) for cost in found], indent=1) + "\n")
    print("\n".join(lines(found)))


async def _database(server: str, name: str) -> str:
    """Make a new database. Returns its URL."""
    pool = await open_pool(server, size=1, command_timeout_s=60, name="bench")
    try:
        await pool.execute(f"CREATE DATABASE {name}")
    finally:
        pool.terminate()
    return server.rpartition("/")[0] + f"/{name}"


if __name__ == "__main__":
    main()
