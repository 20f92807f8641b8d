"""The batches that are being applied: at most one of each partition, and none delays another.

A round of reading waits a moment for its batches. A batch that takes longer goes on by itself: its
partition is paused while the others are read on. Its offset is committed when its own commands are
done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
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


class UnderWay(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The batches of one membership in a group.

    When the group divides its partitions anew, batches that do not come to their end in a moment
    are given up: whoever gets the partition is given the same records again.

    Args:
        consumer: where the records come from.
        clock: seconds that only go forward.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._consumer = consumer
        self._clock = clock
        self._tasks: dict[TopicPartition, asyncio.Task[None]] = {}
        self._began: dict[TopicPartition, float] = {}
        self._failed: list[BaseException] = []

    @property
    def partitions(self) -> Collection[TopicPartition]:
        """The partitions that have a batch under way."""
        return self._tasks.keys()

    @property
    def stalled(self) -> int:
        """How many batches have been under way for longer than `STALLED_S`."""
        before = self._clock() - STALLED_S
        return sum(began <= before for began in self._began.values())

    def start(self, partition: TopicPartition, work: Coroutine[Any, Any, None]) -> None:
        """Deal with a batch of a partition that has none under way."""
        task = asyncio.ensure_future(work)
        self._tasks[partition] = task
        self._began[partition] = self._clock()
        task.add_done_callback(lambda done: self._ended(partition, done))

    async def settle(self) -> None:
        """Wait for all batches for a moment, then let go of those that take longer.

        Raises:
            Exception: what a batch failed with, in this round or since the last one.
        """
        paused = self._consumer.paused()
        fresh = [task for partition, task in self._tasks.items() if partition not in paused]
        if fresh:
            await asyncio.wait(fresh, timeout=ROUND_S)
        if self._failed:
            raise self._failed.pop(0)
        for partition in self._mine(self._tasks):
            self._consumer.pause(partition)

    async def finish(self) -> None:
        """Wait until all batches are done.

        Raises:
            Exception: what one failed with.
        """
        while self._tasks:
            await asyncio.wait(self._tasks.values())
        if self._failed:
            raise self._failed.pop(0)

    async def give_up(self) -> None:
        """End all batches; what is not committed will be delivered again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The group divides its partitions anew."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=HAND_OVER_S)
        await self.give_up()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """The group has divided its partitions: reading begins where they are committed."""

    def _ended(self, partition: TopicPartition, task: asyncio.Task[None]) -> None:
        del self._tasks[partition], self._began[partition]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed.append(error)
        for mine in self._mine([partition]):
            self._consumer.resume(mine)

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
