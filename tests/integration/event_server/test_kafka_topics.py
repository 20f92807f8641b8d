"""Topics that are missing, made by somebody else, changed under way, or full of surprises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

import event_server.kafka.consumer
from core_api.kafka.topics import (
    BrokerError,
    Topic,
    differences,
    ensure_topics,
    events_topic,
    inbound_topic,
)
from deploy.kafka.server import KafkaServer
from server_common.errors import SettingsError as CoreSettingsError
from server_common.kafka_records.events import partition_of
from tests.integration.event_server.relay import PARTITIONS, admin_of, relay_to
from tests.integration.event_server.test_source import reading
from tests.unit.event_server.parts import watermark_record

pytestmark = [pytest.mark.kafka]


@pytest.fixture
def address(kafka_server: KafkaServer) -> str:
    return kafka_server.bootstrap


async def settings_of(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    """The settings of a topic, as Kafka has them."""
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def test_a_missing_topic_is_made_with_the_settings_that_it_needs(
    address: str, topic: str
) -> None:
    wanted = events_topic(topic, PARTITIONS)
    with structlog.testing.capture_logs() as log:
        await ensure_topics(address, [wanted], 5)
    async with admin_of(address) as admin:
        found = await settings_of(admin, topic)
        (described,) = await admin.describe_topics([topic])
    assert {name: found[name] for name in wanted.configs} == wanted.configs
    assert len(described["partitions"]) == PARTITIONS
    assert log == []


async def test_a_topic_that_kafka_does_not_make_is_named_with_kafka_s_reason(
    address: str, topic: str
) -> None:
    wanted = Topic(topic, PARTITIONS, configs={"retention.ms": "soon"})
    with pytest.raises(BrokerError, match=f"does not create the topic {topic}: .*retention.ms"):
        await ensure_topics(address, [wanted], 5)


async def test_settings_of_somebody_else_s_topic_that_do_harm_are_named(
    address: str, topic: str
) -> None:
    theirs = {
        "cleanup.policy": "compact",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": "60000",
        "max.message.bytes": "100000",
    }
    async with admin_of(address) as admin:
        await admin.create_topics([NewTopic(topic, PARTITIONS, -1, {}, theirs)])
    with structlog.testing.capture_logs() as log:
        await ensure_topics(address, [events_topic(topic, PARTITIONS)], 5)
    named = {line["setting"]: line["found"] for line in log}
    assert named == theirs
    assert {line["event"] for line in log} == {"topic_setting_differs"}
    assert all(line["topic"] == topic and line["what_to_do"] for line in log)


@pytest.mark.parametrize(
    ("name", "found", "harms"),
    [
        ("retention.ms", "3600000", False),
        ("retention.ms", "3600001", False),
        ("retention.ms", "-1", False),
        ("retention.ms", "3599999", True),
        ("cleanup.policy", "delete", False),
        ("cleanup.policy", "compact,delete", True),
        ("segment.ms", "604800000", False),
    ],
)
def test_more_room_and_more_time_do_no_harm(name: str, found: str, harms: bool) -> None:
    wanted = events_topic("any", PARTITIONS).configs
    assert differences(wanted, {name: found}) == ({name: found} if harms else {})


async def test_another_number_of_partitions_is_refused_with_what_to_do(
    address: str, topic: str
) -> None:
    await ensure_topics(address, [events_topic(topic, 3)], 5)
    with pytest.raises(CoreSettingsError, match=f"{topic} has 3 partitions, .* set it to 3"):
        await ensure_topics(address, [events_topic(topic, 4)], 5)
    await ensure_topics(address, [inbound_topic(topic, 4)], 5)  # any number will do for these


async def test_partitions_added_under_way_end_the_streams_until_the_topic_fits_again(
    address: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores would move to other partitions: from here on nothing could be promised. The process
    goes on, says why it is not ready, and works again by itself."""

    def quick(*arguments: Any, **settings: Any) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(*arguments, **(settings | {"metadata_max_age_ms": 500}))

    monkeypatch.setattr(event_server.kafka.consumer, "AIOKafkaConsumer", quick)
    async with admin_of(address) as admin, relay_to(address, topic) as relay:
        relay.keep_marking()
        async with reading(address, topic) as it:
            await it.until_warm()
            subscriber = it.follow("1", 0)
            await admin.create_partitions({topic: NewPartitions(PARTITIONS + 1)})
            await it.until(lambda: it.source.trouble)
            assert "has 5 partitions, YABAM_PARTITIONS=4" in (it.source.trouble or "")
            assert subscriber.ended
            assert not it.hub.warm
            await relay.stop_marking()
            await make_anew(address, topic)
            async with relay_to(address, topic) as again:
                again.keep_marking()
                await it.until_warm()
                assert it.source.trouble is None


def while_frozen(work: Coroutine[Any, Any, None]) -> None:
    """Let something happen while nothing of this thread runs, as with SIGSTOP: the reader neither
    reads nor asks, and goes on where it stood."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def make_anew(address: str, topic: str) -> None:
    """Delete a topic; return when another can be made under its name."""
    async with admin_of(address) as admin:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_topic_made_anew_and_refilled_beyond_our_offset_is_another_log(
    address: str, topic: str, restarts: bool
) -> None:
    """A false proof of silence: the server reads on at its old offset as if nothing had been.
    `restarts`: a relay begins a new session exactly at that offset. One partition is read, so that
    no other one, whose log would be shorter than before, gives it away."""
    partition = partition_of("1", PARTITIONS)

    async def refill() -> None:
        await make_anew(address, topic)
        async with relay_to(address, topic) as relay:
            relay.begin_run()
            await relay.publish("1", 4)  # at an offset that the server has read already
            for _ in range(read - 1):
                await relay.write(partition, None, watermark_record(time.time()))
            if restarts:
                relay.begin_run()
            for _ in range(5):
                await relay.mark()

    async with relay_to(address, topic) as relay, reading(address, topic, {partition}) as it:
        relay.begin_run()
        await relay.publish("1", 1, 2, 3)
        read = 3
        while not it.hub.warm:
            await relay.mark()
            read += 1
        subscriber = it.follow("1", 3)
        await it.until(lambda: it.hub.rings.get("store:1") and it.offset(partition) == read)
        while_frozen(refill())
        await it.until(lambda: it.lost)
        assert subscriber.types() == ["sync-required"]
        assert it.lost == [True]
        async with relay_to(address, topic) as again:
            again.begin_run()
            while not it.hub.warm:
                await again.mark()
        assert it.head("1") == 4


async def test_a_relay_that_restarts_ends_no_stream(address: str, topic: str) -> None:
    async with relay_to(address, topic) as relay, reading(address, topic) as it:
        relay.begin_run()
        while not it.hub.warm:
            await relay.mark()
        subscriber = it.follow("1", 0)
        for seq in range(1, 6):
            await relay.publish("1", seq)
            relay.begin_run()
            await relay.mark()
        await it.until(lambda: it.head("1") == 5)
        assert subscriber.ids() == [f"store:1@{seq}" for seq in range(1, 6)]
        assert it.lost == []
        assert it.skipped == {}


async def test_a_record_larger_than_a_whole_fetch_is_left_out_and_reading_goes_on(
    address: str, topic: str
) -> None:
    large = 3 * 1024 * 1024
    async with admin_of(address) as admin:
        made = NewTopic(topic, PARTITIONS, -1, {}, {"max.message.bytes": str(2 * large)})
        await admin.create_topics([made])
    async with relay_to(address, topic) as relay:
        relay.keep_marking()
        async with reading(address, topic) as it:
            await it.until_warm()
            await relay.publish("1", 1)
            async with AIOKafkaProducer(
                bootstrap_servers=address, max_request_size=2 * large
            ) as foreign:
                partition = partition_of("1", PARTITIONS)
                await foreign.send_and_wait(topic, bytes(large), partition=partition)
            await relay.publish("1", 2)
            await it.until(lambda: it.head("1") == 2)
            assert it.skipped == {"foreign": 1}
            assert it.lost == []


async def test_records_that_are_left_out_are_told_once_per_kind(address: str, topic: str) -> None:
    async with relay_to(address, topic) as relay:
        relay.keep_marking()
        async with reading(address, topic) as it:
            await it.until_warm()
            with structlog.testing.capture_logs() as log:
                for number in range(20):
                    await relay.write(partition_of("1", PARTITIONS), b"hello %d" % number, [])
                await relay.publish("1", 1)
                await it.until(lambda: it.head("1") == 1)
    assert it.skipped == {"foreign": 20}
    assert [line["kind"] for line in log if line["event"] == "record_skipped"] == ["foreign"]


async def test_a_compacted_topic_leaves_no_silent_gap(address: str, topic: str) -> None:
    """Compaction removes records from the middle: whoever would miss one is told to sync."""
    async with relay_to(address, topic) as relay:
        relay.keep_marking()
        async with reading(address, topic) as it:
            await it.until_warm()
            await relay.publish("1", 1)
            await it.until(lambda: it.head("1") == 1)
            subscriber = it.follow("1", 1)
            await relay.publish("1", 3)  # 2 was there, and is gone
            await it.until(lambda: subscriber.ended)
            assert subscriber.types() == ["sync-required"]
            assert it.hub.gaps == 1
