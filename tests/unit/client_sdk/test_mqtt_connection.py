"""The connection to a broker: whatever comes, or breaks, it goes on or says why it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import aiomqtt
import pytest

from client_sdk.errors import ClientError, UnreachableError
from client_sdk.mqtt import connection as module
from client_sdk.mqtt.connection import MAX_BUFFERED, Following, MqttConnection
from client_sdk.printer.mqtt_source import MqttSource
from client_sdk.settings import Settings

USER = "12~printer~x"
OWN = "yabam/v1/12/devices/printer"
DEEP = b'{"boot":1,"n":1,"outcome":"applied","job":' + b"[" * 100_000


@dataclass
class Message:
    topic: str
    payload: bytes


class Broker:
    """A broker that does what a test says; all sessions with it."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.refuses: list[Exception] = []
        self.denied: set[str] = set()

    def connect(self, *_place: object, **options: Any) -> Session:
        session = Session(self, options)
        self.sessions.append(session)
        return session

    @property
    def now(self) -> Session:
        return self.sessions[-1]


class Session:
    """One connection, with the interface of `aiomqtt.Client`."""

    def __init__(self, broker: Broker, options: dict[str, Any]) -> None:
        self.broker, self.options = broker, options
        self.incoming: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self.subscribed: list[str] = []
        self.published: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.publish_fails: Exception | None = None

    async def __aenter__(self) -> Self:
        if self.broker.refuses:
            raise self.broker.refuses.pop(0)
        return self

    async def __aexit__(self, *_raised: object) -> None:
        """It is closed."""

    async def subscribe(self, topics: Sequence[tuple[str, int]], timeout: float) -> list[int]:
        self.subscribed += [topic for topic, _ in topics]
        return [0x87 if topic in self.broker.denied else 1 for topic, _ in topics]

    async def unsubscribe(self, topics: Sequence[str], timeout: float) -> None:
        for topic in topics:
            self.subscribed.remove(topic)

    async def publish(self, topic: str, payload: bytes, **options: Any) -> None:
        if self.publish_fails is not None:
            raise self.publish_fails
        self.published.append((topic, json.loads(payload), options))

    @property
    def messages(self) -> AsyncIterator[Message]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[Message]:
        while True:
            message = await self.incoming.get()
            if isinstance(message, Exception):
                raise message
            yield message

    def push(self, topic: str, payload: bytes) -> None:
        self.incoming.put_nowait(Message(topic, payload))

    def lose(self, error: Exception) -> None:
        self.incoming.put_nowait(error)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    one = Broker()
    monkeypatch.setattr(aiomqtt, "Client", one.connect)
    # Pauses take no time.
    monkeypatch.setattr(module, "_BACK_OFF", Settings(backoff_first=0.0, backoff_most=0.0))
    return one


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (it lets the loop go on, and waits for no time)
        await asyncio.sleep(0)


def connection_of(hear: Callable[[str, bytes], None] = lambda _w, _p: None) -> MqttConnection:
    return MqttConnection(
        "broker", 1883, user=USER, password="p", tls=False, boot=7, own=["commands"], hear=hear
    )


async def test_a_device_says_that_it_is_there_and_leaves_word_for_when_it_is_not(
    broker: Broker,
) -> None:
    async with connection_of() as connection:
        await connection.until_connected()
        await until(lambda: bool(broker.now.published))
        topic, status, options = broker.now.published[0]
        assert (topic, status["online"], status["boot"]) == (f"{OWN}/status", True, 7)
        assert options["retain"]
        will = broker.now.options["will"]
        said = json.loads(will.payload)
        assert (will.topic, said["online"]) == (f"{OWN}/status", False)
        assert said["connection"] == status["connection"]
        assert broker.now.subscribed == [f"{OWN}/commands"]
        connection.tell_troubles(["no paper"])
        await until(lambda: len(broker.now.published) == 2)
        assert broker.now.published[1][1]["troubles"] == ["no paper"]
    assert not connection.is_connected


async def test_followers_get_their_topics_until_the_connection_is_lost(broker: Broker) -> None:
    async with connection_of() as connection:
        await connection.until_connected()
        following = await connection.follow(["a", "b"])
        broker.now.push("a", b"1")
        broker.now.push("c", b"2")
        broker.now.push("b", b"3")
        messages = following.messages()
        assert [await anext(messages) for _ in range(2)] == [("a", b"1"), ("b", b"3")]
        broker.now.lose(aiomqtt.MqttError("gone"))
        with pytest.raises(UnreachableError, match="gone"):
            await anext(messages)
        await connection.until_connected()
        await until(lambda: len(broker.sessions) == 2)
        assert connection.trouble is None


async def test_a_topic_that_another_still_follows_stays_subscribed(broker: Broker) -> None:
    async with connection_of() as connection:
        await connection.until_connected()
        first = await connection.follow(["a", "b"])
        await connection.follow(["b"])
        await connection.unfollow(first)
        assert "a" not in broker.now.subscribed
        assert "b" in broker.now.subscribed


async def test_what_the_broker_does_not_permit_is_said(broker: Broker) -> None:
    broker.denied = {"b"}
    async with connection_of() as connection:
        await connection.until_connected()
        with pytest.raises(UnreachableError, match="following b is not permitted"):
            await connection.follow(["a", "b"])


async def test_without_a_connection_nothing_is_said_or_followed(broker: Broker) -> None:
    connection = connection_of()
    assert not await connection.say("results", {})
    with pytest.raises(UnreachableError, match="no connection"):
        await connection.follow(["a"])
    with pytest.raises(ClientError, match="async with"):
        await connection.until_connected()
    async with connection:
        await connection.until_connected()
        assert await connection.say("results", {"n": 1})
        assert (f"{OWN}/results", {"n": 1}) in [one[:2] for one in broker.now.published]
        broker.now.publish_fails = aiomqtt.MqttError("full")
        assert not await connection.say("results", {"n": 2})


@pytest.mark.parametrize(
    "error", [aiomqtt.MqttError("x"), OSError("x"), ValueError("x"), RecursionError("x")]
)
async def test_whatever_ends_a_session_another_follows_and_the_reason_is_told(
    broker: Broker, error: Exception
) -> None:
    async with connection_of() as connection:
        await connection.until_connected()
        following = await connection.follow(["a"])
        broker.refuses = [aiomqtt.MqttError("still away")]
        broker.now.lose(error)
        with pytest.raises(UnreachableError, match=r"broker at broker:1883: .*x"):
            await anext(following.messages())
        await until(lambda: connection.trouble is not None and "away" in connection.trouble)
        await connection.until_connected()
        assert connection.trouble is None
        assert len(broker.sessions) == 3


async def test_a_status_that_cannot_be_told_ends_the_session_and_not_the_device(
    broker: Broker,
) -> None:
    async with connection_of() as connection:
        await connection.until_connected()
        broker.now.publish_fails = ValueError("a bug")
        connection.tell_troubles(["no paper"])
        await until(lambda: len(broker.sessions) == 2)
        await connection.until_connected()
        await until(lambda: bool(broker.now.published))
        assert broker.now.published[0][1]["troubles"] == ["no paper"]


async def test_one_message_that_cannot_be_handled_does_not_keep_back_the_next(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []

    def hear(_what: str, payload: bytes) -> None:
        if payload == b"bad":
            raise ZeroDivisionError("a bug")
        heard.append(payload)

    async with connection_of(hear) as connection:
        await connection.until_connected()
        for payload in (b"bad", b"good"):
            broker.now.push(f"{OWN}/commands", payload)
        await until(lambda: bool(heard))
        assert len(broker.sessions) == 1
    assert "cannot be handled" in caplog.text


async def test_a_message_nested_too_deep_leaves_a_printer_connected(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    source = MqttSource(
        "broker", 1883, user=USER, password="p", ca_file=None, tls=False, agent="a", boot=1
    )
    job = {"seq": 1, "copy": 1, "state": "queued", "language": "en", "columns": 42,
           "media": "text", "lines": []}  # fmt: skip
    command = {"id": "j", "name": "print", "epoch": "E1", "arguments": job}
    async with source:
        await source._connection.until_connected()
        broker.now.push(f"{OWN}/accepted", DEEP)
        broker.now.push(f"{OWN}/commands", b'{"arguments":' * 100_000)
        broker.now.push(f"{OWN}/commands", json.dumps(command).encode())
        await source.changed(10)
        assert [one.id for one in source.jobs()] == ["j"]
        assert len(broker.sessions) == 1
    assert caplog.records == []


async def test_what_is_not_read_in_time_is_dropped_from_the_oldest_on() -> None:
    following = Following(["a"])
    for n in range(MAX_BUFFERED + 5):
        following.put("a", str(n).encode())
    messages = following.messages()
    assert await anext(messages) == ("a", b"5")
    for n in range(MAX_BUFFERED - 1):
        assert await anext(messages) == ("a", str(n + 6).encode())
    following.lose("over")
    with pytest.raises(UnreachableError, match="over"):
        await anext(messages)
