"""A model of a broker: it drops and repeats messages, loses connections, and stores nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

from client_sdk.errors import UnreachableError
from client_sdk.mqtt.connection import Following, MqttConnection

_NOTICES_AFTER_S: Final = 10.0
"""How late a client notices that a connection is dead, if nobody has closed it."""
_COMES_BACK_S: Final = (0.2, 10.0)
_ANSWERS_S: Final = (0.001, 0.05)


class ModelBroker:
    """The broker.

    Args:
        chance: the random numbers of the schedule.
    """

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.is_up = True
        self.loses = 0.0
        """The probability that a message is dropped, as by a full queue."""
        self.doubles = 0.0
        """The probability that a message is delivered again, perhaps after later ones."""
        self.connections: list[ModelConnection] = []

    def publish(self, topic: str, payload: bytes) -> bool:
        """Deliver to all subscribers. Returns False if the broker is down."""
        if not self.is_up:
            return False
        for connection in self.connections:
            if self.chance.random() >= self.loses:
                connection.deliver(topic, payload)
            if self.chance.random() < self.doubles:
                connection.deliver(topic, payload, late_s=self.chance.uniform(0, 3))
        return True

    def kill(self) -> None:
        """Stop the broker; all connections are lost."""
        self.is_up = False
        for connection in self.connections:
            connection.lose()

    def start(self) -> None:
        """Start the broker again."""
        self.is_up = True


class ModelConnection(MqttConnection):
    """A program's connection, with the interface of `MqttConnection`.

    Args:
        broker: the broker.
    """

    def __init__(self, broker: ModelBroker) -> None:
        self._broker = broker
        self._chance = broker.chance
        self._up = asyncio.Event()
        self._open: list[Following] = []
        self._silent = False
        self._loop = asyncio.get_running_loop()
        self._is_gone = False
        broker.connections.append(self)
        self._up.set()

    def end(self) -> None:
        """Remove the connection, as its program has ended."""
        self._is_gone = True
        self._broker.connections.remove(self)
        self._drop()

    def lose(self) -> None:
        """Lose the connection; it is opened again after a while."""
        if not self._is_gone:
            self._drop()
            self._loop.call_later(self._chance.uniform(*_COMES_BACK_S), self._come_back)

    def go_silent(self) -> None:
        """Deliver nothing more; the client notices it only later."""
        self._silent = True
        self._loop.call_later(_NOTICES_AFTER_S, self.lose)

    def deliver(self, topic: str, payload: bytes, late_s: float = 0.0) -> None:
        """Deliver a message to the subscribers of its topic on this connection."""
        if self._silent:
            return
        for following in self._open:
            if topic in following.topics and late_s:
                self._loop.call_later(late_s, following.put, topic, payload)
            elif topic in following.topics:
                following.put(topic, payload)

    async def until_connected(self) -> None:
        """See `MqttConnection`."""
        await self._up.wait()

    async def follow(self, topics: Sequence[str]) -> Following:
        """See `MqttConnection`."""
        following = Following(topics)
        if not self._up.is_set():
            raise UnreachableError("there is no connection to the MQTT broker")
        self._open.append(following)
        await asyncio.sleep(self._chance.uniform(*_ANSWERS_S))
        if self._silent or following not in self._open:
            raise UnreachableError("the MQTT broker does not answer")
        return following

    async def unfollow(self, following: Following) -> None:
        """See `MqttConnection`."""
        if following in self._open:
            self._open.remove(following)

    async def say(self, what: str, fields: dict[str, object]) -> bool:
        """See `MqttConnection`; nothing is delivered here."""
        return self._up.is_set()

    def _drop(self) -> None:
        self._up.clear()
        lost, self._open = self._open, []
        for following in lost:
            following.lose("the connection was lost")

    def _come_back(self) -> None:
        if self._is_gone:
            return
        if self._broker.is_up:
            self._silent = False
            self._up.set()
        else:
            self._loop.call_later(self._chance.uniform(*_COMES_BACK_S), self._come_back)
