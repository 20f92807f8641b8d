"""The dead letter topic of commands. `applier.py` decides which commands go there, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from core_api.ingest.inbound_commands import InboundRecord, without_value
from core_api.kafka.messages import Message
from core_api.kafka.topics import BrokerError
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.kafka.publisher import KafkaPublisher

_log = get_logger()


class KafkaDeadLetters:
    """The dead letter topic.

    Args:
        publisher: writes to it.
        now_ms: milliseconds since the Unix epoch: when a letter is written is when its time counts
            from, so that retention does not take an old command at once.
    """

    def __init__(self, publisher: KafkaPublisher, now_ms: Callable[[], int]) -> None:
        self._publisher = publisher
        self._now_ms = now_ms

    async def send(
        self, record: InboundRecord, headers: Sequence[tuple[str, bytes | None]]
    ) -> None:
        """Store the record unchanged, with these headers. If Kafka refuses that, store it without
        its value, which is where the `headers` say; if it refuses every letter, log it.

        Raises:
            BrokerError: it is not known to be stored.
        """
        now_ms = self._now_ms()
        letters = [
            Message(record.key, record.value, headers, now_ms),
            Message(record.key, None, without_value(record, headers), now_ms),
        ]
        await self._publisher.open()
        partition = record.partition % self._publisher.partitions
        for letter in letters:
            published = await self._publisher.publish({partition: [letter]})
            if partition in published.stored:
                return
            if partition not in published.refused:
                raise BrokerError("Kafka has not stored a dead letter")
        _log.error(
            "dead_letter_refused",
            reason=published.refused[partition].reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
