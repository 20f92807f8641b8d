"""Whoever is stopped while Kafka is slow to answer leaves no connection behind.

An event loop with a connection left open cannot be closed, and in a process that reconnects for
days the broker would hold one more each time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import pytest
from aiokafka import AIOKafkaConsumer

from core_api.kafka.topics import ensure_topics, events_topic
from deploy.local.broker import EmbeddedBroker
from server_common.kafka.clients import stop_consumer
from tests.integration.event_server.relay import PARTITIONS
from tests.integration.event_server.test_source import Reading
from tests.serving import Listener

ANSWERS = range(2)
"""How many answers come at once: the broker names itself after that, and is asked directly."""


class SlowBroker:
    """Stands before a broker and holds its answers back after the first few."""

    def __init__(self, broker: str, answers: int) -> None:
        self._target = int(broker.rpartition(":")[2])
        self._left = answers
        self._listener = Listener(self._serve)
        self.holds = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.open = 0

    async def __aenter__(self) -> Self:
        await self._listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.stop()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._listener.port}"

    async def until_nobody_is_connected(self) -> None:
        async with asyncio.timeout(30):
            while self.open:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        there, onward = await asyncio.open_connection("127.0.0.1", self._target)
        answering = asyncio.create_task(self._answer(there, writer))
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65_536):
                    onward.write(data)
        finally:
            self.open -= 1
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            onward.transport.abort()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length = await there.readexactly(4)
            answer = await there.readexactly(int.from_bytes(length, "big"))
            if not self._left:
                self.holds.set()
                await self.goes_on.wait()
            else:
                self._left -= 1
            writer.write(length + answer)


async def read(bootstrap: str, topic: str) -> None:
    it = Reading(bootstrap, topic, set(range(PARTITIONS)), 60.0)
    try:
        await it.task
    finally:
        it.task.cancel()
        await asyncio.gather(it.task, return_exceptions=True)


async def see_to_the_topic(bootstrap: str, topic: str) -> None:
    await ensure_topics(bootstrap, [events_topic(topic, PARTITIONS)], 5)


@pytest.mark.parametrize("answers", ANSWERS)
@pytest.mark.parametrize("work", [read, see_to_the_topic])
async def test_who_is_cancelled_before_an_answer_leaves_no_connection(
    embedded_broker: EmbeddedBroker,
    topic: str,
    answers: int,
    work: Callable[[str, str], Awaitable[None]],
) -> None:
    async with SlowBroker(embedded_broker.bootstrap, answers) as broker:
        working = asyncio.ensure_future(work(broker.bootstrap, topic))
        await broker.holds.wait()
        working.cancel()
        asyncio.get_running_loop().call_soon(broker.goes_on.set)
        # The error of a task holds on to all that it had in hand; it is kept here on purpose.
        ended = await asyncio.gather(working, return_exceptions=True)
        await broker.until_nobody_is_connected()
        assert isinstance(ended[0], asyncio.CancelledError)


@pytest.fixture
async def consumer(embedded_broker: EmbeddedBroker) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=embedded_broker.bootstrap)
    await consumer.start()
    yield consumer
    await consumer._client.close()


async def test_a_stop_that_meets_a_request_that_was_given_up_closes_the_connections(
    consumer: AIOKafkaConsumer, topic: str
) -> None:
    """aiokafka's own stop ends there, before it has closed them."""
    await consumer.topics()
    connections = list(consumer._client._conns.values())
    assert connections
    assert all(connection.connected() for connection in connections)
    # A fetch that failed rests before the next one.
    consumer._fetcher._pending_tasks.add(asyncio.create_task(asyncio.sleep(3600)))
    await stop_consumer(consumer, 5.0)
    assert not any(connection.connected() for connection in connections)
