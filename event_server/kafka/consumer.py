"""Kafka in: reads the partitions of this server without a consumer group.

It reads in sessions. A session finds the topic, starts each partition a replay window back, and
reads on for as long as it can prove that no record is missed. When the proof fails (the log was cut
or replaced, the topic no longer fits the settings, the brokers are down for long), the session
ends: everything read before is discarded, the streams end, and the next session warms up again.
Brokers that are slow or down for some seconds end no session: each record proves that it follows
the one before (`continuity.py`), and the watermark's lag ends the streams when it must.

Works with Apache Kafka and with brokers that have no index by time (librdkafka's mock broker):
those are read from the beginning.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from client_sdk.contract.channel import parse_channel
from event_server.errors import LogReplacedError, SourceError, SourceLostError
from event_server.kafka.record_reader import RecordReader
from event_server.kafka.session_check import CHECK_EVERY_S, SessionCheck
from event_server.kafka.warm_up import ReadRange
from event_server.replay.hub import Hub
from event_server.replay.ring import MARGIN_S
from event_server.streams.latency import PushLatency
from server_common.backoff import Backoff
from server_common.errors import SettingsError
from server_common.kafka.clients import start_client, stop_consumer
from server_common.kafka.connection import Kafka, client_arguments
from server_common.kafka.raw_records import LeftOut, ReadRecord
from server_common.kafka.reading import get_many
from server_common.kafka_records.events import partition_of_channel
from server_common.logs import get_logger
from server_common.supervision import is_being_cancelled

log = get_logger()

_REQUEST_TIMEOUT_MS: Final = 5_000
_RECORDS_AT_ONCE: Final = 500
_NEWEST_WITHIN_S: Final = 5.0
_TOPIC_POLL_S: Final = (0.05, 1.0)
_BACK_OFF_S: Final = (0.1, 5.0)
_STOP_WITHIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Where:
    """What to read from Kafka, and how far back."""

    kafka: Kafka
    topic: str
    partitions: int
    owned: frozenset[int]
    window_s: float
    fetch_wait_ms: int
    """How long a broker may delay the answer to a fetch without new records."""
    silence_s: float = 3.0
    """A partition without a record for so many seconds is checked: the relay writes a watermark
    every second."""


class KafkaSource:
    """Feeds the hub from Kafka.

    Args:
        where: what to read.
        hub: takes the events.
        lost: called when a session has ended, before its data are discarded; true: records may be
            missing, false: Kafka cannot be reached.
        skipped: called for each record that is skipped, with its kind.
        monotonic: returns seconds that only go forward.
        wall: returns seconds since the Unix epoch, for a log without a single record.
        latency: measures the delay of events; None: nobody reads it.
    """

    def __init__(
        self,
        where: Where,
        hub: Hub,
        lost: Callable[[bool], None],
        skipped: Callable[[str], None],
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        latency: PushLatency | None = None,
    ) -> None:
        self.sessions = 0
        self.trouble: str | None = None
        """Why nothing can be read until an operator acts; None: it can."""
        self._where = where
        self._hub = hub
        self._lost = lost
        self._skipped = skipped
        self._monotonic = monotonic
        self._wall = wall
        self._latency = latency or PushLatency(hub.clock, wall)
        self._told: set[str] = set()
        self._has_fitted = False

    async def run(self) -> None:
        """Read until cancelled.

        Raises:
            SettingsError: the topic has another number of partitions than the settings say, and
                has had since the start. If this happens later, the streams end and the check is
                repeated: the topic that comes back may fit the settings.
        """
        backoff = Backoff(*_BACK_OFF_S, random.uniform)
        while True:
            began = self._monotonic()
            try:
                await self._session()
            except SourceError as error:
                self._give_up(missing=isinstance(error, LogReplacedError))
                log.warning("kafka_lost", reason=str(error))
            except SettingsError as error:
                if not self._has_fitted:
                    raise
                if self.trouble is None:
                    log.error("topic_does_not_fit", reason=str(error), streams="ended")
                self.trouble = str(error)
                self._give_up(missing=False)
            except (Exception, asyncio.CancelledError):
                if not is_being_cancelled():
                    self._give_up(missing=True)
                raise
            if self._monotonic() - began > 2 * _BACK_OFF_S[1]:
                backoff.forget()
            await asyncio.sleep(backoff.failed())

    def _give_up(self, *, missing: bool) -> None:
        self._hub.warm = False
        self._lost(missing)

    async def _session(self) -> None:
        self.sessions += 1
        consumer = AIOKafkaConsumer(
            **client_arguments(self._where.kafka),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=30_000,
            fetch_max_wait_ms=self._where.fetch_wait_ms,
        )
        try:
            await start_client(consumer)
            await self._find_topic(consumer)
            await self._read(consumer)
        except OffsetOutOfRangeError as error:
            raise LogReplacedError(f"the records to be read next are gone: {error}") from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise SourceLostError(
                f"Kafka at {self._where.kafka}: {type(error).__name__}: {error}"
            ) from error
        finally:
            await stop_consumer(consumer, _STOP_WITHIN_S)

    async def _find_topic(self, consumer: AIOKafkaConsumer) -> None:
        """Wait for the topic, which the relay makes; compare its partitions with the settings."""
        topic = self._where.topic
        told, backoff = False, Backoff(*_TOPIC_POLL_S, random.uniform)
        # All topics are listed: asking for one by name may create it with wrong settings.
        while topic not in await consumer.topics():
            if not told:
                log.info("waiting_for_topic", topic=topic, made_by="yabam relay")
            told = True
            await asyncio.sleep(backoff.failed())
        await consumer.end_offsets([TopicPartition(topic, 0)])  # loads the topic's metadata
        self._check_partitions(consumer)

    def _check_partitions(self, consumer: AIOKafkaConsumer) -> None:
        found = len(consumer.partitions_for_topic(self._where.topic) or ())
        if not found:
            raise SourceLostError(f"the topic {self._where.topic} is gone")
        if found != self._where.partitions:
            raise SettingsError(
                f"the topic {self._where.topic} has {found} partitions, "
                f"YABAM_PARTITIONS={self._where.partitions}: set YABAM_PARTITIONS={found} for all "
                "processes, or use a new topic"
            )
        self._has_fitted, self.trouble = True, None

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        topic = self._where.topic
        parts = [TopicPartition(topic, p) for p in sorted(self._where.owned)]
        ends = await consumer.end_offsets(parts)
        begins = await consumer.beginning_offsets(parts)
        since = await self._newest_time(consumer, begins, ends) - self._where.window_s - MARGIN_S
        starts = await self._starts(consumer, begins, since)
        self._seek(consumer, starts)
        reader = RecordReader(
            self._hub,
            {
                tp.partition: ReadRange(ends[tp], since if starts[tp] > begins[tp] else None)
                for tp in parts
            },
            self._skip,
            self._latency.handed,
            lambda channel: partition_of_channel(parse_channel(channel), self._where.partitions),
        )
        log.info("warming_up", records=sum(ends[tp] - starts[tp] for tp in parts))
        await self._follow(consumer, reader, starts)

    async def _newest_time(
        self,
        consumer: AIOKafkaConsumer,
        begins: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
    ) -> float:
        """The newest record's time: by the database's clock, shortly before the session."""
        last = {tp: end - 1 for tp, end in ends.items() if end > begins[tp]}
        newest = 0.0
        if last:
            self._seek(consumer, last)
            deadline = self._monotonic() + _NEWEST_WITHIN_S
            while last and self._monotonic() < deadline:
                for tp, records in (await self._next(consumer, last, 200)).items():
                    last.pop(tp, None)
                    newest = max(newest, *map(_time_of, records))
        return newest or self._wall()

    async def _starts(
        self, consumer: AIOKafkaConsumer, begins: Mapping[TopicPartition, int], since: float
    ) -> dict[TopicPartition, int]:
        found = await consumer.offsets_for_times(dict.fromkeys(begins, int(since * 1000)))
        return {
            tp: begin if (at := found.get(tp)) is None else max(begin, at.offset)
            for tp, begin in begins.items()
        }

    def _seek(self, consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int]) -> None:
        # No await between the two: a fetch in between would look for a group's position.
        consumer.assign(list(starts))
        for tp, offset in starts.items():
            consumer.seek(tp, offset)

    async def _follow(
        self, consumer: AIOKafkaConsumer, reader: RecordReader, starts: Mapping[TopicPartition, int]
    ) -> None:
        check = SessionCheck(consumer, starts, self._where.silence_s, self._monotonic())
        try:
            await self._read_on(consumer, reader, check)
        finally:
            await check.close()

    async def _read_on(
        self, consumer: AIOKafkaConsumer, reader: RecordReader, check: SessionCheck
    ) -> None:
        positions, heard = check.positions, check.heard
        next_check = self._monotonic() + CHECK_EVERY_S
        while True:
            batches = await self._next(consumer, positions, round(CHECK_EVERY_S * 1000))
            now = self._monotonic()
            for tp, records in batches.items():
                warm = self._hub.warm
                take, partition = reader.take, tp.partition
                for record in records:
                    if type(record) is LeftOut:
                        reader.leave_out(partition, record, now)
                        continue
                    time, value = record.timestamp / 1000, record.value
                    again = take(partition, record.offset, time, value, record.headers, now)
                    if again is not None:
                        consumer.seek(tp, again)
                        positions[tp] = again
                        break
                else:
                    positions[tp] = records[-1].offset + 1
                heard[tp] = now
                if self._hub.warm and not warm:
                    log.info("warm", covered_since=self._hub.rings.covered_since)
            self._latency.settle(self._monotonic())
            if now >= next_check:
                next_check = now + CHECK_EVERY_S
                self._check_partitions(consumer)
                await check.look(now)
            await asyncio.sleep(0)  # a full buffer must not block the writing of streams

    async def _next(
        self, consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, int], timeout_ms: int
    ) -> Mapping[TopicPartition, Sequence[ReadRecord]]:
        async def at() -> Mapping[TopicPartition, int]:
            return positions

        return await get_many(consumer, at, timeout_ms=timeout_ms, max_records=_RECORDS_AT_ONCE)

    def _skip(self, kind: str, reason: str) -> None:
        self._skipped(kind)
        if kind not in self._told:
            self._told.add(kind)
            log.warning("record_skipped", kind=kind, reason=reason, told="once per kind")


def _time_of(record: ReadRecord) -> float:
    """Seconds since the Unix epoch; 0: not known."""
    if isinstance(record, LeftOut):
        return (record.timestamp_ms or 0) / 1000
    return record.timestamp / 1000
