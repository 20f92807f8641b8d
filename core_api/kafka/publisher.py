"""The relay's way into Kafka: an idempotent producer that is rebuilt when it has failed.

A partition never has more than one batch under way, so no failure can let a later record overtake
an earlier one. While Kafka is down aiokafka keeps sending the same batch with the same producer id
and sequence, which the broker recognises: waiting loses nothing and repeats nothing. The producer
is replaced only when a batch fails for good (for example a broker whose data was wiped answers
OutOfOrderSequenceNumber); the caller then reads and publishes again what was not acknowledged. A
batch that fails because of its content is a different case: a new producer would not help.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidTopicError,
    KafkaError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
    UnknownProducerId,
)

from core_api.kafka.messages import Message, PublishResult, Refused
from core_api.kafka.topics import BrokerError, Topic, ensure_topics
from server_common.limits import PUBLICATION_BYTES

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_log: FilteringBoundLogger = structlog.get_logger(__name__)

MAX_BATCH_BYTES: Final = PUBLICATION_BYTES
"""One partition's share of a publication; below the broker's default limit of a mebibyte. A message
that is larger alone is sent alone."""
_MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
"""What is sent at once over all partitions: a broker cuts the connection of one who sends more than
its `socket.request.max.bytes`, 100 MiB by default, and never says why."""
_NOT_THE_RECORDS: Final = (
    ClusterAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidTopicError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
    UnknownProducerId,
)
"""Errors that are final and not caused by what was sent."""


class KafkaPublisher:
    """Publishes to one topic, in order within each partition.

    Args:
        bootstrap: `host:port[,host:port]`.
        topic: where to; made if it is missing, with the partitions it names.
        request_timeout_s: a request to a broker is given up, and sent again, after this time.
        ack_timeout_s: a producer that has got no answer for so long is thrown away.
        rebuilt: called when a producer was thrown away.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: Topic,
        *,
        request_timeout_s: float = 5.0,
        ack_timeout_s: float = 60.0,
        rebuilt: Callable[[], None] = lambda: None,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._request_timeout_s = request_timeout_s
        self._ack_timeout_s = ack_timeout_s
        self._rebuilt = rebuilt
        self._producer: AIOKafkaProducer | None = None
        self._broken = False
        self._partitions = topic.partitions

    @property
    def partitions(self) -> int:
        """How many partitions the topic has; known once open."""
        return self._partitions

    async def open(self) -> None:
        """Connect, and create or check the topic; `publish` does it by itself when needed.

        Raises:
            BrokerError: Kafka does not answer.
            SettingsError: the topic has another number of partitions.
        """
        if self._broken:
            await self.close()
            self._rebuilt()
        if self._producer is not None:
            return
        await ensure_topics(self._bootstrap, [self._topic], self._request_timeout_s)
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            enable_idempotence=True,
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=round(self._request_timeout_s * 1000),
        )
        # From here on close() knows it, even if this task is cancelled while it starts.
        self._producer, self._broken = producer, True
        try:
            await producer.start()
            self._partitions = len(await producer.partitions_for(self._topic.name))
        except (KafkaError, OSError, TimeoutError) as error:
            raise BrokerError(f"Kafka at {self._bootstrap} does not answer: {error!r}") from error
        self._broken = False

    async def publish(self, parts: Mapping[int, Sequence[Message]]) -> PublishResult:
        """Send each partition's messages and wait until they are stored.

        Of each partition as many of the first messages are sent as fit into one batch.

        Returns:
            What is stored, and what Kafka will never take.

        Raises:
            BrokerError: Kafka does not answer; whether something was stored is not known.
            SettingsError: the topic has another number of partitions.
        """
        published = PublishResult()
        for together in _requests(parts):
            await self.open()
            await self._publish(together, published)
        return published

    async def _publish(
        self, parts: Mapping[int, Sequence[Message]], published: PublishResult
    ) -> None:
        # Every exit but the last leaves batches of which it is not known whether they were stored.
        self._broken = True
        sent: dict[int, tuple[asyncio.Future[Any], int]] = {}
        try:
            for partition, messages in parts.items():
                sent[partition] = await self._send(partition, messages)
            waiting = [future for future, _ in sent.values()]
            _, late = await asyncio.wait(waiting, timeout=self._ack_timeout_s)
        except (KafkaError, OSError, TimeoutError) as error:
            raise BrokerError(f"Kafka does not take the records: {error!r}") from error
        finally:
            for future, _ in sent.values():
                future.cancel()
        if late:
            raise BrokerError(f"Kafka has not answered for {self._ack_timeout_s:g} s")
        for partition, (future, count) in sent.items():
            _note(published, partition, future.exception(), count)
        # The numbers of what was refused are spent: this producer is out of step with the broker.
        self._broken = not parts.keys() <= published.stored.keys()

    async def close(self) -> None:
        """Close the producer without waiting for undelivered messages."""
        producer, self._producer = self._producer, None
        self._broken = False
        if producer is not None:
            await abandon(producer, self._request_timeout_s)

    async def _send(
        self, partition: int, messages: Sequence[Message]
    ) -> tuple[asyncio.Future[Any], int]:
        assert self._producer is not None  # noqa: S101
        batch = self._producer.create_batch()
        taken = 0
        for key, value, headers, timestamp_ms in messages:
            if batch.append(timestamp=timestamp_ms, key=key, value=value, headers=headers) is None:
                break
            taken += 1
        batch.close()
        future = await self._producer.send_batch(batch, self._topic.name, partition=partition)
        return future, taken


def _note(
    published: PublishResult, partition: int, error: BaseException | None, count: int
) -> None:
    if error is None:
        published.stored[partition] = count
        return
    _log.warning("batch_failed", partition=partition, messages=count, reason=repr(error))
    if lies_in_the_records(error):
        published.refused[partition] = Refused(count, f"Kafka refuses it: {error!r}")


def lies_in_the_records(error: BaseException) -> bool:
    """Whether a batch failed because of its content, so that it would fail again each time."""
    return (
        isinstance(error, BrokerResponseError)
        and not error.retriable
        and not isinstance(error, _NOT_THE_RECORDS)
    )


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


async def abandon(producer: AIOKafkaProducer, patience_s: float) -> None:
    """Close a producer without waiting for undelivered messages."""
    # AIOKafkaProducer.stop() waits until all is delivered, which is for ever while Kafka is down,
    # and offers no other way to end; so the two parts it is made of are closed one by one.
    producer._closed = True
    # One that is still asking for its producer id ends in a CancelledError that is not ours.
    closing = asyncio.ensure_future(producer._sender.close())
    await asyncio.wait({closing}, timeout=patience_s + 1)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(patience_s):
            await producer.client.close()
