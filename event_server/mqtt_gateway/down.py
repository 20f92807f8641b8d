"""From Kafka to the broker: events, state, commands, receipts and marks.

It works in sessions: a connection to the broker and a membership in the consumer group, which begin
and end together. The next session continues after the last records that the broker had
acknowledged, so all come at least once; and no session publishes what another gateway may publish.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError

from client_sdk.contract.errors import DeviceError
from event_server.errors import OwnershipLostError
from event_server.mqtt_gateway.group_reader import GroupSettings
from event_server.mqtt_gateway.outlet import Outlet
from event_server.mqtt_gateway.partitions import Partitions
from event_server.mqtt_gateway.record_publisher import RecordPublisher
from event_server.mqtt_gateway.refresher import DocumentSource, Refresher
from event_server.mqtt_gateway.rules.heads import Heads
from event_server.mqtt_gateway.rules.incoming import STATUS_FILTER
from event_server.mqtt_gateway.rules.publications import mark_of
from event_server.mqtt_gateway.together import run_together
from server_common.backoff import Backoff
from server_common.devices.messages import Status, payload_of
from server_common.devices.mqtt_topics import parse_up_topic
from server_common.errors import DeviceMessageError
from server_common.logs import get_logger
from server_common.mqtt.broker import Broker, MqttError
from server_common.mqtt.connection import BrokerConnection, Incoming

if TYPE_CHECKING:
    from aiokafka import TopicPartition

    from event_server.mqtt_gateway.metrics import GatewayMetrics
    from event_server.mqtt_gateway.rules.presence import Presence
    from server_common.kafka.raw_records import ReadRecord

log = get_logger()

MARK_EVERY_S: Final = 5.0
_UNANSWERED: Final = 200
_LEAVE_WITHIN_S: Final = 2.0
_BACK_OFF_S: Final = (0.2, 5.0)
_NOT_OURS: Final = "Kafka does not assign partitions"
_LOST: Final = (MqttError, KafkaError, OwnershipLostError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class DownSettings:
    """Where to read and to publish."""

    reading: GroupSettings
    broker: Broker
    client_id: str


class Down:
    """Runs one session after the other.

    Args:
        settings: where to read and to publish.
        core: where documents are read.
        presence: which devices were heard; it outlives a session.
        metrics: where the numbers go.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        settings: DownSettings,
        core: DocumentSource,
        presence: Presence,
        metrics: GatewayMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._begin = partial(DownSession, settings, core, presence, Heads(), metrics, clock)
        self._session: DownSession | None = None
        self._failing: str | None = "the gateway has not begun"

    @property
    def trouble(self) -> str | None:
        """Why nothing is published now; None: it is."""
        if self._session is None:
            return self._failing
        if self._session.is_reading:
            return None
        return _NOT_OURS if self._session.has_read else self._failing

    @property
    def turned_at(self) -> float:
        """When it last made progress, or knew the fault that it waits for."""
        return self._clock() if self._session is None else self._session.turned_at

    async def run(self) -> None:
        """Publish until cancelled."""
        backoff = Backoff(*_BACK_OFF_S, random.uniform)
        while True:
            began = self._clock()
            self._metrics.sessions.labels("down").inc()
            self._session = self._begin()
            try:
                await self._session.run()
            except _LOST as error:
                self._failing = str(error) or repr(error)
                log.warning("gateway_down_restarts", reason=self._failing)
            finally:
                self._session = None
            if self._clock() - began > 2 * _BACK_OFF_S[1]:
                backoff.forget()
            await asyncio.sleep(backoff.failed())


class DownSession:
    """One session; its arguments are those of `Down`, and how far the log was read before."""

    def __init__(
        self,
        settings: DownSettings,
        core: DocumentSource,
        presence: Presence,
        heads: Heads,
        metrics: GatewayMetrics,
        clock: Callable[[], float],
    ) -> None:
        self.turned_at = clock()
        self._presence = presence
        self._heads = heads
        self._metrics = metrics
        self._clock = clock
        self._partitions = Partitions(settings.reading, metrics, clock)
        self._connection = BrokerConnection(
            settings.broker, f"{settings.client_id}-down", self._heard, unanswered=_UNANSWERED
        )
        self._outlet = Outlet(self._connection, self._partitions.membership, clock, metrics)
        self._refresher = Refresher(core, self._outlet, presence, self._partitions.owns, metrics)
        self._publisher = RecordPublisher(
            settings.reading.outbound,
            self._outlet,
            self._refresher,
            heads,
            self._partitions.progress,
            self._refresh_all,
            metrics,
            clock,
        )

    @property
    def is_reading(self) -> bool:
        """Whether it has begun its partitions (which may be none), and publishes."""
        return self._partitions.is_reading

    @property
    def has_read(self) -> bool:
        """Whether `is_reading` was ever true."""
        return self._partitions.has_read

    async def run(self) -> None:
        """Publish until the connection or the partitions are lost.

        Raises:
            MqttError, KafkaError, OwnershipLostError, OSError, TimeoutError: what is.
        """
        try:
            await self._connection.open()
            await self._connection.subscribe([STATUS_FILTER])
            await self._partitions.open()
            await run_together(
                self._read(),
                self._partitions.keep_proving(),
                self._mark(),
                self._refresher.run(),
                self._connection.until_lost(),
            )
        finally:
            with contextlib.suppress(*_LOST):
                async with asyncio.timeout(_LEAVE_WITHIN_S):
                    await self._partitions.leave()
            await self._partitions.close()
            await self._connection.close()

    async def _read(self) -> None:
        while True:
            self.turned_at = self._clock()
            await self._begin_fresh()
            batches = await self._partitions.next()
            # This process may have been suspended for long: its ownership must be proven again.
            if self._outlet.is_open or await self._partitions.prove():
                self._hand_on(batches)
            else:
                self._partitions.begin_again(batches)
            self._partitions.count()
            await asyncio.sleep(0)

    def _hand_on(self, batches: Mapping[TopicPartition, Sequence[ReadRecord]]) -> None:
        try:
            for tp, records in batches.items():
                self._partitions.hand_on(tp, records, self._publisher.take)
        except OwnershipLostError as error:
            # Leaving the group for that would make all others rebalance.
            log.info("gateway_holds_back", reason=str(error))
            self._partitions.begin_again(batches)

    async def _mark(self) -> None:
        while True:
            await asyncio.sleep(MARK_EVERY_S)
            now = self._clock()
            online = self._presence.online(now)
            self._metrics.devices.set(len(online))
            if not self._outlet.is_open:
                continue
            for store in {store for store, _ in online}:
                watermark = self._heads.watermark_of(self._partitions.partition_of(store))
                if watermark is not None and self._partitions.owns(store):
                    heads = self._heads.of(store, now)
                    self._outlet.send(
                        "marks", mark_of(store, self._heads.epoch, watermark, heads), qos=0
                    )

    # State that the log does not send again.

    async def _begin_fresh(self) -> None:
        begun = await self._partitions.begin_fresh()
        if not begun:
            return
        lost = {one.partition for one in begun if one.has_lost}
        if lost:
            log.warning("gateway_lost_records", partitions=sorted(lost))
            self._unserve(lost)
        numbers = {one.partition for one in begun}
        self._heads.forget(numbers)
        await self._partitions.prove()
        # For partitions that we had before, the broker has what we published.
        self._refresh_state({one.partition for one in begun if one.is_new or one.has_lost})
        for store in self._refresher.left():
            self._refresher.want_state(store)
        self._refresh_commands(numbers)

    def _refresh_all(self) -> None:
        """The database has gone back: it may differ from what was published before."""
        partitions = range(self._partitions.of_log)
        self._unserve(partitions)
        self._refresh_state(partitions)
        self._refresh_commands(partitions)

    def _unserve(self, partitions: Collection[int]) -> None:
        """Publish the messages that wait for devices again, in a later session if this ends."""
        self._presence.unserve(lambda store: self._partitions.partition_of(store) in partitions)

    def _refresh_state(self, partitions: Collection[int]) -> None:
        for store in self._presence.known_stores():
            if self._partitions.partition_of(store) in partitions:
                self._refresher.want_state(store)

    def _refresh_commands(self, partitions: Collection[int]) -> None:
        for store, device in self._presence.unserved(self._clock()):
            if self._partitions.partition_of(store) in partitions:
                self._refresher.want_commands(store, device)

    # Status messages: which devices are online.

    def _heard(self, message: Incoming) -> None:
        self._connection.acknowledge(message)
        try:
            place = parse_up_topic(message.topic)
            status = payload_of("status", message.payload)
        except (DeviceError, DeviceMessageError):
            return  # the other half refuses it, with a reason
        if not isinstance(status, Status):
            return
        heard = self._presence.hear(
            place.store, place.device, status.connection, status.online, self._clock()
        )
        if heard.is_new_store:
            self._refresher.want_state(place.store)
        if heard.is_new_connection:
            self._refresher.want_commands(place.store, place.device)
