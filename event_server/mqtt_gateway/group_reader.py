"""Kafka, read by several gateways together: a consumer group in which each has its partitions.

A partition is read from a little before the committed offset: published records are read again for
their heads, so that the marks of a new owner equal those of the old one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from event_server.errors import OwnershipLostError
from event_server.mqtt_gateway.rules.membership import SESSION_TIMEOUT_S
from server_common.backoff import Backoff
from server_common.kafka.clients import start_client, stop_consumer
from server_common.kafka.connection import Kafka, client_arguments
from server_common.kafka.raw_records import ReadRecord
from server_common.kafka.reading import get_many
from server_common.logs import get_logger

log = get_logger()

LOOK_BACK_S: Final = 60.0
"""Longer than a client goes without a mark before it syncs by itself."""
_FETCH_WAIT_MS: Final = 100
_POLL_MS: Final = 200
_RECORDS_AT_ONCE: Final = 200
_TOPIC_POLL_S: Final = (0.05, 1.0)
_REQUEST_TIMEOUT_MS: Final = 8_000
_LEAVE_WITHIN_S: Final = 5.0
_COMMIT_WITHIN_S: Final = 5.0
"""aiokafka retries for ever, but a commit that succeeds later no longer proves ownership."""
_NEW_TOPIC_WITHIN_MS: Final = 5_000
"""Core creates the topic of its answers with the first one."""
_MAX_POLL_INTERVAL_MS: Final = 24 * 3_600_000
"""A gateway that waits for the broker or for Core polls nothing, but is alive."""
_TAKEN_AWAY: Final = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


@dataclass(frozen=True, slots=True)
class Begin:
    """Where the reading of a partition begins."""

    read_from: int
    publish_from: int
    """Records before this one were published; they are only read for the channels' heads."""
    has_lost: bool
    """Whether unpublished records are gone from the log."""


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """What the gateways read together."""

    kafka: Kafka
    events: str
    """The topic of the log."""
    outbound: str
    """The topic of Core's answers to devices."""
    group: str
    """The consumer group."""


class GroupReader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One membership in the group.

    Args:
        settings: what is read.
        revoked: called before partitions may go to another gateway.
        assigned: called with the partitions that are ours from now on.
    """

    def __init__(
        self,
        settings: GroupSettings,
        revoked: Callable[[], Awaitable[None]],
        assigned: Callable[[frozenset[TopicPartition]], None],
    ) -> None:
        self._events = settings.events
        self._outbound = settings.outbound
        self._revoked = revoked
        self._assigned = assigned
        self._paused = False
        self._committing = asyncio.Lock()
        self._is_shared_out = False
        self._consumer = AIOKafkaConsumer(
            **client_arguments(settings.kafka),
            group_id=settings.group,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            session_timeout_ms=round(SESSION_TIMEOUT_S * 1000),
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            metadata_max_age_ms=_NEW_TOPIC_WITHIN_MS,
        )

    async def open(self) -> None:
        """Find the log's topic, which the relay makes, and join the group.

        Raises:
            KafkaError, OSError, TimeoutError: the brokers do not answer.
        """
        await start_client(self._consumer)
        told, backoff = False, Backoff(*_TOPIC_POLL_S, random.uniform)
        while self._events not in await self._consumer.topics():
            if not told:
                log.info("waiting_for_topic", topic=self._events, made_by="yabam relay")
            told = True
            await asyncio.sleep(backoff.failed())
        self._consumer.subscribe([self._events, self._outbound], listener=self)

    async def close(self) -> None:
        """Leave the group."""
        await stop_consumer(self._consumer, _LEAVE_WITHIN_S)

    @property
    def partitions_of_log(self) -> int:
        """How many partitions the log has; 0: not known yet."""
        return len(self._consumer.partitions_for_topic(self._events) or ())

    @property
    def mine(self) -> frozenset[TopicPartition]:
        """The partitions that are assigned to us."""
        return frozenset(self._consumer.assignment())

    def behind(self, positions: Mapping[TopicPartition, int]) -> int:
        """How many records come after these positions."""
        ends = {tp: self._consumer.highwater(tp) for tp in self.mine & positions.keys()}
        return sum(max(0, (end or 0) - positions[tp]) for tp, end in ends.items())

    def pause(self, on: bool) -> None:
        """Stop fetching, or resume."""
        if on != self._paused:
            self._paused = on
            change = self._consumer.pause if on else self._consumer.resume
            change(*self._consumer.assignment())

    async def begin(self, tp: TopicPartition) -> Begin | None:
        """Seek to where the reading of the partition begins; None: it is no longer ours.

        Raises:
            KafkaError, OSError, TimeoutError: the brokers do not answer.
        """
        committed = await self._consumer.committed(tp)
        first = (await self._consumer.beginning_offsets([tp]))[tp]
        end = (await self._consumer.end_offsets([tp]))[tp]
        has_lost = committed is not None and not first <= committed <= end
        if committed is None:
            # Old orders are not needed. The other topic may be new, with an answer in it already.
            publish_from = end if tp.topic == self._events else first
        else:
            publish_from = first if has_lost else committed
        read_from = publish_from
        if tp.topic == self._events:
            since = int((time.time() - LOOK_BACK_S) * 1000)
            found = (await self._consumer.offsets_for_times({tp: since})).get(tp)
            read_from = min(publish_from, max(first, found.offset if found else first))
        try:
            self._consumer.seek(tp, read_from)
        except IllegalStateError:
            return None
        return Begin(read_from, publish_from, has_lost)

    async def next(
        self, positions: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, Sequence[ReadRecord]]:
        """The next records; `positions` are those after the processed records.

        Raises:
            KafkaError, OSError, TimeoutError: the brokers do not answer.
        """

        async def at() -> Mapping[TopicPartition, int]:
            return {tp: offset for tp, offset in positions.items() if tp in self.mine}

        return await get_many(self._consumer, at, timeout_ms=_POLL_MS, max_records=_RECORDS_AT_ONCE)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit these offsets of partitions that are ours.

        Raises:
            OwnershipLostError: the group has given them to another gateway, or is about to.
            KafkaError, OSError, TimeoutError: the brokers do not answer.
        """
        async with self._committing, asyncio.timeout(_COMMIT_WITHIN_S):
            # A commit during a rebalance is refused, and aiokafka then joins the group again: that
            # is another rebalance, in which all gateways pause again.
            if self._is_shared_out:
                raise OwnershipLostError("Kafka is rebalancing the partitions")
            try:
                await self._consumer.commit(dict(offsets))
            except _TAKEN_AWAY as error:
                raise OwnershipLostError(
                    f"Kafka is rebalancing the partitions: {error!r}"
                ) from error

    async def on_partitions_revoked(self, _revoked: object) -> None:
        """aiokafka calls this before a rebalance."""
        with contextlib.suppress(KafkaError, OwnershipLostError, OSError, TimeoutError):
            await self._revoked()
        async with self._committing:
            self._is_shared_out = True

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """aiokafka calls this after a rebalance."""
        self._is_shared_out = False
        self._paused = False
        self._assigned(frozenset(assigned))
