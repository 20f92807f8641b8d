"""Places orders, runs a relay and reads a topic, for the tests of the relay."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic_settings import BaseSettings

from core_api.access.callers import Caller
from core_api.ids import order_id
from core_api.orders.admission import DEFAULT_OPEN_LIMITS
from core_api.orders.idempotency import Idempotency
from core_api.orders.lifecycle import NewItem, PlaceOrder
from core_api.orders.service import OrderService
from core_api.relay.main import run_relay
from core_api.settings import RelaySettings
from server_common.kafka_records.events import (
    OmittedRecord,
    OrderRecord,
    WatermarkRecord,
    decode_record,
    partition_of,
    split_ids,
)
from server_common.sockets import bind

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

PARTITIONS = 4
PRODUCER = Caller("pos", "producer", frozenset({"*"}))
S = TypeVar("S", bound=BaseSettings)


@contextlib.asynccontextmanager
async def started(
    pool: Pool,
    url: str,
    bootstrap: str,
    topic: str,
    relay_id: str = "a",
    ttl_s: float = 5.0,
    alerts: str = "store-alerts",
    every_s: float = 3600.0,
    partitions: int = PARTITIONS,
) -> AsyncIterator[None]:
    """Run a relay in this process."""
    stop = asyncio.Event()
    running = asyncio.create_task(
        run_relay(
            relay_settings(url, bootstrap, topic, ttl_s, alerts, every_s, partitions),
            pool=pool,
            relay_id=relay_id,
            verify=lambda _: PRODUCER,
            listener=bind("127.0.0.1", 0, "none"),
            stop=stop,
        )
    )
    try:
        yield
    finally:
        stop.set()
        await running


def relay_settings(
    url: str,
    bootstrap: str,
    topic: str,
    ttl_s: float,
    alerts: str = "store-alerts",
    every_s: float = 3600.0,
    partitions: int = PARTITIONS,
) -> RelaySettings:
    return settings_of(
        RelaySettings,
        database_url=url,
        kafka=bootstrap,
        events_topic=topic,
        alerts_topic=alerts,
        partitions=partitions,
        relay_lease_s=ttl_s,
        reach_every_s=every_s,
    )


def settings_of(kind: type[S], **given: object) -> S:
    """Settings with these values and the defaults of all others, not checked."""
    defaults = {name: field.default for name, field in kind.model_fields.items()}
    return kind.model_construct(**defaults | given)


def commands(pool: Pool) -> OrderService:
    return OrderService(
        pool,
        PARTITIONS,
        lambda: datetime.now(UTC),
        lambda: order_id(time.time_ns() // 1_000_000, secrets.token_bytes(10)),
        lambda _: None,
        # Some tests leave hundreds of orders open at one table.
        open_limits=replace(DEFAULT_OPEN_LIMITS, table_orders=8_000, table_bytes=24 << 20),
    )


async def place(
    on: OrderService, store: str, note: str = "", table: str | None = "5", key: str = ""
) -> str:
    order = PlaceOrder(store, "EUR", [NewItem("Tea", 1, 250)], table_id=table, note=note)
    idempotency = Idempotency("producer:pos", key) if key else None
    return (await on.place(PRODUCER, order, idempotency)).order_id


async def put_event(pool: Pool, store: str, size: int) -> None:
    """Commit an event of this many bytes, as a Core without limits would."""
    await pool.execute(_PUT_EVENT, f"store:{store}", store, partition_of(store, PARTITIONS), size)


_PUT_EVENT = """
WITH head AS (
    INSERT INTO channel_heads AS h (channel, head, digest) VALUES ($1, 1, 0)
    ON CONFLICT (channel) DO UPDATE SET head = h.head + 1 RETURNING head
), logged AS (
    INSERT INTO channel_log (channel, seq, order_id, order_version, type, occurred_at, body)
    SELECT $1, head, gen_random_uuid(), 1, 'order.placed', now(),
           '"data":"' || repeat('x', $4) || '"}' FROM head
)
INSERT INTO outbox (shard, store_id, channels, seqs) SELECT $3, $2, ARRAY[$1], ARRAY[head] FROM head
"""


@dataclass
class Topic:
    """What was read from a topic, checked as a consumer checks it."""

    gapless: bool = True
    heads: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Partition and offset of the first record of each event id."""
    watermarks: dict[int, list[tuple[int, float, float]]] = field(default_factory=dict)
    """Offset, watermark and time of arrival, by partition."""
    records: list[OrderRecord] = field(default_factory=list)
    keys: Counter[tuple[bytes | None, int]] = field(default_factory=Counter)
    ids: dict[int, list[str]] = field(default_factory=dict)
    """The event ids of each partition in its order."""
    left_out: set[str] = field(default_factory=set)
    """The event ids that were announced without the event."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, condition: Callable[[], bool], within_s: float = 15.0) -> None:
        """Wait until the condition holds for what was read."""
        async with asyncio.timeout(within_s):
            while not condition():
                self.news.clear()
                await self.news.wait()

    def take(self, message: object) -> None:
        record = decode_record(message.value, message.headers)  # type: ignore[attr-defined]
        partition, offset = message.partition, message.offset  # type: ignore[attr-defined]
        if isinstance(record, WatermarkRecord):
            of_partition = self.watermarks.setdefault(partition, [])
            of_partition.append((offset, record.watermark, time.monotonic()))
            return
        if isinstance(record, OmittedRecord):
            self.left_out.update(record.ids)
        else:
            self.records.append(record)
        self.keys[message.key, partition] += 1  # type: ignore[attr-defined]
        self.ids.setdefault(partition, []).extend(record.ids)
        for channel, seq in split_ids(record.ids):
            head = self.heads.get(channel, 0)
            if seq <= head:
                self.repeated += 1
                continue
            assert seq == head + 1 or not self.gapless, f"{channel}: {seq} came after {head}"
            self.heads[channel] = seq
            self.places[f"{channel}@{seq}"] = (partition, offset)


@contextlib.asynccontextmanager
async def followed(bootstrap: str, topic: str, *, gapless: bool = True) -> AsyncIterator[Topic]:
    """Read the topic from its beginning until the block ends."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=10,
        request_timeout_ms=5000,
        metadata_max_age_ms=1000,
    )
    await consumer.start()
    seen = Topic(gapless)

    async def read() -> None:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        async for message in consumer:
            seen.take(message)
            seen.news.set()

    reading = asyncio.create_task(read())
    try:
        yield seen
        if reading.done():
            reading.result()
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        await consumer.stop()


async def heads_in_database(pool: Pool) -> dict[str, int]:
    return {row[0]: row[1] for row in await pool.fetch("SELECT channel, head FROM channel_heads")}


async def all_arrive(pool: Pool, seen: Topic, within_s: float = 15.0) -> None:
    """Wait until every committed event was seen. `take` fails if they are out of order."""
    heads = await heads_in_database(pool)
    await seen.until(lambda: seen.heads == heads, within_s)


async def until_empty(pool: Pool, within_s: float = 10.0) -> None:
    """Wait until nothing is left to relay."""
    await until_true(pool, "SELECT NOT EXISTS (SELECT FROM outbox)", within_s)


async def until_true(pool: Pool, question: str, within_s: float = 10.0) -> None:
    """Poll the database until its answer is true, because it sends no notification."""
    async with asyncio.timeout(within_s):
        while not await pool.fetchval(question):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
