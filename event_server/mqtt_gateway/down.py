"""From Kafka to the broker: events, state, commands, receipts and marks.

Work goes in sessions: a connection to the broker and a place in the consumer group, which begin and
end together. Whatever ends one, the next goes on where the broker had acknowledged everything, so
all comes at least once; and nothing is published that another gateway may be publishing by now.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from msgspec import UNSET

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import DeviceError, RecordError
from event_server.errors import OwnershipLostError
from event_server.mqtt_gateway.group_reader import GroupReader
from event_server.mqtt_gateway.outlet import Outlet
from event_server.mqtt_gateway.refresher import DocumentSource, Refresher
from event_server.mqtt_gateway.rules.heads import Heads
from event_server.mqtt_gateway.rules.incoming import STATUS_FILTER
from event_server.mqtt_gateway.rules.membership import Membership
from event_server.mqtt_gateway.rules.progress import Held, Progress
from event_server.mqtt_gateway.rules.publications import (
    Changed,
    Publication,
    accepted_of,
    documents_of,
    mark_of,
    orders_of,
    publication_of,
    ring_of,
)
from event_server.mqtt_gateway.together import run_together
from server_common.devices.messages import Ring, Status, decode_outbound, payload_of
from server_common.devices.mqtt_topics import parse_up_topic
from server_common.errors import DeviceMessageError
from server_common.event_records import (
    OmittedRecord,
    OrderRecord,
    WatermarkRecord,
    decode_record,
    partition_of,
    split_ids,
)
from server_common.kafka.connection import Kafka
from server_common.kafka.raw_records import LeftOut, ReadRecord
from server_common.mqtt.broker import Broker, MqttError, MqttRefusedError
from server_common.mqtt.connection import Connection, Incoming

if TYPE_CHECKING:
    from event_server.mqtt_gateway.metrics import GatewayMetrics
    from event_server.mqtt_gateway.rules.presence import Presence
    from server_common.kafka.raw_records import Record

log = structlog.get_logger()

MARK_EVERY_S: Final = 5.0
PROVE_EVERY_S: Final = 1.0
MOST_HELD: Final = 1000
MOST_HELD_BYTES: Final = 8 * 1024 * 1024
_UNANSWERED: Final = 200
_ROOM_POLL_S: Final = 0.1
_FRESH_PAUSE_S: Final = 0.1
_LEAVE_WITHIN_S: Final = 2.0
_BACK_OFF_S: Final = (0.2, 5.0)
_LOST: Final = (MqttError, KafkaError, OwnershipLostError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class DownSettings:
    """Where to read and to publish."""

    kafka: Kafka
    events: str
    outbound: str
    group: str
    broker: Broker
    client_id: str


class Down:
    """Runs one session after the other.

    Args:
        settings: where to read and to publish.
        core: where documents are read.
        presence: which devices have shown themselves; it outlives a session.
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
        self._settings = settings
        self._core = core
        self._presence = presence
        self._metrics = metrics
        self._clock = clock
        self._session: DownSession | None = None
        self._failing: str | None = "the gateway has not begun"

    @property
    def trouble(self) -> str | None:
        """Why nothing is published now; None: it is."""
        if self._session is not None and self._session.is_reading:
            return None
        return self._failing

    @property
    def turned_at(self) -> float:
        """When it last did something, or knew why it could not."""
        return self._clock() if self._session is None else self._session.turned_at

    async def run(self) -> None:
        """Publish until cancelled."""
        pause = _BACK_OFF_S[0]
        while True:
            began = self._clock()
            self._metrics.sessions.labels("down").inc()
            self._session = DownSession(
                self._settings, self._core, self._presence, self._metrics, self._clock
            )
            try:
                await self._session.run()
            except _LOST as error:
                self._failing = str(error) or repr(error)
                log.warning("gateway_down_begins_anew", reason=self._failing)
            finally:
                self._session = None
            if self._clock() - began > 2 * _BACK_OFF_S[1]:
                pause = _BACK_OFF_S[0]
            await asyncio.sleep(pause)
            pause = min(pause * 2, _BACK_OFF_S[1])


class DownSession:
    """One session; its arguments are those of `Down`."""

    def __init__(
        self,
        settings: DownSettings,
        core: DocumentSource,
        presence: Presence,
        metrics: GatewayMetrics,
        clock: Callable[[], float],
    ) -> None:
        self.turned_at = clock()
        self._settings = settings
        self._presence = presence
        self._metrics = metrics
        self._clock = clock
        self._heads = Heads()
        self._membership = Membership()
        self._progress: Progress[TopicPartition] = Progress(MOST_HELD, MOST_HELD_BYTES)
        self._next: dict[TopicPartition, int] = {}
        self._publish_from: dict[TopicPartition, int] = {}
        self._fresh: set[TopicPartition] = set()
        self._connection = Connection(
            settings.broker, f"{settings.client_id}-down", self._heard, unanswered=_UNANSWERED
        )
        self._outlet = Outlet(self._connection, self._membership, clock, metrics)
        self._refresher = Refresher(core, self._outlet, presence, self._owns, metrics)
        self._reader = GroupReader(
            settings.kafka,
            settings.events,
            settings.outbound,
            settings.group,
            self._revoked,
            self._assigned,
        )
        self._joined = False
        self._had: set[int] = set()

    @property
    def is_reading(self) -> bool:
        """Whether it has begun its partitions (which may be none), and publishes."""
        return self._joined and not self._fresh

    async def run(self) -> None:
        """Publish until something is lost.

        Raises:
            MqttError, KafkaError, OwnershipLostError, OSError, TimeoutError: what is.
        """
        try:
            await self._connection.open()
            await self._connection.subscribe([STATUS_FILTER])
            await self._reader.open()
            await run_together(
                self._read(),
                self._prove(),
                self._mark(),
                self._refresher.run(),
                self._connection.until_lost(),
            )
        finally:
            with contextlib.suppress(*_LOST):
                async with asyncio.timeout(_LEAVE_WITHIN_S):
                    await self._revoked()
            await self._reader.close()
            await self._connection.close()

    # What is read.

    async def _read(self) -> None:
        while True:
            self.turned_at = self._clock()
            await self._begin_fresh()
            self._reader.pause(not self._progress.has_room)
            if not self._progress.has_room:
                await asyncio.sleep(_ROOM_POLL_S)
                continue
            batches = await self._reader.next(self._next)
            # Nobody knows how long this process stood still: it has to be proven anew.
            if self._outlet.is_open or await self._prove_now():
                for tp, records in batches.items():
                    self._take_all(tp, records)
            else:
                # They were read and not published; if they stay ours they are begun again.
                self._fresh |= batches.keys() & self._next.keys()
            self._metrics.held.set(self._progress.count)
            self._metrics.behind.set(self._reader.behind(self._next))
            await asyncio.sleep(0)

    def _take_all(self, tp: TopicPartition, records: Sequence[ReadRecord]) -> None:
        for record in records:
            # A partition that was shared out anew meanwhile is begun from its own place.
            if tp in self._fresh or tp not in self._next:
                return
            self._take(tp, record)
            self._next[tp] = record.offset + 1

    def _take(self, tp: TopicPartition, record: ReadRecord) -> None:
        held = None
        if record.offset >= self._publish_from[tp]:
            held = self._progress.begin(tp, record.offset + 1, _size_of(record))
        try:
            if isinstance(record, LeftOut):
                self._metrics.skipped.labels("unreadable").inc()
            elif tp.topic == self._settings.outbound:
                self._take_answer(tp, record, held)
            else:
                self._take_of_log(tp, record, held)
        except (RecordError, DeviceMessageError, msgspec.DecodeError) as error:
            self._metrics.skipped.labels("malformed").inc()
            log.warning("record_skipped", topic=tp.topic, offset=record.offset, reason=str(error))
        finally:
            if held is not None:
                self._progress.finish(tp, held)

    def _take_answer(self, tp: TopicPartition, record: Record, held: Held | None) -> None:
        if held is not None:
            message = decode_outbound(record.value)
            if isinstance(message, Ring):
                self._publish(tp, held, "commands", ring_of(message))
            else:
                self._publish(tp, held, "accepted", accepted_of(message, self._heads.epoch))

    def _take_of_log(self, tp: TopicPartition, record: Record, held: Held | None) -> None:
        read = decode_record(record.value, record.headers)
        before = self._heads.epoch
        if not self._heads.admit(read.epoch):
            self._metrics.skipped.labels("old_epoch").inc()
            return
        if before and before != read.epoch:
            self._refresh_state(range(self._reader.partitions_of_log))
        if isinstance(read, WatermarkRecord):
            self._heads.watermark(tp.partition, read.watermark)
            return
        self._note_heads(read)
        if isinstance(read, OrderRecord) and held is not None:
            for publication in orders_of(read):
                self._publish(tp, held, "orders", publication)
            for changed in documents_of(read):
                self._publish_document(tp, held, changed)

    def _note_heads(self, record: OrderRecord | OmittedRecord) -> None:
        now = self._clock()
        for name, seq in split_ids(record.ids):
            store = parse_channel(name).store_id
            if store is not None:
                self._heads.note(store, name, seq, now)

    # What is published.

    def _publish_document(self, tp: TopicPartition, held: Held, changed: Changed) -> None:
        if changed.value is UNSET:
            self._progress.add(held)
            self._refresher.want_value(changed, partial(self._progress.finish, tp, held))
            return
        publication = publication_of(changed, datetime.now(UTC))
        if publication is not None and self._outlet.newest.take(changed):
            what = "state" if changed.channel.kind == "public" else "commands"
            self._publish(tp, held, what, publication)

    def _publish(self, tp: TopicPartition, held: Held, what: str, publication: Publication) -> None:
        sent = self._outlet.send(what, publication)
        self._progress.add(held)
        sent.add_done_callback(partial(self._acknowledged, tp, held, publication.topic))

    def _acknowledged(
        self, tp: TopicPartition, held: Held, topic: str, sent: asyncio.Future[None]
    ) -> None:
        error = None if sent.cancelled() else sent.exception()
        if isinstance(error, MqttRefusedError):
            # It would be refused again and again, and hold up all that follows.
            self._metrics.refused_by_broker.inc()
            log.error("broker_refuses", topic=topic, reason=str(error))
        elif error is not None or sent.cancelled():
            return  # the next session publishes it again
        self._progress.finish(tp, held)

    async def _mark(self) -> None:
        while True:
            await asyncio.sleep(MARK_EVERY_S)
            now = self._clock()
            online = self._presence.online(now)
            self._metrics.devices.set(len(online))
            if not self._outlet.is_open:
                continue
            for store in {store for store, _ in online}:
                watermark = self._heads.watermark_of(self._partition_of(store))
                if watermark is not None and self._owns(store):
                    heads = self._heads.of(store, now)
                    self._outlet.send(
                        "marks", mark_of(store, self._heads.epoch, watermark, heads), qos=0
                    )

    # Whose partitions they are.

    async def _prove(self) -> None:
        while True:
            await asyncio.sleep(PROVE_EVERY_S)
            if self._next:
                await self._prove_now()

    async def _prove_now(self) -> bool:
        """Commit what is dealt with, which only the owner of the partitions can do. Returns whether
        they are ours."""
        asked_at = self._clock()
        mine = self._reader.mine
        offsets = {tp: at for tp, at in self._progress.committable().items() if tp in mine}
        if not offsets:
            return False
        try:
            await self._reader.commit(offsets)
        except OwnershipLostError as error:
            log.info("gateway_holds_back", reason=str(error))
            self._membership.lose()
            return False
        self._membership.proven(asked_at)
        return True

    async def _revoked(self) -> None:
        self._membership.lose()
        offsets = self._progress.committable()
        self._next.clear()
        self._progress.forget(list(offsets))
        self._metrics.partitions.set(0)
        if offsets:
            await self._reader.commit(offsets)

    def _assigned(self, assigned: frozenset[TopicPartition]) -> None:
        self._fresh = set(assigned)
        self._joined = True
        of_log = [tp for tp in assigned if tp.topic == self._settings.events]
        self._had &= {tp.partition for tp in of_log}
        self._metrics.partitions.set(len(of_log))
        log.info("gateway_has_partitions", partitions=sorted(tp.partition for tp in of_log))

    async def _begin_fresh(self) -> None:
        begun: set[int] = set()
        if self._fresh:
            await asyncio.sleep(_FRESH_PAUSE_S)
        for tp in tuple(self._fresh):
            at = await self._reader.begin(tp)
            if at is None or tp not in self._fresh:
                continue
            self._fresh.discard(tp)
            self._progress.start_at(tp, at.publish_from)
            self._next[tp] = at.read_from
            self._publish_from[tp] = at.publish_from
            if tp.topic == self._settings.events:
                self._heads.forget([tp.partition])
                begun.add(tp.partition)
                if at.has_lost:
                    self._refresh_all_commands(tp.partition)
        if begun:
            await self._prove_now()
            # Those that we had before hold what we have published.
            self._refresh_state(begun - self._had)
            self._had |= begun
            for store, device in self._presence.unserved(self._clock()):
                if self._partition_of(store) in begun:
                    self._refresher.want_commands(store, device)

    def _refresh_state(self, partitions: Collection[int]) -> None:
        for store in self._presence.known_stores():
            if self._partition_of(store) in partitions:
                self._refresher.want_state(store)

    def _refresh_all_commands(self, partition: int) -> None:
        log.warning("gateway_lost_records", partition=partition)
        for store, device in self._presence.online(self._clock()):
            if self._partition_of(store) == partition:
                self._refresher.want_commands(store, device)

    def _partition_of(self, store: str) -> int:
        return partition_of(store, max(1, self._reader.partitions_of_log))

    def _owns(self, store: str) -> bool:
        tp = TopicPartition(self._settings.events, self._partition_of(store))
        return tp in self._next and tp not in self._fresh

    # Who is there.

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


def _size_of(record: ReadRecord) -> int:
    if isinstance(record, LeftOut):
        return len(record.raw)
    return len(record.value or b"")
