"""The batches in progress: none delays one of another partition.

A round of reading waits a moment for its batches. A batch that takes longer goes on in the
background. Its partition is paused, or is read on up to a limit, while the others are read on. A
partition's offset is committed up to the first batch that is not done.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from server_common.kafka.raw_records import LeftOut, ReadRecord
from server_common.limits import INGEST_BYTES
from server_common.short_tasks import short_task

ROUND_S: Final = 0.1
"""How long a round waits for its batches, in seconds: a batch that does not stall takes less, and a
stalled one delays the others once by this time."""
STALLED_S: Final = 30.0
"""A batch that has been in progress for longer counts as stalled, in seconds."""
HAND_OVER_S: Final = 2.0
"""How long batches may go on when the group rebalances, in seconds."""


@dataclass(slots=True, eq=False)
class _Batch:
    next_offset: int
    records: int
    size: int
    began: float
    task: asyncio.Future[None]
    is_fresh: bool = True
    """No round has waited for it yet."""
    is_dealt_with: bool = False
    is_over: bool = False


class UnderWay(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The batches of one membership in a group.

    When the group rebalances, batches that do not end in a moment are cancelled: the next owner of
    the partition gets the same records again.

    Args:
        consumer: where the records come from.
        clock: seconds that only go forward.
        most_records: a partition is read on while fewer are in progress in it; 0: only after its
            batch is done.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        clock: Callable[[], float] = time.monotonic,
        most_records: int = 0,
    ) -> None:
        self._consumer = consumer
        self._clock = clock
        self._most_records = most_records
        self._batches: dict[TopicPartition, deque[_Batch]] = {}
        self._failed: list[BaseException] = []

    @property
    def partitions(self) -> Collection[TopicPartition]:
        """The partitions that have a batch in progress."""
        return self._batches.keys()

    @property
    def stalled(self) -> int:
        """How many partitions have had a batch in progress for longer than `STALLED_S`."""
        before = self._clock() - STALLED_S
        return sum(batches[0].began <= before for batches in self._batches.values())

    def read_to(self, partition: TopicPartition) -> int | None:
        """The offset after the last record in progress; None: there is none."""
        batches = self._batches.get(partition)
        return batches[-1].next_offset if batches else None

    def start(
        self,
        partition: TopicPartition,
        records: Sequence[ReadRecord],
        work: Coroutine[Any, Any, None],
    ) -> None:
        """Start a batch of a partition, read after those that are in progress.

        Args:
            partition: its partition.
            records: the batch.
            work: processes it.
        """
        size = sum(map(_size_of, records))
        task = short_task(work)
        batch = _Batch(records[-1].offset + 1, len(records), size, self._clock(), task)
        self._batches.setdefault(partition, deque()).append(batch)
        task.add_done_callback(lambda _done: self._ended(partition, batch))

    def dealt_with(self, partition: TopicPartition, next_offset: int) -> int | None:
        """Record that the batch with this end is done; the offset that may be committed now. None:
        no new one, since an earlier batch is not done."""
        found, is_first = None, True
        for batch in self._batches.get(partition, ()):
            batch.is_dealt_with |= batch.next_offset == next_offset
            is_first = is_first and batch.is_dealt_with
            if is_first:
                found = batch.next_offset
        return found

    async def settle(self) -> None:
        """Wait a moment for all batches; those that take longer go on in the background.

        Raises:
            Exception: what a batch failed with, in this round or since the last one.
        """
        fresh = [one for one in self._all() if one.is_fresh]
        if fresh:
            await asyncio.wait([one.task for one in fresh], timeout=ROUND_S)
        for one in fresh:
            one.is_fresh = False
        if self._failed:
            raise self._failed.pop(0)
        for partition in self._mine(self._batches):
            if not self._has_room(partition):
                self._consumer.pause(partition)

    async def finish(self) -> None:
        """Wait until all batches are done.

        Raises:
            Exception: what one failed with.
        """
        while self._batches:
            await asyncio.wait([one.task for one in self._all()])
        if self._failed:
            raise self._failed.pop(0)

    async def give_up(self) -> None:
        """Cancel all batches; records that are not committed will be delivered again."""
        tasks = [one.task for one in self._all()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The group begins to rebalance."""
        if self._batches:
            await asyncio.wait([one.task for one in self._all()], timeout=HAND_OVER_S)
        await self.give_up()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """The group has rebalanced: reading begins at the committed offsets."""

    def _ended(self, partition: TopicPartition, batch: _Batch) -> None:
        batches = self._batches[partition]
        if not batch.task.cancelled() and (error := batch.task.exception()) is not None:
            self._failed.append(error)
        # A finished batch stays until those before it are done: the offset waits for them.
        batch.is_over = True
        while batches and batches[0].is_over:
            batches.popleft()
        if not batches:
            del self._batches[partition]
        for mine in self._mine([partition]):
            if self._has_room(mine):
                self._consumer.resume(mine)

    def _all(self) -> list[_Batch]:
        return [one for batches in self._batches.values() for one in batches]

    def _has_room(self, partition: TopicPartition) -> bool:
        batches = self._batches.get(partition)
        if not batches:
            return True
        return (
            sum(one.records for one in batches) < self._most_records
            and sum(one.size for one in batches) < INGEST_BYTES
        )

    def _mine(self, partitions: Collection[TopicPartition]) -> list[TopicPartition]:
        assigned = self._consumer.assignment()
        return [partition for partition in partitions if partition in assigned]


def at_once(records: Sequence[ReadRecord]) -> Sequence[ReadRecord]:
    """The first records, as many as may be in progress in a partition at once; at least one."""
    size = 0
    for count, record in enumerate(records):
        size += _size_of(record)
        if count and size > INGEST_BYTES:
            return records[:count]
    return records


def _size_of(record: ReadRecord) -> int:
    if isinstance(record, LeftOut):
        return len(record.raw)
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
