"""A dead letter that Kafka does not take stops nothing: its value, or all of it, is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import pytest
import structlog

from core_api.ingest.dead_letter_topic import KafkaDeadLetters
from core_api.ingest.inbound_commands import InboundRecord, dead_letter_headers
from core_api.kafka.messages import Message, PublishResult, RefusedMessages
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import BrokerError

RECORD = InboundRecord("orders.inbound", 5, 77, 1000, b"12", b"x" * 9000, [("big", b"h" * 5000)])
HEADERS = dead_letter_headers(RECORD, "too-large", "the command has 9000 bytes")


class Broker:
    """Takes letters up to a size, or answers nothing."""

    partitions = 4

    def __init__(self, limit: int, *, answers: bool = True) -> None:
        self._limit = limit
        self._answers = answers
        self.letters: list[Message] = []

    async def open(self) -> None:
        return None

    async def publish(self, parts: Mapping[int, Sequence[Message]]) -> PublishResult:
        ((partition, (letter,)),) = parts.items()
        if not self._answers:
            return PublishResult()
        if letter.size > self._limit:
            return PublishResult(refused={partition: RefusedMessages(1, "too large")})
        self.letters.append(letter)
        return PublishResult(stored={partition: 1})


def letters_to(broker: Broker) -> KafkaDeadLetters:
    return KafkaDeadLetters(cast(KafkaPublisher, broker), lambda: 1)


async def test_a_letter_that_fits_is_the_record_as_it_was() -> None:
    broker = Broker(1_000_000)
    await letters_to(broker).send(RECORD, HEADERS)
    assert [letter.value for letter in broker.letters] == [RECORD.value]


async def test_one_that_is_too_large_says_where_its_record_stands() -> None:
    broker = Broker(1000)
    await letters_to(broker).send(RECORD, HEADERS)
    (letter,) = broker.letters
    headers = dict(letter.headers)
    assert letter.value is None
    assert headers["value_left_out"] == b"9000 bytes"
    assert headers["reason"] == b"too-large"
    place = (b"orders.inbound", b"5", b"77")
    assert tuple(headers[f"original_{n}"] for n in ("topic", "partition", "offset")) == place
    assert "big" not in headers


async def test_where_none_is_taken_the_log_says_it_and_the_next_command_is_dealt_with() -> None:
    with structlog.testing.capture_logs() as logs:
        await letters_to(Broker(1)).send(RECORD, HEADERS)
    (line,) = [line for line in logs if line["event"] == "dead_letter_refused"]
    assert (line["topic"], line["partition"], line["offset"]) == ("orders.inbound", 5, 77)


async def test_a_broker_that_does_not_answer_is_waited_for() -> None:
    with pytest.raises(BrokerError):
        await letters_to(Broker(1, answers=False)).send(RECORD, HEADERS)
