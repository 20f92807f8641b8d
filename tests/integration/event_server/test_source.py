"""Kafka in, on real brokers: what is read, when it counts, and what happens when they fail."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

import pytest
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from deploy.kafka.server import KafkaServer
from event_server.kafka import session_check
from event_server.kafka.consumer import KafkaSource, Where
from event_server.kafka.record_reader import RecordReader
from event_server.replay.database_clock import DatabaseClock
from event_server.replay.hub import Hub
from event_server.replay.ring import Rings
from server_common.errors import SettingsError
from server_common.kafka_records.events import partition_of
from tests.integration.event_server.relay import PARTITIONS, admin_of, make_topic, relay_to
from tests.unit.event_server.parts import EPOCH, FRAMES, FakeSubscriber


class Reading:
    """A source with its hub, and what it told."""

    def __init__(self, bootstrap: str, topic: str, owned: set[int], window_s: float) -> None:
        self.hub = Hub(Rings(256, 1 << 20), FRAMES, DatabaseClock(), owned)
        self.skipped: Counter[str] = Counter()
        self.lost: list[bool] = []
        self.source = KafkaSource(
            Where(bootstrap, topic, PARTITIONS, frozenset(owned), window_s, 10, silence_s=1.0),
            self.hub,
            self._lose,
            self._skip,
            time.monotonic,
            time.time,
        )
        self.offsets: dict[int, int] = {}
        self.task = asyncio.create_task(self.source.run())

    def head(self, store: str) -> int | None:
        ring = self.hub.rings.get(f"store:{store}")
        return None if ring is None else ring.head

    def offset(self, partition: int) -> int:
        """Where the partition is read next."""
        return self.offsets.get(partition, -1) + 1

    def follow(self, store: str, position: int) -> FakeSubscriber:
        subscriber = FakeSubscriber()
        at = {f"store:{store}": position}
        replay = self.hub.attach(subscriber, at, at, time.time(), EPOCH)
        assert isinstance(replay, list), replay
        for frame in replay:
            subscriber.send(frame)
        return subscriber

    async def until(self, true: Callable[[], object], within_s: float = 30.0) -> None:
        async with asyncio.timeout(within_s):
            while not true():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.01)

    async def until_warm(self) -> None:
        await self.until(lambda: self.hub.warm)

    @contextmanager
    def noting_offsets(self) -> Iterator[None]:
        """Note the offset of each record that the source gives to its intake."""
        take = RecordReader.take

        def noted(intake: RecordReader, partition: int, offset: int, *rest: Any) -> int | None:
            again = take(intake, partition, offset, *rest)
            if intake._hub is self.hub:
                self.offsets[partition] = offset
            return again

        with mock.patch.object(RecordReader, "take", noted):
            yield

    def _lose(self, missing: bool) -> None:
        self.lost.append(missing)
        self.hub.forget("gap")

    def _skip(self, kind: str) -> None:
        self.skipped[kind] += 1


@asynccontextmanager
async def reading(
    bootstrap: str, topic: str, owned: set[int] | None = None, window_s: float = 60.0
) -> AsyncIterator[Reading]:
    me = Reading(bootstrap, topic, owned or set(range(PARTITIONS)), window_s)
    try:
        with me.noting_offsets():
            yield me
    finally:
        me.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, SettingsError):
            await me.task


async def test_what_was_there_is_replayed_and_what_comes_is_pushed(
    bootstrap: str, topic: str
) -> None:
    async with relay_to(bootstrap, topic) as relay:
        began = time.time()
        await relay.mark(at=began - 30)
        for store in ("1", "2", "3", "4", "5"):
            await relay.publish(store, 1, 2, 3)
        relay.keep_marking()
        async with reading(bootstrap, topic) as it:
            await it.until_warm()
            assert [it.head(s) for s in ("1", "2", "3", "4", "5")] == [3] * 5
            # Read from the log's first record: what was before it is not known.
            assert it.hub.rings.covered_since > began - 30
            subscriber = it.follow("1", 1)
            await relay.publish("1", 4)
            await it.until(lambda: len(subscriber.ids()) == 3)
            assert subscriber.ids() == ["store:1@2", "store:1@3", "store:1@4"]


async def test_two_servers_read_the_same_without_sharing_it_out(bootstrap: str, topic: str) -> None:
    async with relay_to(bootstrap, topic) as relay:
        relay.keep_marking()
        async with reading(bootstrap, topic) as one, reading(bootstrap, topic) as two:
            await one.until_warm()
            await two.until_warm()
            await relay.publish("1", 1)
            await relay.publish("2", 1)
            for it in (one, two):
                await it.until(lambda it=it: it.head("1") == it.head("2") == 1)  # type: ignore[misc]
                assert (it.lost, it.skipped) == ([], {})


async def test_a_silent_relay_never_makes_it_warm(bootstrap: str, topic: str) -> None:
    async with relay_to(bootstrap, topic) as relay:
        await relay.mark(at=time.time() - 30)
        await relay.mark()
        await relay.publish("1", 1)
        async with reading(bootstrap, topic) as it:
            await it.until(lambda: it.head("1") == 1)
            await relay.publish("1", 2)
            await it.until(lambda: it.head("1") == 2)
            assert not it.hub.warm, "it reads on, and does not know up to when"
            relay.keep_marking()
            await it.until_warm()


async def test_a_relay_that_falls_silent_later_is_lag_and_no_reason_to_read_anew(
    bootstrap: str, topic: str
) -> None:
    async with relay_to(bootstrap, topic) as relay:
        relay.keep_marking()
        async with reading(bootstrap, topic) as it:
            await it.until_warm()
            await relay.stop_marking()
            # Beyond silence_s and two checks.
            await it.until(lambda: (it.hub.lag(time.monotonic()) or 0) > 3.0)
            assert it.lost == []
            assert it.source.sessions == 1


async def test_a_missing_topic_is_waited_for_and_not_made(bootstrap: str, topic: str) -> None:
    with structlog.testing.capture_logs() as log:
        async with reading(bootstrap, topic) as it:
            await it.until(lambda: any(line["event"] == "waiting_for_topic" for line in log))
            async with admin_of(bootstrap) as admin:
                assert topic not in await admin.list_topics()
            async with relay_to(bootstrap, topic) as relay:
                relay.keep_marking()
                await it.until_warm()
    assert it.lost == []


async def test_foreign_records_are_counted_and_left_out(bootstrap: str, topic: str) -> None:
    async with relay_to(bootstrap, topic) as relay:
        relay.keep_marking()
        async with reading(bootstrap, topic) as it:
            await it.until_warm()
            await relay.write(partition_of("1", PARTITIONS), b"hello", [])
            await relay.write(partition_of("1", PARTITIONS), None, [("type", b"x")])
            await relay.publish("1", 1)
            await it.until(lambda: it.head("1") == 1)
            assert it.skipped == {"foreign": 2}


async def test_a_share_of_the_partitions_is_read_and_no_more(bootstrap: str, topic: str) -> None:
    mine = partition_of("1", PARTITIONS)
    other = next(s for s in ("2", "3", "4", "5") if partition_of(s, PARTITIONS) != mine)
    async with relay_to(bootstrap, topic) as relay:
        relay.keep_marking()
        async with reading(bootstrap, topic, {mine}) as it:
            await it.until_warm()
            await relay.publish(other, 1)
            await relay.publish("1", 1)
            await it.until(lambda: it.head("1") == 1)
            assert it.head(other) is None


@pytest.mark.kafka
class TestApacheKafka:
    @pytest.fixture
    def address(self, kafka_server: KafkaServer) -> str:
        return kafka_server.bootstrap

    async def test_reading_starts_a_window_back(self, address: str, topic: str) -> None:
        now = time.time()
        async with relay_to(address, topic) as relay:
            await relay.mark(at=now - 700)
            await relay.publish("1", 1, 2, at=now - 600)
            await relay.publish("1", 3, at=now - 30)
            relay.keep_marking()
            async with reading(address, topic, window_s=60) as it:
                await it.until_warm()
                ring = it.hub.rings.get("store:1")
                assert ring is not None
                assert (ring.floor, ring.head) == (3, 3)
                assert now - 61 < it.hub.rings.covered_since < now - 40

    async def test_another_number_of_partitions_is_refused(self, address: str, topic: str) -> None:
        await make_topic(address, topic, partitions=3)
        async with reading(address, topic) as it:
            with pytest.raises(SettingsError, match="has 3 partitions, YABAM_PARTITIONS=4"):
                await asyncio.wait_for(it.task, 20)

    async def test_a_log_that_was_replaced_is_told_and_read_anew(
        self, address: str, topic: str
    ) -> None:
        async with relay_to(address, topic) as relay:
            await relay.mark()
            await relay.publish("1", *range(1, 40))
            relay.keep_marking()
            async with reading(address, topic) as it:
                await it.until_warm()
                subscriber = it.follow("1", 39)
                await relay.stop_marking()
                async with admin_of(address) as admin:
                    await admin.delete_topics([topic])
                await it.until(lambda: subscriber.ended)
                assert subscriber.types() == ["sync-required"]
                async with relay_to(address, topic) as again:
                    again.keep_marking()
                    await it.until_warm()
                    assert it.head("1") is None
                    await again.publish("1", 40)
                    await it.until(lambda: it.head("1") == 40)

    async def test_records_cut_off_before_they_were_read_are_told(
        self, address: str, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The brokers answer OffsetOutOfRange: retention was quicker than this server."""
        find_starts = KafkaSource._starts
        cut: list[int] = []

        async def starts_then_cut(
            self: KafkaSource,
            consumer: AIOKafkaConsumer,
            begins: Mapping[TopicPartition, int],
            since: float,
        ) -> dict[TopicPartition, int]:
            starts = await find_starts(self, consumer, begins, since)
            if not cut:
                cut.append(1)
                async with admin_of(address) as admin:
                    ends = await consumer.end_offsets(list(begins))
                    await admin.delete_records(
                        {tp: RecordsToDelete(before_offset=end) for tp, end in ends.items()}
                    )
            return starts

        monkeypatch.setattr(KafkaSource, "_starts", starts_then_cut)
        async with relay_to(address, topic) as relay:
            await relay.mark()
            await relay.publish("1", 1, 2)
            async with reading(address, topic) as it:
                await it.until(lambda: it.lost)
                assert it.lost == [True]
                relay.keep_marking()
                await it.until_warm()
                assert it.source.sessions == 2
                assert it.head("1") is None

    async def test_a_broker_that_hangs_for_some_seconds_costs_nothing_of_what_was_read(
        self, kafka_server: KafkaServer, topic: str
    ) -> None:
        async with relay_to(kafka_server.bootstrap, topic) as relay:
            relay.keep_marking()
            async with reading(kafka_server.bootstrap, topic) as it:
                await it.until_warm()
                await relay.publish("1", 1)
                await it.until(lambda: it.head("1") == 1)
                covered, subscriber = it.hub.rings.covered_since, it.follow("1", 0)
                kafka_server.process.suspend()
                try:
                    # Beyond silence_s and one request that is given up after 5 s.
                    await it.until(lambda: (it.hub.lag(time.monotonic()) or 0) > 9.0)
                    assert it.hub.warm
                finally:
                    kafka_server.process.resume()
                await relay.publish("1", 2)
                await it.until(lambda: len(subscriber.ids()) == 2)
                assert subscriber.ids() == ["store:1@1", "store:1@2"]
                assert (it.lost, it.source.sessions) == ([], 1)
                assert it.hub.rings.covered_since == covered
                await it.until(lambda: (it.hub.lag(time.monotonic()) or 9) < 1.0)

    async def test_a_broker_that_comes_back_with_its_log_is_read_on(
        self, kafka_server: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # However long it takes to start on a busy machine.
        monkeypatch.setattr(session_check, "MAX_LOOKS", 1_000)
        async with reading(kafka_server.bootstrap, topic) as it:
            async with relay_to(kafka_server.bootstrap, topic) as relay:
                relay.keep_marking()
                await it.until_warm()
                await relay.publish("1", 1)
                await it.until(lambda: it.head("1") == 1)
                subscriber = it.follow("1", 0)
                await relay.stop_marking()
                await asyncio.to_thread(kafka_server.kill)
            await asyncio.to_thread(kafka_server.start)
            async with relay_to(kafka_server.bootstrap, topic) as again:
                await again.publish("1", 2)
                await it.until(lambda: len(subscriber.ids()) == 2)
        assert subscriber.ids() == ["store:1@1", "store:1@2"]
        assert (it.lost, it.source.sessions) == ([], 1)

    async def test_a_broker_that_hangs_on_ends_the_session_and_the_next_one_catches_up(
        self, kafka_server: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session_check, "MAX_LOOKS", 2)
        async with relay_to(kafka_server.bootstrap, topic) as relay:
            relay.keep_marking()
            async with reading(kafka_server.bootstrap, topic) as it:
                await it.until_warm()
                await relay.publish("1", 1)
                await it.until(lambda: it.head("1") == 1)
                subscriber = it.follow("1", 1)
                kafka_server.process.suspend()
                try:
                    await it.until(lambda: it.lost)
                finally:
                    kafka_server.process.resume()
                assert it.lost[0] is False
                assert subscriber.ended
                await relay.publish("1", 2)
                await it.until_warm()
                assert it.head("1") == 2
