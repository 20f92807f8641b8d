"""Sends alerts to a topic: at least once, each partition by itself.

A partition without a leader delays its own alerts only: its batch stays in progress. Nothing more
is sent to it until that is stored or has failed; the next page skips its alerts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from core_api.kafka.messages import Message, PublishResult
from core_api.kafka.topics import BrokerError
from server_common.kafka_records.events import partition_of
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.kafka.publisher import KafkaPublisher

_log = get_logger()

PAGE: Final = 200
"""How many alerts are read, and sent, at once."""
ANSWER_WITHIN_S: Final = 5.0
"""How long a page waits for its partitions, in seconds; one that answers later waits by itself."""


class OfStore(Protocol):
    """An alert, which belongs to a store."""

    @property
    def store_id(self) -> str:
        """The store to phone: its alerts are in one partition, in order."""


A = TypeVar("A", bound=OfStore)
Untold = Callable[[A | None, int], Awaitable[Sequence[A]]]
"""Reads alerts that are not sent yet: after this one, in a fixed order, at most so many."""
Note = Callable[[Sequence[A]], Awaitable[None]]
"""Notes that these were sent."""


class Alerts(Generic[A]):
    """Sends alerts that are not sent yet.

    Args:
        publisher: the topic; nobody else sends by it.
        message_of: makes the record.
        untold: reads the alerts to send.
        note: records which were sent.
    """

    def __init__(
        self,
        publisher: KafkaPublisher,
        message_of: Callable[[A], Message],
        untold: Untold[A],
        note: Note[A],
    ) -> None:
        self._publisher = publisher
        self._message_of = message_of
        self._untold = untold
        self._note = note
        self._under_way: dict[int, tuple[asyncio.Task[PublishResult], list[A]]] = {}

    async def tell(self) -> None:
        """Send all alerts that are not sent yet, except those whose partition takes none now.

        Raises:
            UnavailableError: Postgres, Kafka or one of its partitions does not answer.
        """
        await self._collect()
        last: A | None = None
        while page := await self._untold(last, PAGE):
            last = page[-1]
            await self._send(page)
        if self._under_way:
            raise BrokerError(f"Kafka has not stored the alerts of {sorted(self._under_way)}")

    async def close(self) -> None:
        """Close the connection to Kafka; alerts in progress will be sent again."""
        await self._publisher.close()

    async def _send(self, page: Sequence[A]) -> None:
        await self._publisher.open()
        parts: dict[int, list[A]] = {}
        for one in page:
            partition = partition_of(one.store_id, self._publisher.partitions)
            if partition not in self._under_way:
                parts.setdefault(partition, []).append(one)
        if not parts:
            return
        sent = await self._publisher.send(
            {
                partition: [self._message_of(one) for one in those]
                for partition, those in parts.items()
            }
        )
        self._under_way |= {partition: (task, parts[partition]) for partition, task in sent.items()}
        await asyncio.wait(sent.values(), timeout=ANSWER_WITHIN_S)
        await self._collect()

    async def _collect(self) -> None:
        """Record which alerts are stored by now; failed ones are sent again later."""
        told: list[A] = []
        for partition, (task, those) in list(self._under_way.items()):
            if not task.done():
                continue
            del self._under_way[partition]
            try:
                result = task.result()
            except BrokerError as error:
                _log.warning("alerts_not_stored", partition=partition, reason=str(error))
                continue
            told += those[: result.stored.get(partition, 0)]
            if refused := result.refused.get(partition):
                _log.error("alerts_refused", partition=partition, reason=refused.reason)
        if told:
            await self._note(told)
