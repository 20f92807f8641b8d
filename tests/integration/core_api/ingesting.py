"""Ingest between a pair of topics of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from core_api.access import Caller
from core_api.applier import Commands
from core_api.errors import UnauthorizedError
from core_api.ingest_main import run_ingest
from core_api.serving import bind
from core_api.topics import dead_letter_topic, ensure_topics, inbound_topic
from tests.integration.core_api.relaying import PARTITIONS

ORDER: dict[str, object] = {
    "store_id": "12",
    "table_id": "5",
    "currency": "EUR",
    "items": [{"name": "Tea", "quantity": 1, "unit_price": 250}],
}


def a_command(key: str, command: str = "place", **fields: object) -> bytes:
    base = {"command": command, "idempotency_key": key, "subject": "pos-7", "body": ORDER}
    return json.dumps({**base, **fields}).encode()


async def _there() -> None:
    """A database that can take commands."""


class Inbound:
    """A pair of topics, what is sent to the one and found in the other."""

    def __init__(self, bootstrap: str, producer: AIOKafkaProducer) -> None:
        self.bootstrap = bootstrap
        self.producer = producer
        name = uuid4().hex
        self.topic, self.dead, self.group = f"in-{name}", f"dlq-{name}", f"group-{name}"

    async def send(self, value: bytes | None, key: bytes | None = b"12", **more: Any) -> None:
        await self.producer.send_and_wait(self.topic, value, key, **more)

    @contextlib.asynccontextmanager
    async def ingested(
        self,
        on: Commands,
        port: list[int] | None = None,
        check: Callable[[], Awaitable[None]] = _there,
    ) -> AsyncIterator[asyncio.Task[None]]:
        stop = asyncio.Event()
        listener = bind("127.0.0.1", 0, "none")
        if port is not None:
            port.append(listener.getsockname()[1])
        running = asyncio.create_task(
            run_ingest(
                commands=on,
                check=check,
                bootstrap=self.bootstrap,
                topic=self.topic,
                dead_letters=self.dead,
                partitions=PARTITIONS,
                verify=_verify,
                listener=listener,
                stop=stop,
                group=self.group,
            )
        )
        try:
            yield running
        finally:
            stop.set()
            await running

    async def dead_letters(self, count: int) -> list[Any]:
        found: list[Any] = []
        async with _assigned(self.bootstrap, self.dead) as consumer, asyncio.timeout(20):
            while len(found) < count:
                found.append(await consumer.getone())
        return found

    async def committed(self) -> int:
        """How many records the group has dealt with."""
        async with _assigned(self.bootstrap, self.topic, self.group) as consumer:
            offsets = [await consumer.committed(p) for p in consumer.assignment()]
            return sum(offset or 0 for offset in offsets)

    async def until_committed(self, count: int) -> None:
        async with asyncio.timeout(20):
            while await self.committed() < count:  # noqa: ASYNC110 (Kafka tells nobody)
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def inbound_at(bootstrap: str) -> AsyncIterator[Inbound]:
    """A pair of topics at this broker."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, max_request_size=2_000_000
    ) as producer:
        made = Inbound(bootstrap, producer)
        topics = [inbound_topic(made.topic, PARTITIONS), dead_letter_topic(made.dead, PARTITIONS)]
        await ensure_topics(bootstrap, topics, 5)
        yield made


def _verify(token: str) -> Caller:
    if token == "ops":
        return Caller("o", "ops")
    if token == "producer":
        return Caller("p", "producer")
    raise UnauthorizedError("no such token")


@contextlib.asynccontextmanager
async def _assigned(
    bootstrap: str, topic: str, group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of all partitions that joins no group; with `group` it may see its offsets."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
        group_id=group,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        yield consumer
    finally:
        await consumer.stop()
