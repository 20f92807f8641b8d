"""One idempotent producer of aiokafka's, with its batches in progress.

A partition never has more than one batch under way, so no failure can let a later record overtake
an earlier one. While Kafka is down aiokafka keeps sending the same batch with the same producer id
and sequence, which the broker recognises: waiting loses nothing and repeats nothing. Only when a
batch fails for good (a broker whose data was wiped answers OutOfOrderSequenceNumber, say) is the
producer broken, and thrown away by its owner.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

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

from core_api.kafka.messages import Message, PublishResult, RefusedMessages
from core_api.kafka.topics import BrokerError
from server_common.kafka.clients import start_client
from server_common.kafka.connection import Kafka, client_arguments
from server_common.limits import PUBLICATION_BYTES
from server_common.logs import get_logger

_log = get_logger()

MAX_BATCH_BYTES: Final = PUBLICATION_BYTES
"""One partition's share of a publication; below the broker's default limit of a mebibyte. A message
that is larger alone is sent alone."""

_NOT_THE_RECORDS: Final = (
    ClusterAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidTopicError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
    UnknownProducerId,
)
"""Final errors that are not caused by the content of the records."""


class BatchProducer:
    """A producer for one topic.

    Args:
        kafka: the cluster.
        topic: the topic's name.
        request_timeout_s: a request to a broker is given up, and sent again, after this time.
    """

    def __init__(self, kafka: Kafka, topic: str, request_timeout_s: float) -> None:
        self._kafka = kafka
        self._topic = topic
        self._request_timeout_s = request_timeout_s
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self.broken = False
        """Whether its sequence differs from the brokers': it can no longer be used."""
        self.answered_at = float("-inf")
        """When a batch was last stored, by its owner's clock."""
        self.pending = 0
        """How many batches are under way."""
        self.partitions = 0
        """How many partitions the topic has; known once open."""

    async def open(self) -> None:
        """Connect; does nothing once that is done.

        Raises:
            BrokerError: Kafka does not answer.
        """
        async with self._opening:
            if self.partitions:
                return
            producer = self._producer = AIOKafkaProducer(
                **client_arguments(self._kafka),
                enable_idempotence=True,
                max_batch_size=MAX_BATCH_BYTES,
                request_timeout_ms=round(self._request_timeout_s * 1000),
            )
            # From here on close() knows it, even if this task is cancelled while it starts.
            self.broken = True
            try:
                await start_client(producer)
                partitions = len(await producer.partitions_for(self._topic))
            except (KafkaError, OSError, TimeoutError) as error:
                told = f"Kafka at {self._kafka} does not answer: {error!r}"
                raise BrokerError(told) from error
            self.partitions, self.broken = partitions, False

    async def send(
        self, partition: int, messages: Sequence[Message]
    ) -> tuple[asyncio.Future[Any], int]:
        """Send as many of the first messages as fit into one batch.

        Returns:
            A future that is done when they are stored or refused, and how many were sent.

        Raises:
            BrokerError: they are not taken; the producer is broken then.
        """
        assert self._producer is not None  # noqa: S101
        batch = self._producer.create_batch()
        taken = 0
        for key, value, headers, timestamp_ms in messages:
            if batch.append(timestamp=timestamp_ms, key=key, value=value, headers=headers) is None:
                break
            taken += 1
        batch.close()
        try:
            future = await self._producer.send_batch(batch, self._topic, partition=partition)
        except (KafkaError, OSError, TimeoutError) as error:
            self.broken = True
            raise BrokerError(f"Kafka does not take the records: {error!r}") from error
        return future, taken

    async def close(self) -> None:
        """Close the producer without waiting for undelivered messages."""
        producer, self._producer = self._producer, None
        self.broken = True
        if producer is not None:
            await abandon(producer, self._request_timeout_s)


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


def result_of(partition: int, error: BaseException | None, count: int) -> PublishResult:
    """The result of a batch that has ended.

    Args:
        partition: where it was sent to.
        error: what it ended with; None: it is stored.
        count: how many messages it has.

    Raises:
        BrokerError: it is not stored, and not because of what is in it.
    """
    if error is None:
        return PublishResult({partition: count})
    _log.warning("batch_failed", partition=partition, messages=count, reason=repr(error))
    if lies_in_the_records(error):
        return PublishResult(
            refused={partition: RefusedMessages(count, f"Kafka refuses it: {error!r}")}
        )
    raise BrokerError(f"Kafka has not stored the records of partition {partition}: {error!r}")


def lies_in_the_records(error: BaseException) -> bool:
    """Whether a batch failed because of its content, so that every retry would fail."""
    return (
        isinstance(error, BrokerResponseError)
        and not error.retriable
        and not isinstance(error, _NOT_THE_RECORDS)
    )
