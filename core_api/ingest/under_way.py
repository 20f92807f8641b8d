"""The batches that are being applied: none delays one of another partition.

A round of reading waits a moment for its batches. A batch that takes longer goes on by itself. Its
partition is paused while the others are read on; or it is read on, too, up to a limit. A
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

ROUND_S: Final = 0.1
"""How long a round waits for its batches, in seconds: a batch that does not stall takes less, and a
stalled one costs the others this time once."""
STALLED_S: Final = 30.0
"""A batch that has been under way for so long counts as stalled."""
HAND_OVER_S: Final = 2.0
"""How long batches may go on when the group divides its partitions anew, in seconds."""


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

    When the group divides its partitions anew, batches that do not come to their end in a moment
    are given up: whoever gets the partition is given the same records again.

    Args:
        consumer: where the records come from.
        clock: seconds that only go forward.
        most_records: a partition is read on while so many are under way in it; 0: not before its
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
        """The partitions that have a batch under way."""
        return self._batches.keys()

    @property
    def stalled(self) -> int:
        """How many partitions have had a batch under way for longer than `STALLED_S`."""
        before = self._clock() - STALLED_S
        return sum(batches[0].began <= before for batches in self._batches.values())

    def read_to(self, partition: TopicPartition) -> int | None:
        """The offset behind the last record that is under way; None: none is."""
        batches = self._batches.get(partition)
        return batches[-1].next_offset if batches else None

    def start(
        self,
        partition: TopicPartition,
        records: Sequence[ReadRecord],
        work: Coroutine[Any, Any, None],
    ) -> None:
        """Deal with a batch of a partition, read behind those that are under way.

        Args:
            partition: its partition.
            records: the batch.
            work: deals with it.
        """
        size = sum(map(_size_of, records))
        task = asyncio.ensure_future(work)
        batch = _Batch(records[-1].offset + 1, len(records), size, self._clock(), task)
        self._batches.setdefault(partition, deque()).append(batch)
        task.add_done_callback(lambda _done: self._ended(partition, batch))

    def dealt_with(self, partition: TopicPartition, next_offset: int) -> int | None:
        """The batch that ends there is dealt with; what may be committed now. None: nothing more,
        since one before it is not."""
        found, is_first = None, True
        for batch in self._batches.get(partition, ()):
            batch.is_dealt_with |= batch.next_offset == next_offset
            is_first = is_first and batch.is_dealt_with
            if is_first:
                found = batch.next_offset
        return found

    async def settle(self) -> None:
        """Wait for all batches for a moment, then let go of those that take longer.

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
        """End all batches; what is not committed will be delivered again."""
        tasks = [one.task for one in self._all()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The group divides its partitions anew."""
        if self._batches:
            await asyncio.wait([one.task for one in self._all()], timeout=HAND_OVER_S)
        await self.give_up()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """The group has divided its partitions: reading begins where they are committed."""

    def _ended(self, partition: TopicPartition, batch: _Batch) -> None:
        batches = self._batches[partition]
        if not batch.task.cancelled() and (error := batch.task.exception()) is not None:
            self._failed.append(error)
        # One that is done holds its place until those before it are: the offset waits for them.
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
    """The first records that may be under way in a partition at once; always at least one."""
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
