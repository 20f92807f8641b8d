"""MQTT topics as the transport of a buffered start: the events, without the marks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

import msgspec

from client_sdk.buffered.messages import decode_pushed_event
from client_sdk.contract.channel import event_id
from client_sdk.contract.order import OrderEvent
from client_sdk.mqtt.connection import Following, MqttConnection


class LiveTopics:
    """The transport of one buffered start.

    Args:
        connection: the connection that the program shares.
        topics: the channels' topics, and those of the marks.
        heard_mark: called with the topic and the payload of each mark.
    """

    def __init__(
        self,
        connection: MqttConnection,
        topics: Sequence[str],
        heard_mark: Callable[[str, bytes], None],
    ) -> None:
        self._connection = connection
        self._all_topics = topics
        self._heard_mark = heard_mark
        self._following: Following | None = None

    async def connect(self) -> None:
        """Wait for the connection that the program shares."""
        await self._connection.until_connected()

    async def subscribe(self, _channels: Sequence[str]) -> None:
        """Subscribe to the channels' topics, and to the marks."""
        self._following = await self._connection.follow(self._all_topics)

    async def messages(self) -> AsyncIterator[OrderEvent]:
        """Yield the events; marks are passed to `heard_mark`."""
        if self._following is None:
            return
        async for topic, payload in self._following.messages():
            if topic.endswith("/marks"):
                self._heard_mark(topic, payload)
                continue
            with suppress(msgspec.DecodeError):
                # A malformed message leaves a gap, which is detected.
                event = decode_pushed_event(payload)
                if event.id == event_id(event.channel, event.seq):
                    yield event

    async def close(self) -> None:
        """Unsubscribe."""
        if self._following is not None:
            following, self._following = self._following, None
            await self._connection.unfollow(following)
