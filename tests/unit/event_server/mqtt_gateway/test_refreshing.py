"""What is to be published anew comes, though sessions end and partitions are shared out anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from client_sdk.contract.channel import parse_channel
from event_server.mqtt_gateway.core import DocumentsSnapshot
from event_server.mqtt_gateway.down import DownSession, DownSettings
from event_server.mqtt_gateway.group_reader import GroupSettings
from event_server.mqtt_gateway.metrics import GatewayMetrics
from event_server.mqtt_gateway.partitions import Begun
from event_server.mqtt_gateway.rules.heads import Heads
from event_server.mqtt_gateway.rules.membership import Membership
from event_server.mqtt_gateway.rules.presence import Presence
from event_server.mqtt_gateway.rules.progress import Progress
from event_server.mqtt_gateway.rules.publications import Changed, state_topic
from server_common.devices.mqtt_topics import commands_topic
from server_common.kafka.raw_records import Record
from server_common.kafka_records.events import WatermarkRecord, encode_watermark_record
from server_common.mqtt.broker import Broker, MqttError
from tests.mqtt_parts import until

STATE = state_topic("12", "menu")
COMMANDS = commands_topic("12", "lamp")


class Core:
    """A store with a menu and a command that waits; it answers once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0

    async def all_of(self, channel: str) -> DocumentsSnapshot:
        """See `DocumentSource`."""
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        key, value = "menu", dict[str, Any]()
        if channel.startswith("device:"):
            key, value = "command.c1", {"state": "sent", "name": "blink"}
        return DocumentsSnapshot("E2", 0, [Changed("E2", parse_channel(channel), key, 1, value)])

    async def whole(self, changed: Changed) -> Changed | None:
        """See `DocumentSource`."""
        return changed


class Partitions:
    """A place in the group; the log has one partition."""

    of_log = 1
    is_reading = True

    def __init__(self, *_settings: object) -> None:
        self.membership = Membership()
        self.membership.proven(0.0)
        self.progress: Progress[TopicPartition] = Progress(10, 1000)
        self.refusals = 0
        self._is_ours = False
        self._begun: list[Begun] = []
        self._records: list[Record] = []
        self._news = asyncio.Event()

    def take_away(self) -> None:
        """The partitions are being shared out anew."""
        self._is_ours = False

    def begin(self, *, is_new: bool = False, has_lost: bool = False) -> None:
        """The partition is ours from now on."""
        self._begun = [Begun(0, has_lost, is_new)]
        self._news.set()

    def write(self, epoch: str) -> None:
        """A record of this epoch comes."""
        headers = tuple(encode_watermark_record(WatermarkRecord(epoch, 1.0)))
        self._records.append(Record("events", 0, 1, 1, None, b"", headers))
        self._news.set()

    def partition_of(self, _store: str) -> int:
        """It is the only one."""
        return 0

    def owns(self, _store: str) -> bool:
        """Whether it is ours."""
        self.refusals += not self._is_ours
        return self._is_ours

    async def open(self) -> None:
        """Nothing is to be opened."""

    async def leave(self) -> None:
        """Nothing is to be committed."""

    async def close(self) -> None:
        """Nothing is to be closed."""

    async def begin_fresh(self) -> list[Begun]:
        """See `begin`."""
        begun, self._begun = self._begun, []
        self._is_ours = self._is_ours or bool(begun)
        return begun

    async def next(self) -> dict[TopicPartition, list[Record]]:
        """See `write`."""
        await self._news.wait()
        self._news.clear()
        records, self._records = self._records, []
        return {TopicPartition("events", 0): records}

    def hand_on(self, tp: TopicPartition, records: list[Record], take: Callable[..., None]) -> None:
        """All of them."""
        for record in records:
            take(tp, record, None)

    def count(self) -> None:
        """Nobody looks."""

    async def prove(self) -> bool:
        """It is ours as long as nobody says otherwise."""
        return True

    async def keep_proving(self) -> None:
        """For ever."""
        await asyncio.Event().wait()


class BrokerConnection:
    """A connection to a broker that takes everything."""

    def __init__(self, *_settings: object, **_more: object) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.topics: list[str] = []

    async def open(self) -> None:
        """Nothing is to be opened."""

    async def close(self) -> None:
        """Nothing is to be closed."""

    async def subscribe(self, _filters: object) -> None:
        """Nobody says anything."""

    def publish(self, topic: str, _payload: bytes, **_more: object) -> asyncio.Future[None]:
        """See the class."""
        self.topics.append(topic)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def until_lost(self) -> None:
        """See `lost`."""
        await self.lost


class Gateway:
    """What outlives a session, and the parts of the newest one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.core = Core()
        self._presence = Presence()
        self._heads = Heads()
        self._metrics = GatewayMetrics(CollectorRegistry())
        for part in (Partitions, BrokerConnection):
            monkeypatch.setattr(f"event_server.mqtt_gateway.down.{part.__name__}", part)
        self._presence.hear("12", "lamp", "c1", online=True, now=0.0)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[tuple[Partitions, BrokerConnection]]:
        """A session that has published what it found, and forgot it."""
        settings = DownSettings(
            GroupSettings("k", "events", "outbound", "group"), Broker("broker", 1883), "g"
        )
        session = DownSession(
            settings, self.core, self._presence, self._heads, self._metrics, lambda: 0.0
        )
        partitions, connection = session._partitions, session._connection
        assert isinstance(partitions, Partitions)
        assert isinstance(connection, BrokerConnection)
        running = asyncio.create_task(session.run())
        try:
            yield partitions, connection
        finally:
            connection.lost.set_exception(MqttError("the cable"))
            with pytest.raises(MqttError, match="the cable"):
                await running

    async def serve(self, partitions: Partitions, connection: BrokerConnection) -> None:
        """Let it be seen that all was published, and forget that."""
        partitions.begin(is_new=True)
        partitions.write("E1")
        await until(lambda: set(connection.topics) == {STATE, COMMANDS})
        await until(lambda: self._presence.unserved(0.0) == [])
        connection.topics.clear()


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return Gateway(monkeypatch)


async def test_what_a_new_epoch_asks_for_outlives_its_session(gateway: Gateway) -> None:
    async with gateway.session() as (partitions, connection):
        await gateway.serve(partitions, connection)
        gateway.core.gate.clear()
        partitions.write("E2")
        await until(lambda: gateway.core.waiting == 2)
    gateway.core.gate.set()
    async with gateway.session() as (partitions, connection):
        partitions.begin(is_new=True)
        await until(lambda: set(connection.topics) == {STATE, COMMANDS})


async def test_what_a_new_epoch_asks_for_outlives_that_partitions_are_shared_out_anew(
    gateway: Gateway,
) -> None:
    async with gateway.session() as (partitions, connection):
        await gateway.serve(partitions, connection)
        gateway.core.gate.clear()
        partitions.write("E2")
        await until(lambda: gateway.core.waiting == 2)
        partitions.take_away()
        gateway.core.gate.set()
        await until(lambda: partitions.refusals == 2)
        assert connection.topics == []
        partitions.begin()
        await until(lambda: set(connection.topics) == {STATE, COMMANDS})


async def test_where_records_are_lost_all_is_published_anew(gateway: Gateway) -> None:
    async with gateway.session() as (partitions, connection):
        await gateway.serve(partitions, connection)
        partitions.begin(has_lost=True)
        await until(lambda: set(connection.topics) == {STATE, COMMANDS})


async def test_what_was_lost_with_records_outlives_a_session(gateway: Gateway) -> None:
    async with gateway.session() as (partitions, connection):
        await gateway.serve(partitions, connection)
        gateway.core.gate.clear()
        partitions.begin(has_lost=True)
        await until(lambda: gateway.core.waiting == 2)
    gateway.core.gate.set()
    async with gateway.session() as (partitions, connection):
        partitions.begin(is_new=True)
        await until(lambda: set(connection.topics) == {STATE, COMMANDS})


async def test_what_waits_for_proof_is_not_published_of_a_partition_that_was_taken_away(
    gateway: Gateway,
) -> None:
    async with gateway.session() as (partitions, connection):
        await gateway.serve(partitions, connection)
        gateway.core.gate.clear()
        partitions.write("E2")
        await until(lambda: gateway.core.waiting == 2)
        partitions.membership.lose()
        gateway.core.gate.set()
        await until(lambda: gateway.core.waiting == 0)
        partitions.take_away()
        partitions.membership.proven(0.0)
        await until(lambda: partitions.refusals >= 2)
        assert connection.topics == []
        partitions.begin()
        await until(lambda: set(connection.topics) == {STATE, COMMANDS})
