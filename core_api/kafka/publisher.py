"""The relay's way into Kafka: each partition in order, and none held up by another.

All partitions share one producer, which sends concurrent batches in one request to each broker, and
has one request to each in progress. So a slow partition would delay the others of its broker.
Therefore it keeps its producer for itself, and the others go on with a standby producer. Once it
has been quick for a while, it joins them again. While no partition is answered, the problem is
Kafka itself and nothing is moved: a Kafka that lost its data may give the standby's producer id to
another producer.

A producer whose batch has failed for good is discarded; the caller then reads and publishes again
what was not acknowledged. A batch that fails because of its content is a different case: a new
producer would not help.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final

from core_api.kafka.batch_producer import MAX_BATCH_BYTES, BatchProducer, result_of
from core_api.kafka.messages import Message, PublishResult
from core_api.kafka.topics import BrokerError, Topic, ensure_topics
from server_common.kafka.connection import Kafka
from server_common.logs import get_logger

_log = get_logger()

_MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
"""The most bytes sent at once over all partitions: a broker closes the connection of a sender above
its `socket.request.max.bytes`, 100 MiB by default, without giving the reason."""
SLOW_S: Final = 0.5
"""A partition without an answer for so long gets a producer of its own, in seconds."""
_REQUEST_TIMEOUT_S: Final = 5.0
"""A request to a broker times out after so many seconds, and is sent again."""
_QUICK_AGAIN_S: Final = 10.0
_STAND_BY_RETRY_S: Final = 5.0
Sent = dict[int, "asyncio.Task[PublishResult]"]


class KafkaPublisher:
    """Publishes to one topic, in order within each partition.

    Args:
        kafka: the cluster.
        topic: where to; made if it is missing, with the partitions it names.
        ack_timeout_s: a producer without an answer for so many seconds is discarded.
        rebuilt: called when a producer was discarded.
        stands_by: whether a second producer is kept ready for when a partition is slow.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        kafka: Kafka,
        topic: Topic,
        *,
        ack_timeout_s: float = 60.0,
        rebuilt: Callable[[], None] = lambda: None,
        stands_by: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._ack_timeout_s = ack_timeout_s
        self._rebuilt = rebuilt
        self._stands_by = stands_by
        self._clock = clock
        self._opening = asyncio.Lock()
        self._turns: dict[int, asyncio.Lock] = {}
        self._shared: BatchProducer | None = None
        self._spare: BatchProducer | None = None
        self._spare_tried_at = float("-inf")
        self._apart: dict[int, BatchProducer] = {}
        """The producers of partitions that were slow, each with one of its own."""
        self._slow_at: dict[int, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closings: set[asyncio.Task[None]] = set()
        self._partitions = topic.partitions

    @property
    def partitions(self) -> int:
        """How many partitions the topic has; known once open."""
        return self._partitions

    async def open(self) -> None:
        """Connect, and create or check the topic; `send` does it by itself when needed.

        Raises:
            BrokerError: Kafka does not answer.
            SettingsError: the topic has another number of partitions.
        """
        async with self._opening:
            await self._open()

    async def _open(self) -> None:
        if self._shared is not None and self._shared.broken:
            useless = self._shared, self._spare
            self._shared = self._spare = None
            self._close_unused(*useless)
            self._rebuilt()
        if self._shared is None:
            await ensure_topics(self._kafka, [self._topic], _REQUEST_TIMEOUT_S)
            # Known before it is open, so that close() closes it if this is cancelled.
            self._shared = self._new_producer()
        await self._shared.open()
        self._partitions = self._shared.partitions
        now = self._clock()
        if self._stands_by and not self._spare and now >= self._spare_tried_at + _STAND_BY_RETRY_S:
            self._spare_tried_at = now
            self._start(self._stand_by())

    async def send(self, parts: Mapping[int, Sequence[Message]]) -> Sent:
        """Send each partition's messages; none of these partitions may have any in progress.

        Of each partition as many of the first messages are sent as fit into one batch.

        Returns:
            For each partition, a future of what is stored and what Kafka will never take; it fails
            with `BrokerError` if that cannot be known.

        Raises:
            BrokerError: Kafka does not answer; nothing was sent.
            SettingsError: the topic has another number of partitions.
        """
        await self.open()
        assert self._shared is not None  # noqa: S101
        sent: Sent = {}
        before: list[asyncio.Task[PublishResult]] = []
        for together in _requests(parts):
            of_it: Sent = {}
            for partition, messages in together.items():
                if before or partition in self._apart:
                    work = self._send_by_itself(partition, messages, before)
                else:
                    future, count = await self._shared.send(partition, messages)
                    work = self._answer(self._shared, partition, future, count)
                of_it[partition] = self._start(work)
            before = list(of_it.values())
            sent |= of_it
        return sent

    async def publish(self, parts: Mapping[int, Sequence[Message]]) -> PublishResult:
        """Send each partition's messages and wait until they are stored; in turn with others who
        publish to the same partitions.

        Returns:
            What is stored, and what Kafka will never take. A partition of which neither is known is
            missing.

        Raises:
            BrokerError: Kafka does not answer; whether something was stored is not known.
            SettingsError: the topic has another number of partitions.
        """
        published = PublishResult()
        async with contextlib.AsyncExitStack() as turns:
            for partition in sorted(parts):
                turn = self._turns.setdefault(partition, asyncio.Lock())
                await turns.enter_async_context(turn)
            sent = await self.send(parts)
            try:
                if sent:
                    await asyncio.wait(sent.values())
            finally:
                for task in sent.values():
                    task.cancel()
        failed: BrokerError | None = None
        for task in sent.values():
            try:
                answer = task.result()
            except BrokerError as error:
                failed = error
            else:
                published.stored.update(answer.stored)
                published.refused.update(answer.refused)
        if failed is not None and not published.stored and not published.refused:
            raise failed
        return published

    async def close(self) -> None:
        """Close all producers without waiting for undelivered messages."""
        producers = {self._shared, self._spare, *self._apart.values()}
        self._shared = self._spare = None
        self._apart.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._close_unused(*producers)
        await asyncio.gather(*self._closings)

    async def _send_by_itself(
        self,
        partition: int,
        messages: Sequence[Message],
        before: Sequence[asyncio.Task[PublishResult]],
    ) -> PublishResult:
        if before:
            await asyncio.wait(before, timeout=SLOW_S)
        producer = self._apart.get(partition) or self._shared
        if producer is None:
            raise BrokerError("the publisher was closed")
        if producer.broken and producer is not self._shared:
            producer = self._apart[partition] = self._new_producer()
            self._rebuilt()
        await producer.open()
        future, count = await producer.send(partition, messages)
        return await self._answer(producer, partition, future, count)

    async def _answer(
        self, producer: BatchProducer, partition: int, future: asyncio.Future[Any], count: int
    ) -> PublishResult:
        """Wait for the result of a batch."""
        began = self._clock()
        producer.pending += 1
        try:
            while not (await asyncio.wait({future}, timeout=min(SLOW_S, self._ack_timeout_s)))[0]:
                if producer.answered_at >= began:
                    self._set_apart(producer, partition)
                if self._clock() - began >= self._ack_timeout_s:
                    raise BrokerError(f"Kafka has not answered for {self._ack_timeout_s:g} s")
            return result_of(partition, future.exception(), count)
        finally:
            producer.pending -= 1
            future.cancel()
            if future.cancelled() or future.exception() is not None:
                # A batch of unknown result is abandoned, or refused records have used sequence
                # numbers: this producer's sequence is wrong.
                producer.broken = True
            else:
                producer.answered_at = self._clock()
            self._settle_in(producer, partition, began)

    def _set_apart(self, producer: BatchProducer, partition: int) -> None:
        """The partition is slow: leave it with its producer, and give the others another one."""
        if producer is self._shared and self._spare is not None:
            self._shared, self._spare = self._spare, None
        if producer is not self._shared and partition not in self._apart:
            self._apart[partition] = producer
            _log.warning("partition_set_apart", partition=partition)

    def _settle_in(self, producer: BatchProducer, partition: int, began: float) -> None:
        """A batch of the partition has ended: decide whether it keeps its own producer."""
        if self._apart.get(partition) is producer:
            now = self._clock()
            if producer.broken or now - began > SLOW_S:
                self._slow_at[partition] = now
            elif now - self._slow_at.get(partition, now) >= _QUICK_AGAIN_S:
                del self._apart[partition]
                _log.info("partition_rejoined", partition=partition)
        if producer is not self._shared:
            self._close_unused(producer)

    def _close_unused(self, *producers: BatchProducer | None) -> None:
        """Close unused producers, in the background, since that may take long."""
        in_use = {self._shared, self._spare, *(o for o in self._apart.values() if not o.broken)}
        for producer in producers:
            if producer is not None and producer not in in_use and not producer.pending:
                closing = asyncio.ensure_future(producer.close())
                self._closings.add(closing)
                closing.add_done_callback(self._closings.discard)

    async def _stand_by(self) -> None:
        spare = self._new_producer()
        try:
            with contextlib.suppress(BrokerError):
                await spare.open()
                self._spare = spare
        finally:
            self._close_unused(spare)

    def _new_producer(self) -> BatchProducer:
        return BatchProducer(self._kafka, self._topic.name, _REQUEST_TIMEOUT_S)

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _requests(
    parts: Mapping[int, Sequence[Message]],
) -> Iterator[dict[int, Sequence[Message]]]:
    """The partitions in groups that one request may hold."""
    together: dict[int, Sequence[Message]] = {}
    size = 0
    for partition, messages in parts.items():
        # A batch goes beyond its size only if its first message does.
        of_it = max(messages[0].size, min(MAX_BATCH_BYTES, sum(m.size for m in messages)))
        if together and size + of_it > _MAX_REQUEST_BYTES:
            yield together
            together, size = {}, 0
        together[partition] = messages
        size += of_it
    if together:
        yield together
