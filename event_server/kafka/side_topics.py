"""The Kafka traffic of sockets: messages to the others of a channel, and receipts for Core.

Streams do not need it. While Kafka is down, each of the two tasks logs it and retries; the data
that wait meanwhile are bounded.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from event_server.metrics import READER, WRITER
from event_server.sockets.talk import Talk
from server_common.backoff import Backoff
from server_common.kafka.clients import start_client, stop_consumer
from server_common.kafka.connection import Kafka, client_arguments
from server_common.logs import get_logger

_log = get_logger()

_GATHER_S: Final = 0.02
"""How long messages gather into one request."""
_RECEIPTS_EVERY_S: Final = 0.5
_REQUEST_TIMEOUT_MS: Final = 5_000
_STOP_PATIENCE_S: Final = 2.0
_BACK_OFF_S: Final = (0.1, 5.0)


class SideTopics:
    """The two tasks.

    Args:
        kafka: the cluster.
        messages: the topic of messages.
        receipts: the topic of receipts.
        talk: the data of the sockets.
    """

    def __init__(self, kafka: Kafka, messages: str, receipts: str, talk: Talk) -> None:
        self._kafka = kafka
        self._messages = messages
        self._receipts = receipts
        self._talk = talk

    @property
    def works(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The tasks by name, for a supervisor."""
        return {WRITER: self.write, READER: self.read}

    async def write(self) -> None:
        """Write the sockets' data to Kafka until cancelled; failed writes are lost."""
        await again_and_again(WRITER, self._write)

    async def read(self) -> None:
        """Pass messages from Kafka to the sockets; those of an outage are lost."""
        await again_and_again(READER, self._read)

    async def _write(self) -> None:
        producer = AIOKafkaProducer(
            **client_arguments(self._kafka),
            acks="all",
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        news = asyncio.Event()
        self._talk.news = news.set
        try:
            await start_client(producer)
            loop = asyncio.get_running_loop()
            receipts_at = loop.time()
            while True:
                if not self._talk.waits:
                    news.clear()
                    await news.wait()
                await asyncio.sleep(_GATHER_S)
                sends = [(self._messages, one) for one in self._talk.messages()]
                if loop.time() >= receipts_at:
                    receipts_at = loop.time() + _RECEIPTS_EVERY_S
                    sends += [(self._receipts, one) for one in self._talk.receipts()]
                stored = [
                    await producer.send(topic, record.value, record.key) for topic, record in sends
                ]
                await asyncio.gather(*stored)
        finally:
            await producer.stop()

    async def _read(self) -> None:
        await read_topic(self._kafka, self._messages, "latest", self._talk.take)


async def read_topic(
    kafka: Kafka,
    topic: str,
    begin: Literal["earliest", "latest"],
    take: Callable[[bytes | None], object],
) -> None:
    """Read a topic until cancelled, with a client of its own.

    Args:
        kafka: the cluster.
        topic: what to read.
        begin: with its first record, or with new records only.
        take: called with the value of each record.

    Raises:
        UnknownTopicOrPartitionError: there is no such topic yet.
        KafkaError, OSError, TimeoutError: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(
        **client_arguments(kafka),
        group_id=None,
        auto_offset_reset=begin,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
    )
    try:
        await start_client(consumer)
        if topic not in await consumer.topics():
            raise UnknownTopicOrPartitionError(f"there is no topic {topic} yet")
        consumer.subscribe([topic])
        async for record in consumer:
            take(record.value)
    finally:
        await stop_consumer(consumer, _STOP_PATIENCE_S)


async def again_and_again(task: str, session: Callable[[], Awaitable[None]]) -> None:
    """Run a session of reading or writing until cancelled; restart it after an error of Kafka.

    Args:
        task: its name in the log.
        session: works with a client of its own, and closes it.
    """
    backoff = Backoff(*_BACK_OFF_S, random.uniform)
    told, loop = None, asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            await session()
        except (KafkaError, OSError, TimeoutError) as error:
            reason = f"{type(error).__name__}: {error}"
            if loop.time() - began > 2 * _BACK_OFF_S[1]:
                backoff.forget()
                told = None
            if reason != told:
                _log.warning("side_topic_lost", task=task, reason=reason)
            told = reason
        await asyncio.sleep(backoff.failed())
