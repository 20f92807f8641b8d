"""Core's answers to devices, and their dead letters, in Kafka."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from core_api.kafka.messages import Message
from core_api.kafka.topics import BrokerError
from server_common.devices.messages import DeadLetter, Outbound, Ring, encode
from server_common.kafka_records.events import partition_of
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.kafka.publisher import KafkaPublisher

_log = get_logger()

_NO_KEY: Final = ""


class KafkaAnswers:
    """`devices.outbound` and `devices.dead-letter`.

    Args:
        outbound: publishes answers.
        dead_letters: publishes dead letters.
        now_ms: milliseconds since the Unix epoch.
    """

    def __init__(
        self,
        outbound: KafkaPublisher,
        dead_letters: KafkaPublisher,
        now_ms: Callable[[], int],
    ) -> None:
        self._outbound = outbound
        self._dead_letters = dead_letters
        self._now_ms = now_ms

    async def open(self) -> None:
        """Connect, and make the topics that are missing: gateways read the first from the start.

        Raises:
            BrokerError: Kafka does not answer.
        """
        await self._outbound.open()
        await self._dead_letters.open()

    async def answer(self, answers: Sequence[Outbound]) -> None:
        """Acknowledge messages to devices.

        Raises:
            BrokerError: that is not known to be told.
        """
        now_ms = self._now_ms()
        messages = [
            (one.store, Message(one.key, encode(one), [("type", b"accepted")], now_ms))
            for one in answers
        ]
        await self._send(self._outbound, messages)

    async def ring(self, rings: Sequence[Ring]) -> None:
        """Call Star printers.

        Raises:
            BrokerError: that is not known to be told.
        """
        now_ms = self._now_ms()
        messages = [
            (one.store, Message(one.key, encode(one), [("type", b"ring")], now_ms)) for one in rings
        ]
        await self._send(self._outbound, messages)

    async def bury(self, letter: DeadLetter, key: bytes | None) -> None:
        """Keep a dead letter.

        Raises:
            BrokerError: it is not known to be kept.
        """
        name = _NO_KEY if key is None else key.decode("latin-1")
        headers = [("type", b"dead-letter"), ("reason", letter.reason.encode())]
        message = Message(key, encode(letter), headers, self._now_ms())
        await self._send(self._dead_letters, [(name, message)])

    async def close(self) -> None:
        """Close both producers."""
        await self._outbound.close()
        await self._dead_letters.close()

    async def _send(
        self, publisher: KafkaPublisher, messages: Sequence[tuple[str, Message]]
    ) -> None:
        await publisher.open()
        left: dict[int, list[Message]] = {}
        for name, message in messages:
            left.setdefault(partition_of(name, publisher.partitions), []).append(message)
        while left:
            published = await publisher.publish(left)
            for partition in list(left):
                done = published.stored.get(partition, 0)
                refused = published.refused.get(partition)
                if refused is not None:
                    done = refused.count
                    _log.error("device_answer_refused", reason=refused.reason)
                if not done:
                    raise BrokerError("Kafka has not stored an answer to a device")
                del left[partition][:done]
                if not left[partition]:
                    del left[partition]
