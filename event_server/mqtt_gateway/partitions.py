"""The partitions that are ours: how far each is read, and acknowledged by the broker.

A gateway that was suspended does not know for how long, so each commit that Kafka accepts is also
the proof that the partitions are ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka import TopicPartition

from event_server.errors import OwnershipLostError
from event_server.mqtt_gateway.group_reader import GroupReader, GroupSettings
from event_server.mqtt_gateway.rules.membership import SESSION_TIMEOUT_S, Membership
from event_server.mqtt_gateway.rules.progress import HeldRecord, Progress
from server_common.kafka.raw_records import LeftOut, ReadRecord
from server_common.kafka_records.events import partition_of
from server_common.logs import get_logger

if TYPE_CHECKING:
    from event_server.mqtt_gateway.metrics import GatewayMetrics

log = get_logger()

PROVE_EVERY_S: Final = 1.0
MAX_HELD: Final = 1000
MAX_HELD_BYTES: Final = 8 * 1024 * 1024
SHARED_OUT_WITHIN_S: Final = 1.5 * SESSION_TIMEOUT_S
"""Kafka waits for a silent member until its time-out, and then reassigns its partitions."""
_ROOM_POLL_S: Final = 0.1
_FRESH_PAUSE_S: Final = 0.1


class Begun(NamedTuple):
    """A partition of the log that is read from now on."""

    partition: int
    has_lost: bool
    """Whether unpublished records are gone from the log."""
    is_new: bool
    """Whether another gateway may have published records of it since it was last ours."""


class Partitions:
    """One membership in the group of gateways.

    Args:
        settings: what the group reads.
        metrics: where the numbers go.
        clock: seconds that only go forward.
    """

    def __init__(
        self, settings: GroupSettings, metrics: GatewayMetrics, clock: Callable[[], float]
    ) -> None:
        self.membership = Membership()
        self.progress: Progress[TopicPartition] = Progress(MAX_HELD, MAX_HELD_BYTES)
        self._events = settings.events
        self._metrics = metrics
        self._clock = clock
        self._next: dict[TopicPartition, int] = {}
        self._publish_from: dict[TopicPartition, int] = {}
        self._fresh: set[TopicPartition] = set()
        self._had: set[int] = set()
        self._joined = False
        self._shares = 0
        self._worked_at = float("-inf")
        self._reader = GroupReader(settings, self._revoked, self._assigned)

    @property
    def is_reading(self) -> bool:
        """Whether all our partitions (perhaps none) are being read, with Kafka's confirmation; or
        were a moment ago, as during a rebalance."""
        return self._clock() - self._worked_at < SHARED_OUT_WITHIN_S

    @property
    def has_read(self) -> bool:
        """Whether `is_reading` was ever true."""
        return self._worked_at > float("-inf")

    @property
    def of_log(self) -> int:
        """How many partitions the log has; 0: not known yet."""
        return self._reader.partitions_of_log

    def partition_of(self, store: str) -> int:
        """The log's partition that carries the store."""
        return partition_of(store, max(1, self.of_log))

    def owns(self, store: str) -> bool:
        """Whether the store's partition is read here."""
        tp = TopicPartition(self._events, self.partition_of(store))
        return tp in self._next and tp not in self._fresh

    async def open(self) -> None:
        """Join the group.

        Raises:
            KafkaError, OSError, TimeoutError: the brokers do not answer.
        """
        await self._reader.open()

    async def leave(self) -> None:
        """Commit the processed records; raises as `prove`."""
        await self._revoked()

    async def close(self) -> None:
        """Leave the group."""
        await self._reader.close()

    async def begin_fresh(self) -> list[Begun]:
        """Begin reading newly assigned partitions; raises as `open`."""
        begun = []
        if self._fresh:
            await asyncio.sleep(_FRESH_PAUSE_S)
        shares = self._shares
        for tp in tuple(self._fresh):
            at = await self._reader.begin(tp)
            if shares != self._shares:
                break  # Kafka's answers may be outdated
            if at is None:
                continue
            self._fresh.discard(tp)
            self.progress.start_at(tp, at.publish_from)
            self._next[tp] = at.read_from
            self._publish_from[tp] = at.publish_from
            if tp.topic == self._events:
                begun.append(Begun(tp.partition, at.has_lost, tp.partition not in self._had))
                self._had.add(tp.partition)
        return begun

    async def next(self) -> Mapping[TopicPartition, Sequence[ReadRecord]]:
        """The next records, or none: also while too many wait for the broker. Raises as `open`."""
        has_room = self.progress.has_room
        self._reader.pause(not has_room)
        if not has_room:
            await asyncio.sleep(_ROOM_POLL_S)
            return {}
        return await self._reader.next(self._next)

    def hand_on(
        self,
        tp: TopicPartition,
        records: Sequence[ReadRecord],
        take: Callable[[TopicPartition, ReadRecord, HeldRecord | None], None],
    ) -> None:
        """Pass on those records that are still ours.

        What `take` raises is raised here; then the record stays unprocessed.

        Args:
            tp: the partition that they were read from.
            records: in the order of their offsets.
            take: called with the partition, the record, and the `HeldRecord` that delays its
                offset; None: it was published before.
        """
        for record in records:
            # A partition that was reassigned meanwhile begins at its own position.
            if tp in self._fresh or tp not in self._next:
                return
            if record.offset < self._publish_from[tp]:
                take(tp, record, None)
            else:
                with self.progress.reading(tp, record.offset + 1, _size_of(record)) as held:
                    take(tp, record, held)
            self._next[tp] = record.offset + 1

    def begin_again(self, tps: Mapping[TopicPartition, object]) -> None:
        """Their records were read but not published; if they stay ours they are read again."""
        self._fresh |= tps.keys() & self._next.keys()

    def count(self) -> None:
        """Update the metrics of waiting records, and `has_read`."""
        now = self._clock()
        is_proven = not self._next or self.membership.holds(now)
        if self._joined and not self._fresh and is_proven:
            self._worked_at = now
        self._metrics.held.set(self.progress.count)
        self._metrics.behind.set(self._reader.behind(self._next))

    async def keep_proving(self) -> None:
        """Prove ownership periodically; raises as `prove`."""
        while True:
            await asyncio.sleep(PROVE_EVERY_S)
            if self._next:
                await self.prove()

    async def prove(self) -> bool:
        """Commit the processed records, which only the owner of the partitions can do. Returns
        whether they are ours.

        Raises:
            KafkaError, OSError, TimeoutError: the brokers do not answer.
        """
        asked_at, shares = self._clock(), self._shares
        mine = self._reader.mine
        offsets = {tp: at for tp, at in self.progress.committable().items() if tp in mine}
        if not offsets:
            return False
        try:
            await self._reader.commit(offsets)
        except (OwnershipLostError, TimeoutError) as error:
            log.info("gateway_holds_back", reason=str(error) or repr(error))
            self.membership.lose()
            return False
        if shares != self._shares:
            return False
        self.membership.proven(asked_at)
        return self.membership.holds(self._clock())

    async def _revoked(self) -> None:
        self._shares += 1
        self.membership.lose()
        offsets = self.progress.committable()
        self._next.clear()
        self._fresh.clear()
        self.progress.forget(list(offsets))
        self._metrics.partitions.set(0)
        if offsets:
            await self._reader.commit(offsets)

    def _assigned(self, assigned: frozenset[TopicPartition]) -> None:
        self._shares += 1
        self._fresh = set(assigned)
        self._joined = True
        of_log = sorted(tp.partition for tp in assigned if tp.topic == self._events)
        self._had.intersection_update(of_log)
        self._metrics.partitions.set(len(of_log))
        log.info("gateway_has_partitions", partitions=of_log)


def _size_of(record: ReadRecord) -> int:
    if isinstance(record, LeftOut):
        return len(record.raw)
    return len(record.value or b"")
