"""Three nodes of Apache Kafka: whoever leads a partition, what is published arrives, in order."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from core_api.kafka.messages import Message
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import BrokerError, events_topic
from deploy.kafka.server import ensure_libs
from server_common.kafka_records.events import partition_of
from tests.integration.event_server.conftest import KAFKA_BUILD
from tests.integration.event_server.relay import PARTITIONS
from tests.integration.event_server.test_source import Reading, reading
from tests.kafka_cluster import KafkaCluster
from tests.kafka_replicas import Standing, move, standings
from tests.unit.event_server.parts import EPOCH, order_record, watermark_record

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

STORE = "1"
PARTITION = partition_of(STORE, PARTITIONS)


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with tempfile.TemporaryDirectory(prefix="yabam-kafka-") as folder:
        cluster = KafkaCluster(Path(folder), ensure_libs(KAFKA_BUILD, print))
        cluster.start()
        yield cluster
        cluster.kill()


class Writer:
    """Core's publisher, which publishes one store's events on and on, as the relay would."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.publisher = KafkaPublisher(bootstrap, events_topic(topic, PARTITIONS))
        self.written = 0

    async def run(self) -> None:
        while True:
            value, headers = order_record((f"store:{STORE}@{self.written + 1}",))
            now = time.time()
            stamp = int(now * 1000)
            mark = Message(None, None, watermark_record(now, EPOCH), stamp)
            parts = {partition: [mark] for partition in range(PARTITIONS)}
            parts[PARTITION] = [Message(STORE.encode(), value, headers, stamp), mark]
            with contextlib.suppress(BrokerError):
                published = await self.publisher.publish(parts)
                self.written += published.stored.get(PARTITION, 0) == 2
            await asyncio.sleep(0.02)


@asynccontextmanager
async def flowing(bootstrap: str, topic: str) -> AsyncIterator[tuple[Writer, Reading]]:
    """Events are written and read."""
    writer = Writer(bootstrap, topic)
    writing = asyncio.create_task(writer.run())
    try:
        async with reading(bootstrap, topic) as it:
            await it.until_warm()
            yield writer, it
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await writer.publisher.close()


async def whole(bootstrap: str, topic: str) -> dict[int, Standing]:
    """Wait until three nodes keep every partition; where each is then."""
    async with asyncio.timeout(60):
        while True:
            found = await standings(bootstrap, [topic])
            if len(found) == PARTITIONS and all(len(s.in_sync) == 3 for s in found.values()):
                return {partition: standing for (_, partition), standing in found.items()}
            await asyncio.sleep(0.1)


async def led_by_others(bootstrap: str, topic: str, old: int) -> None:
    async with asyncio.timeout(60):
        while True:
            found = (await standings(bootstrap, [topic])).get((topic, PARTITION))
            if found is not None and found.leader > 0 and found.leader != old:
                return
            await asyncio.sleep(0.1)


Fault = Callable[[KafkaCluster, str, int], Awaitable[None]]


async def kill(cluster: KafkaCluster, _topic: str, leader: int) -> None:
    await asyncio.to_thread(cluster.node(leader).kill)


async def leave(cluster: KafkaCluster, _topic: str, leader: int) -> None:
    await asyncio.to_thread(cluster.node(leader).stop)


async def take_away(cluster: KafkaCluster, topic: str, leader: int) -> None:
    others = [node.number for node in cluster.nodes if node.number != leader]
    await move(cluster.bootstrap, {(topic, PARTITION): others})


async def freeze(cluster: KafkaCluster, _topic: str, leader: int) -> None:
    cluster.node(leader).process.suspend()


@pytest.mark.parametrize("fault", [kill, leave, take_away, freeze])
async def test_a_partition_that_gets_another_leader_loses_and_swaps_nothing(
    cluster: KafkaCluster, topic: str, fault: Fault
) -> None:
    async with flowing(cluster.bootstrap, topic) as (writer, it):
        leader = (await whole(cluster.bootstrap, topic))[PARTITION].leader
        subscriber = it.follow(STORE, it.head(STORE) or 0)
        begin = it.head(STORE) or 0
        await fault(cluster, topic, leader)
        try:
            await led_by_others(cluster.bootstrap, topic, leader)
            target = writer.written + 20
            await it.until(lambda: (it.head(STORE) or 0) >= target, within_s=60)
        finally:
            cluster.resume()
            await asyncio.to_thread(cluster.start)
        assert it.hub.gaps == 0
        if it.lost:
            assert subscriber.ended, "a session that ends tells its streams"
        else:
            got = [int(event_id.rpartition("@")[2]) for event_id in subscriber.ids()]
            assert got == list(range(begin + 1, begin + 1 + len(got)))
            assert len(got) >= 20


async def test_a_partition_without_a_leader_delays_no_other(
    cluster: KafkaCluster, topic: str
) -> None:
    await make_unreplicated(cluster.bootstrap, topic)
    found = await standings(cluster.bootstrap, [topic])
    gone = found[topic, PARTITION].leader
    others = [number for (_, number), standing in found.items() if standing.leader != gone]
    mark = Message(None, None, watermark_record(1000.0, EPOCH), 1_000_000)
    publisher = KafkaPublisher(
        cluster.bootstrap, events_topic(topic, PARTITIONS), stands_by=True, ack_timeout_s=30
    )
    try:
        await publisher.publish({number: [mark] for number in range(PARTITIONS)})
        await asyncio.to_thread(cluster.node(gone).kill)
        sent = await publisher.send({number: [mark] for number in [PARTITION, *others]})
        for _ in range(20):
            await asyncio.gather(*(sent[number] for number in others))
            sent |= await publisher.send({number: [mark] for number in others})
        assert not sent[PARTITION].done() or sent[PARTITION].exception() is not None
        await asyncio.to_thread(cluster.start)
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(BrokerError):
                    await sent[PARTITION]
                    break
                await asyncio.sleep(0.05)
                with contextlib.suppress(BrokerError):
                    sent |= await publisher.send({PARTITION: [mark]})
    finally:
        await publisher.close()
        await asyncio.to_thread(cluster.start)


async def make_unreplicated(bootstrap: str, topic: str) -> None:
    """The events topic with one copy of each partition: it has no leader while its node is gone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    wanted = events_topic(topic, PARTITIONS)
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=dict(wanted.configs))])
    async with asyncio.timeout(30):
        while len(await standings(bootstrap, [topic])) < PARTITIONS:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await admin.close()


async def test_a_cluster_keeps_topics_three_times_and_takes_writes_that_two_have(
    cluster: KafkaCluster, topic: str
) -> None:
    async with flowing(cluster.bootstrap, topic) as (writer, _):
        found = await whole(cluster.bootstrap, topic)
        assert all(standing.replicas == {1, 2, 3} for standing in found.values())
        written = writer.written
        async with asyncio.timeout(30):
            while writer.written == written:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
