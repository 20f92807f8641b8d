"""Stores devices' messages: a Kafka producer that waits until all replicas have them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from server_common.backoff import Backoff
from server_common.kafka.clients import start_client
from server_common.kafka.connection import Kafka, client_arguments
from server_common.limits import PRODUCER_REQUEST_BYTES
from server_common.logs import get_logger
from server_common.supervision import is_being_cancelled

log = get_logger()

_REQUEST_TIMEOUT_MS: Final = 10_000
_LINGER_MS: Final = 2
_PAUSE_S: Final = (0.1, 5.0)


class Sink(Protocol):
    """Stores records."""

    async def begin(self, topic: str, key: bytes, value: bytes) -> Awaitable[None]:
        """Take a record. Records of a key are stored in the order of the calls.

        Args:
            topic: where it is stored.
            key: chooses its partition.
            value: its content.

        Returns:
            To be awaited: it is done once the record is stored.
        """


class KafkaSink:
    """Stores records in Kafka, however long that takes.

    Args:
        kafka: the cluster.
        retried: called for each try that failed.
    """

    def __init__(self, kafka: Kafka, retried: Callable[[], None]) -> None:
        self._kafka = kafka
        self._retried = retried
        self._producer: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()
        self._opening = asyncio.Lock()
        self.trouble: str | None = "Kafka was not reached yet"
        """Why nothing can be stored now; None: it can."""

    async def open(self) -> None:
        """Connect, however long that takes."""
        async with self._opening:
            await self._open()

    async def _open(self) -> None:
        backoff = Backoff(*_PAUSE_S, random.uniform)
        while self._producer is None:
            # A record that is sent twice is recognised by its numbers, so no idempotence is needed;
            # and an idempotent producer that has lost a batch is unusable.
            producer = AIOKafkaProducer(
                **client_arguments(self._kafka),
                acks="all",
                linger_ms=_LINGER_MS,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
                max_request_size=PRODUCER_REQUEST_BYTES,
            )
            try:
                await start_client(producer)
            except (KafkaError, OSError, TimeoutError) as error:
                await producer.stop()
                self._fail(error)
                await asyncio.sleep(backoff.failed())
            except BaseException:
                await producer.stop()
                raise
            else:
                self._producer, self.trouble = producer, None

    async def open_and_wait(self) -> None:
        """Connect, and stay connected until cancelled."""
        await self.open()
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Abandon records that are not stored yet, and disconnect."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def begin(self, topic: str, key: bytes, value: bytes) -> Awaitable[None]:
        """Take a record, as `Sink.begin`; while Kafka does not answer, it is sent again and again.

        Args:
            topic: where it is stored.
            key: chooses its partition.
            value: its content.

        Returns:
            To be awaited: it is done once all replicas have the record. A failed write is only
            repeated while somebody awaits it.
        """
        async with self._turn:
            sent = await self._send(topic, key, value)
        return self._until_stored(sent, topic, key, value)

    async def _until_stored(
        self, sent: Awaitable[object], topic: str, key: bytes, value: bytes
    ) -> None:
        backoff = Backoff(*_PAUSE_S, random.uniform)
        while True:
            try:
                await sent
            except (KafkaError, OSError, TimeoutError, asyncio.CancelledError) as error:
                if is_being_cancelled():
                    raise
                self._fail(error)
                await asyncio.sleep(backoff.failed())
                sent = await self._send(topic, key, value)
            else:
                self.trouble = None
                return

    async def _send(self, topic: str, key: bytes, value: bytes) -> Awaitable[object]:
        backoff = Backoff(*_PAUSE_S, random.uniform)
        while True:
            await self.open()
            assert self._producer is not None  # noqa: S101
            try:
                sent: Awaitable[object] = await self._producer.send(topic, value, key)
            except (KafkaError, OSError, TimeoutError) as error:
                self._fail(error)
                await asyncio.sleep(backoff.failed())
            else:
                return sent

    def _fail(self, error: BaseException) -> None:
        if self.trouble is None:
            log.warning("gateway_waits_for_kafka", reason=repr(error))
        self.trouble = f"Kafka does not store devices' messages: {error!r}"
        self._retried()
