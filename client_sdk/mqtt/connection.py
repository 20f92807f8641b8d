"""A program's connection to the MQTT broker, which reconnects automatically.

All clients of a program share it. Each follower of a topic gets its messages, and is notified when
the connection is lost. Then it restarts, because a broker replays nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Self

import aiomqtt
import msgspec

from client_sdk.errors import ClientError, UnreachableError
from client_sdk.machine.backoff import Backoff
from client_sdk.mqtt.topics import own_topic
from client_sdk.settings import Settings
from client_sdk.supervision import BackgroundTasks, beside

MAX_BUFFERED: Final = 2000
MAX_BUFFERED_BYTES: Final = 8 * 1024 * 1024
_log: Final = logging.getLogger("yabam")
_KEEPALIVE_S: Final = 5
_ANSWER_WITHIN_S: Final = 5.0
_STATUS_EVERY_S: Final = 60.0
_BACK_OFF: Final = Settings(backoff_first=0.2, backoff_most=10.0, healthy_after=20.0)
_MAX_WAITING: Final = 5000
_REFUSED: Final = 0x80
"""A broker's reason codes from this number on are refusals."""


class Following:
    """The messages of some topics, for as long as the connection lasts.

    If they are not read in time, the oldest are dropped; the reader notices the gap.

    Args:
        topics: without wildcards.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self.topics = tuple(topics)
        self._messages: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._lost: str | None = None

    def put(self, topic: str, payload: bytes) -> None:
        """Add a message."""
        self._messages.append((topic, payload))
        self._bytes += len(payload)
        while len(self._messages) > MAX_BUFFERED or self._bytes > MAX_BUFFERED_BYTES:
            self._bytes -= len(self._messages.popleft()[1])
        self._news.set()

    def lose(self, reason: str) -> None:
        """End with this reason, because the connection is lost."""
        self._lost = self._lost or reason
        self._news.set()

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield each message with its topic.

        Raises:
            UnreachableError: the connection is lost.
        """
        while True:
            while self._messages:
                topic, payload = self._messages.popleft()
                self._bytes -= len(payload)
                yield topic, payload
            if self._lost is not None:
                raise UnreachableError(self._lost)
            self._news.clear()
            await self._news.wait()


class MqttConnection:
    """The connection; open it with `async with`.

    Args:
        host: the broker's host name.
        port: its port.
        user: the name from the device's registration; it is the client id as well.
        password: the password from the device's registration.
        ca_file: a file with the authorities (PEM) that sign the broker's certificate; None: those
            of the system.
        tls: whether to use TLS.
        boot: a number that grows with each start of this device; None: the time.
        own: the device's own topics to subscribe to at once on connecting, such as `commands`.
        hear: called with each message of these topics, and the last part of its topic.
    """

    def __init__(
        self,
        host: str,
        port: int = 8883,
        *,
        user: str,
        password: str,
        ca_file: str | None = None,
        tls: bool = True,
        boot: int | None = None,
        own: Sequence[str] = (),
        hear: Callable[[str, bytes], None] = lambda _what, _payload: None,
    ) -> None:
        self._host = host
        self._port = port
        self._user = user
        self._password = password
        self._tls = ssl.create_default_context(cafile=ca_file) if tls else None
        self._client: aiomqtt.Client | None = None
        self._changed = asyncio.Event()
        self._followings: set[Following] = set()
        self._tasks = BackgroundTasks(self._note_trouble)
        self._is_open = False
        self._boot = int(time.time()) if boot is None else boot
        self._own_topics = {topic: what for what in own if (topic := self._own(what)) is not None}
        self._hear = hear
        self._troubles: list[str] = []
        self._troubles_changed = asyncio.Event()
        self.trouble: str | None = None
        """Why there is no connection; None: there is one, or no attempt was made yet."""

    async def __aenter__(self) -> Self:
        self._is_open = True
        self._tasks.keep("connection to the MQTT broker", self._keep)
        return self

    async def __aexit__(self, *_raised: object) -> None:
        self._is_open = False
        await self._tasks.stop()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._client is not None

    async def until_connected(self) -> None:
        """Wait until there is a connection.

        Raises:
            ClientError: the connection was not opened.
        """
        if not self._is_open:
            raise ClientError("open the connection by `async with` first")
        while self._client is None:
            self._changed.clear()
            await self._changed.wait()

    async def follow(self, topics: Sequence[str]) -> Following:
        """Subscribe; return once every message published to these topics from now on will arrive.

        Raises:
            UnreachableError: the connection is lost, or the broker does not permit it.
        """
        client = self._client
        if client is None:
            raise UnreachableError("there is no connection to the MQTT broker")
        following = Following(topics)
        self._followings.add(following)
        try:
            await self._subscribe(client, topics)
        except aiomqtt.MqttError as error:
            await self.unfollow(following)
            raise UnreachableError(f"the MQTT broker: {error}") from error
        return following

    async def unfollow(self, following: Following) -> None:
        """Unsubscribe from the topics that no other follower on this connection needs."""
        self._followings.discard(following)
        others = {topic for one in self._followings for topic in one.topics}
        alone = [topic for topic in following.topics if topic not in others]
        if self._client is not None and alone:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._client.unsubscribe(alone, timeout=_ANSWER_WITHIN_S)

    async def say(self, what: str, fields: dict[str, object]) -> bool:
        """Publish a message of this device. Returns whether the broker has it; False without a
        connection."""
        topic = self._own(what)
        if self._client is None or topic is None:
            return False
        try:
            await self._client.publish(topic, msgspec.json.encode(fields), qos=1)
        except aiomqtt.MqttError:
            return False
        return True

    def tell_troubles(self, troubles: Sequence[str]) -> None:
        """Report these troubles in the device's status from now on."""
        if list(troubles) != self._troubles:
            self._troubles = list(troubles)
            self._troubles_changed.set()

    def _note_trouble(self, text: str) -> None:
        self.trouble = f"the MQTT broker at {self._host}:{self._port}: {text}"

    async def _keep(self) -> None:
        backoff = Backoff(_BACK_OFF, random.uniform)
        while True:
            backoff.well(time.monotonic())
            try:
                await self._session()
            except (aiomqtt.MqttError, OSError) as error:
                self._note_trouble(str(error))
            except Exception as error:
                # Of a library, or of a message: a new connection is what may help.
                _log.warning("the connection to the MQTT broker failed", exc_info=error)
                self._note_trouble(repr(error))
            finally:
                self._client = None
                for following in tuple(self._followings):
                    following.lose(self.trouble or "the connection was closed")
                self._followings.clear()
            await asyncio.sleep(backoff.failed(time.monotonic()))

    async def _session(self) -> None:
        connection = secrets.token_hex(8)
        async with aiomqtt.Client(
            self._host,
            self._port,
            username=self._user,
            password=self._password,
            identifier=self._user,
            will=self._will(connection),
            clean_session=True,
            timeout=_ANSWER_WITHIN_S,
            keepalive=_KEEPALIVE_S,
            max_queued_incoming_messages=_MAX_WAITING,
            tls_context=self._tls,
        ) as client:
            if self._own_topics:
                # The gateway sends the waiting messages when it receives the device's status.
                await self._subscribe(client, list(self._own_topics))
            self._client, self.trouble = client, None
            self._changed.set()
            try:
                # Without its status the gateway sends this device nothing: if that task fails, so
                # has the session.
                async with beside("status of the device", self._tell_status(client, connection)):
                    async for message in client.messages:
                        payload = message.payload
                        if isinstance(payload, bytes):
                            self._hand_out(str(message.topic), payload)
            finally:
                self._client = None

    async def _subscribe(self, client: aiomqtt.Client, topics: Sequence[str]) -> None:
        """Subscribe; raises MqttError if the broker does not answer, or does not permit it."""
        answers = await client.subscribe([(topic, 1) for topic in topics], timeout=_ANSWER_WITHIN_S)
        for topic, answer in zip(topics, answers, strict=False):
            code = answer if isinstance(answer, int) else getattr(answer, "value", 0)
            if code >= _REFUSED:
                raise aiomqtt.MqttError(f"following {topic} is not permitted")

    def _hand_out(self, topic: str, payload: bytes) -> None:
        if topic in self._own_topics:
            try:
                self._hear(self._own_topics[topic], payload)
            except Exception as error:
                # One message that cannot be handled must not keep back those after it.
                _log.warning("a message of %s cannot be handled", topic, exc_info=error)
        for following in self._followings:
            if topic in following.topics:
                following.put(topic, payload)

    async def _tell_status(self, client: aiomqtt.Client, connection: str) -> None:
        topic = self._own("status")
        if topic is None:
            return
        while True:
            self._troubles_changed.clear()
            status = self._status(connection, online=True)
            with contextlib.suppress(aiomqtt.MqttError):
                await client.publish(topic, status, qos=1, retain=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STATUS_EVERY_S):
                    await self._troubles_changed.wait()

    def _will(self, connection: str) -> aiomqtt.Will | None:
        topic = self._own("status")
        if topic is None:
            return None
        return aiomqtt.Will(topic, self._status(connection, online=False), qos=1, retain=True)

    def _status(self, connection: str, *, online: bool) -> bytes:
        fields = {
            "type": "status",
            "connection": connection,
            "online": online,
            "boot": self._boot,
            "at": time.time_ns() // 1_000_000,
            "troubles": self._troubles,
        }
        return msgspec.json.encode(fields)

    def _own(self, what: str) -> str | None:
        # Only a registered device has topics of its own; its user name has this form.
        parts = self._user.split("~")
        return own_topic(parts[0], parts[1], what) if len(parts) == 3 else None
