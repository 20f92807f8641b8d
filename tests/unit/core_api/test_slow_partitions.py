"""A partition that is slow gets a producer of its own, and the others go on without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, LeaderNotAvailableError, MessageSizeTooLargeError

from core_api.kafka import batch_producer, publisher
from core_api.kafka.messages import Message, PublishResult
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import BrokerError, events_topic

ONE, TWO = 1, 2
MESSAGES = [Message(b"k", b"v", [], 1000)]


class Broker:
    """Stores what is sent, but not in the partitions that are slow."""

    def __init__(self) -> None:
        self.slow: set[int] = set()
        self.errors: dict[int, Exception] = {}
        self.producers: list[Producer] = []
        self.unreachable = False

    def sent(self) -> list[list[int]]:
        """The partitions that each producer was given batches for, in order."""
        return [producer.sent for producer in self.producers]

    def store_all(self) -> None:
        """Store what has waited."""
        self.slow = set()
        for producer in self.producers:
            for future in producer.waiting:
                if not future.done():
                    future.set_result(None)


class Producer:
    """Stands for aiokafka's."""

    def __init__(self, broker: Broker) -> None:
        broker.producers.append(self)
        self._broker = broker
        self.sent: list[int] = []
        self.waiting: list[asyncio.Future[None]] = []
        self.closed = False

    async def start(self) -> None:
        if self._broker.unreachable:
            raise KafkaConnectionError

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0, 1, 2, 3}

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(
        self, _batch: Batch, _topic: str, *, partition: int
    ) -> asyncio.Future[None]:
        self.sent.append(partition)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if partition in self._broker.errors:
            future.set_exception(self._broker.errors[partition])
        elif partition in self._broker.slow:
            self.waiting.append(future)
        else:
            future.set_result(None)
        return future


class Batch:
    def append(self, **_: Any) -> object:
        return object()

    def close(self) -> None:
        return None


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


Make = Callable[[bool], KafkaPublisher]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()

    async def no_topics(*_: object) -> None:
        return None

    async def closed(producer: Producer, _patience_s: float) -> None:
        producer.closed = True

    monkeypatch.setattr(batch_producer, "AIOKafkaProducer", lambda **_: Producer(made))
    monkeypatch.setattr(batch_producer, "abandon", closed)
    monkeypatch.setattr(publisher, "ensure_topics", no_topics)
    monkeypatch.setattr(publisher, "SLOW_S", 0.01)
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def kafka(broker: Broker, clock: Clock) -> AsyncIterator[KafkaPublisher]:
    made = KafkaPublisher(
        "nowhere:1", events_topic("events", 4), stands_by=True, ack_timeout_s=5, clock=clock
    )
    await made.open()
    await until(lambda: len(broker.producers) == 2)
    yield made
    await made.close()
    assert all(producer.closed for producer in broker.producers)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.001)


async def set_one_apart(kafka: KafkaPublisher, broker: Broker) -> asyncio.Task[PublishResult]:
    """Let partition ONE be slow while TWO is not; what waits for ONE."""
    broker.slow = {ONE}
    sent = await kafka.send({ONE: MESSAGES, TWO: MESSAGES})
    await sent[TWO]
    await until(lambda: kafka._apart.keys() == {ONE})
    return sent[ONE]


async def test_all_partitions_share_a_producer_while_none_is_slow(
    kafka: KafkaPublisher, broker: Broker
) -> None:
    for _ in range(3):
        await kafka.publish({ONE: MESSAGES, TWO: MESSAGES})
    assert broker.sent() == [[ONE, TWO] * 3, []]


async def test_the_others_go_on_with_the_producer_that_stands_by(
    kafka: KafkaPublisher, broker: Broker
) -> None:
    waiting = await set_one_apart(kafka, broker)
    await kafka.publish({TWO: MESSAGES})
    assert broker.sent()[:2] == [[ONE, TWO], [TWO]]
    broker.store_all()
    assert (await waiting).stored == {ONE: 1}


async def test_a_partition_that_was_slow_goes_on_with_its_own_producer(
    kafka: KafkaPublisher, broker: Broker
) -> None:
    waiting = await set_one_apart(kafka, broker)
    broker.store_all()
    await waiting
    await kafka.publish({ONE: MESSAGES, TWO: MESSAGES})
    assert broker.sent()[:2] == [[ONE, TWO, ONE], [TWO]]


async def test_a_partition_that_has_been_quick_for_a_while_joins_the_others(
    kafka: KafkaPublisher, broker: Broker, clock: Clock
) -> None:
    waiting = await set_one_apart(kafka, broker)
    clock.now += 1
    broker.store_all()
    await waiting
    clock.now += 60
    await kafka.publish({ONE: MESSAGES})
    assert not kafka._apart
    await kafka.publish({ONE: MESSAGES})
    assert broker.sent()[:2] == [[ONE, TWO, ONE], [ONE]]
    await until(lambda: broker.producers[0].closed)


async def test_while_no_partition_answers_all_wait_with_their_producer(
    kafka: KafkaPublisher, broker: Broker
) -> None:
    broker.slow = {ONE, TWO}
    sent = await kafka.send({ONE: MESSAGES, TWO: MESSAGES})
    await asyncio.wait(sent.values(), timeout=0.1)
    assert not kafka._apart
    broker.store_all()
    await asyncio.gather(*sent.values())
    assert broker.sent() == [[ONE, TWO], []]


async def test_a_partition_that_fails_with_its_producer_gets_another_producer_and_nobody_else_does(
    kafka: KafkaPublisher, broker: Broker
) -> None:
    waiting = await set_one_apart(kafka, broker)
    broker.producers[0].waiting[0].set_exception(LeaderNotAvailableError())
    with pytest.raises(BrokerError):
        await waiting
    broker.slow = set()
    count = len(broker.producers)
    await kafka.publish({ONE: MESSAGES, TWO: MESSAGES})
    assert broker.producers[count].sent == [ONE]
    assert broker.producers[1].sent == [TWO]
    assert broker.producers[0].closed


async def test_a_producer_out_of_step_is_replaced_and_so_is_the_one_that_stands_by(
    kafka: KafkaPublisher, broker: Broker
) -> None:
    broker.errors = {ONE: MessageSizeTooLargeError()}
    published = await kafka.publish({ONE: MESSAGES, TWO: MESSAGES})
    assert (list(published.refused), published.stored) == ([ONE], {TWO: 1})
    broker.errors = {}
    assert (await kafka.publish({ONE: MESSAGES})).stored == {ONE: 1}
    assert broker.sent()[:3] == [[ONE, TWO], [], [ONE]]
    assert broker.producers[0].closed
    assert broker.producers[1].closed


async def test_a_partition_that_is_never_answered_is_given_up_and_told_of(
    kafka: KafkaPublisher, broker: Broker, clock: Clock
) -> None:
    waiting = await set_one_apart(kafka, broker)
    clock.now += 6
    with pytest.raises(BrokerError, match="has not answered for 5 s"):
        await waiting


async def test_a_kafka_that_is_not_there_is_told_of_at_once(broker: Broker, clock: Clock) -> None:
    broker.unreachable = True
    made = KafkaPublisher("nowhere:1", events_topic("events", 4), stands_by=True, clock=clock)
    with pytest.raises(BrokerError):
        await made.send({ONE: MESSAGES})
    await made.close()


async def test_more_than_one_request_may_hold_is_sent_one_request_after_the_other(
    kafka: KafkaPublisher, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "_MAX_REQUEST_BYTES", 1)
    monkeypatch.setattr(publisher, "SLOW_S", 20.0)
    broker.slow = {ONE}
    sent = await kafka.send({ONE: MESSAGES, TWO: MESSAGES})
    await asyncio.wait({sent[TWO]}, timeout=0.05)
    assert broker.sent() == [[ONE], []]
    broker.store_all()
    assert (await sent[TWO]).stored == {TWO: 1}


async def test_a_request_that_is_slow_holds_up_the_next_one_for_a_moment_only(
    kafka: KafkaPublisher, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "_MAX_REQUEST_BYTES", 1)
    broker.slow = {ONE}
    sent = await kafka.send({ONE: MESSAGES, TWO: MESSAGES})
    assert (await sent[TWO]).stored == {TWO: 1}
    assert not sent[ONE].done()
    broker.store_all()
    await sent[ONE]
