"""Ingest: reads `orders.inbound` in a consumer group and applies what it reads.

Offsets are committed after the commands' own commits. After a crash in between, the commands come
again, and their idempotency keys keep them from being applied twice. A partition whose commands
wait, for a locked row say, does not delay the others (`under_way.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from core_api.errors import UnavailableError
from core_api.ingest.inbound_commands import InboundRecord, UnreadRecords
from core_api.ingest.under_way import UnderWay, at_once
from core_api.kafka.topics import BrokerError, Topic, ensure_topics
from server_common.backoff import Backoff
from server_common.kafka.clients import start_client, stop_consumer
from server_common.kafka.connection import Kafka, client_arguments
from server_common.kafka.raw_records import LeftOut, ReadRecord, Record
from server_common.kafka.reading import get_many
from server_common.limits import INGEST_RECORDS
from server_common.logs import get_logger

if TYPE_CHECKING:
    from prometheus_client import Gauge

_log = get_logger()

GROUP: Final = "core-ingest"
_POLL_MS: Final = 200
_REQUEST_TIMEOUT_S: Final = 10.0
"""The time-out of a request to a broker."""
_LOOK_EVERY_S: Final = 5.0
_BREAK_S: Final = 10.0
"""A loop that did not run for so long, as in a suspended process, does not know what it missed."""
_LEAVE_WITHIN_S: Final = 10.0
# A broker with news answers a fetch at once; librdkafka's mock broker answers only after this time.
_FETCH_WAIT_MS: Final = 100
_RETRY_S: Final = (0.1, 5.0)
# The group gave our partitions to another member, which will get the same records.
_TAKEN_AWAY: Final = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


class RecordApplier(Protocol):
    """Deals with records (`applier.py`, `device_applier.py`)."""

    @property
    def trouble(self) -> str | None:
        """The fault that it waits out; None: it is not waiting."""

    async def apply(self, records: Sequence[InboundRecord]) -> None:
        """Apply all records of one partition. Returns when all are applied or set aside."""

    async def set_aside(self, what: UnreadRecords, detail: str) -> None:
        """Store unreadable records where a person finds them. Returns when that is done."""


class ReadingMetrics(Protocol):
    """Where the consumer's numbers go."""

    behind: Gauge
    stalled: Gauge


class Ingest:
    """Reads and applies until it is stopped.

    Args:
        kafka: the cluster.
        topic: what to read; made if it is missing.
        applier: deals with what was read.
        check: raises `UnavailableError` while the database cannot take commands.
        group: the consumer group.
        clock: seconds that only go forward.
        metrics: where the numbers go.
        max_under_way: a partition is read on while fewer of its records are in progress; 0: only
            after its batch is applied, for an applier that takes one batch of a partition at once.
    """

    def __init__(
        self,
        kafka: Kafka,
        topic: Topic,
        applier: RecordApplier,
        check: Callable[[], Awaitable[None]],
        *,
        group: str = GROUP,
        clock: Callable[[], float],
        metrics: ReadingMetrics,
        max_under_way: int = 0,
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._applier = applier
        self._check = check
        self._group = group
        self._clock = clock
        self._metrics = metrics
        self._max_under_way = max_under_way
        self._stopping = asyncio.Event()
        self._turned_at = clock()
        self._failing: str | None = "start"
        self._next: dict[TopicPartition, int] = {}
        self._current_since: dict[int, float] = {}

    def listened(self, seconds: float) -> frozenset[int]:
        """The partitions that have been read to their end, without a break, for so long."""
        now = self._clock()
        if now - self._turned_at > _BREAK_S:
            return frozenset()
        return frozenset(p for p, since in self._current_since.items() if now - since >= seconds)

    @property
    def healthy(self) -> bool:
        """Whether the loop runs, or waits out a known fault."""
        return self.trouble is not None or self._clock() - self._turned_at < 60.0

    @property
    def trouble(self) -> str | None:
        """Why commands cannot be applied now; None if they can."""
        return self._applier.trouble or self._failing

    def stop(self) -> None:
        """Finish the batches in progress, commit their offsets and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Ingest until `stop` is called."""
        backoff = Backoff(*_RETRY_S, random.uniform)
        while not self._stopping.is_set():
            try:
                await self._session()
            except (KafkaError, UnavailableError, OSError, TimeoutError) as error:
                known = isinstance(error, UnavailableError)
                reason = str(error) if known else f"Kafka does not answer: {error!r}"
                if self._failing != reason:
                    _log.warning("ingest_waits", reason=reason)
                self._failing = reason
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(backoff.failed()):
                        await self._stopping.wait()
            else:
                backoff.forget()

    async def _session(self) -> None:
        """Run one membership in the group, until it fails or must stop."""
        await ensure_topics(self._kafka, [self._topic], _REQUEST_TIMEOUT_S)
        # Only once the database is ready; until then ingest is not ready either.
        await self._check()
        consumer = AIOKafkaConsumer(
            **client_arguments(self._kafka),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            request_timeout_ms=round(_REQUEST_TIMEOUT_S * 1000),
        )
        under_way = UnderWay(consumer, self._clock, self._max_under_way)
        consumer.subscribe([self._topic.name], listener=under_way)
        self._current_since = {}
        try:
            await start_client(consumer)
            _log.info("ingest_reads", topic=self._topic.name, group=self._group)
            self._failing = None
            await self._read(consumer, under_way)
            await under_way.finish()
        finally:
            self._current_since = {}
            await under_way.give_up()
            await stop_consumer(consumer, _LEAVE_WITHIN_S)

    async def _read(self, consumer: AIOKafkaConsumer, under_way: UnderWay) -> None:
        look_at = self._clock() + _LOOK_EVERY_S
        while not self._stopping.is_set():
            now = self._clock()
            if now - self._turned_at > _BREAK_S:
                self._current_since = {}
            self._turned_at = now
            if now >= look_at:
                look_at = now + _LOOK_EVERY_S
                # A broker that lost its disk lacks the topic, without telling the group's members.
                if self._topic.name not in await consumer.topics():
                    raise BrokerError(f"the topic {self._topic.name} is gone")
            batches = await get_many(
                consumer,
                lambda: _positions(consumer, under_way),
                timeout_ms=_POLL_MS,
                max_records=INGEST_RECORDS,
            )
            for partition, records in batches.items():
                taken = at_once(records)
                if len(taken) < len(records):
                    consumer.seek(partition, taken[-1].offset + 1)
                work = self._partition(consumer, under_way, partition, taken)
                under_way.start(partition, taken, work)
            await under_way.settle()
            await self._commit_marks(consumer, under_way.partitions)
            await self._note_current(consumer, under_way.partitions)
            self._note_numbers(consumer, under_way)

    async def _commit_marks(
        self, consumer: AIOKafkaConsumer, busy: Collection[TopicPartition]
    ) -> None:
        """Commit the end of what was read, where nothing is in progress.

        Kafka marks the end of each transaction by an entry that no consumer gets. Behind the last
        record, nothing else would commit it, and the group would stay behind by one for good.
        """
        for tp in consumer.assignment() - set(busy):
            with contextlib.suppress(*_TAKEN_AWAY):
                position = await consumer.position(tp)
                if position > self._next.setdefault(tp, position):
                    await self._commit(consumer, tp, position)

    async def _note_current(
        self, consumer: AIOKafkaConsumer, busy: Collection[TopicPartition]
    ) -> None:
        """Update since when each partition has been read to its end, with all records applied."""
        now, before, current = self._clock(), self._current_since, {}
        for tp in consumer.assignment() - set(busy):
            end = consumer.highwater(tp)
            with contextlib.suppress(*_TAKEN_AWAY):
                if end is not None and await consumer.position(tp) >= end:
                    current[tp.partition] = before.get(tp.partition, now)
        self._current_since = current

    def _note_numbers(self, consumer: AIOKafkaConsumer, under_way: UnderWay) -> None:
        self._metrics.stalled.set(under_way.stalled)
        self._metrics.behind.set(
            sum(
                max(0, (consumer.highwater(partition) or 0) - self._next[partition])
                for partition in consumer.assignment() & self._next.keys()
            )
        )

    async def _partition(
        self,
        consumer: AIOKafkaConsumer,
        under_way: UnderWay,
        partition: TopicPartition,
        records: Sequence[ReadRecord],
    ) -> None:
        # Until the batch is done, all its records count as not applied.
        self._next.setdefault(partition, records[0].offset)
        commands = [_inbound(record) for record in records if not isinstance(record, LeftOut)]
        await self._applier.apply(commands)
        for record in records:
            if isinstance(record, LeftOut):
                await self._applier.set_aside(_unread(partition, record), record.reason)
        next_offset = under_way.dealt_with(partition, records[-1].offset + 1)
        if next_offset is not None:
            await self._commit(consumer, partition, next_offset)

    async def _commit(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, next_offset: int
    ) -> None:
        try:
            await consumer.commit({partition: next_offset})
            self._next[partition] = next_offset
        except _TAKEN_AWAY as error:
            _log.info("partition_moved", partition=partition.partition, reason=repr(error))


async def _positions(consumer: AIOKafkaConsumer, under_way: UnderWay) -> dict[TopicPartition, int]:
    """The next offset to apply, in each partition that this member has and that may be read."""
    partitions = list(consumer.assignment() - consumer.paused())
    if not partitions:
        return {}
    begins = await consumer.beginning_offsets(partitions)
    found = {}
    for tp in partitions:
        ahead = under_way.read_to(tp)
        found[tp] = max(begins[tp], await consumer.committed(tp) or 0) if ahead is None else ahead
    return found


def _inbound(record: Record) -> InboundRecord:
    return InboundRecord(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )


def _unread(partition: TopicPartition, what: LeftOut) -> UnreadRecords:
    return UnreadRecords(
        partition.topic, partition.partition, what.first, what.offset, what.timestamp_ms, what.raw
    )
