"""Publishes Kafka's records at the broker, and tracks when each record is processed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import RecordError
from event_server.mqtt_gateway.rules.publications import (
    Changed,
    Publication,
    accepted_of,
    documents_of,
    orders_of,
    publication_of,
    ring_of,
)
from server_common.devices.messages import Ring, decode_outbound
from server_common.errors import DeviceMessageError
from server_common.kafka.raw_records import LeftOut, ReadRecord
from server_common.kafka_records.events import (
    OmittedRecord,
    OrderRecord,
    WatermarkRecord,
    decode_record,
    split_ids,
)
from server_common.logs import get_logger
from server_common.mqtt.broker import MqttRefusedError

if TYPE_CHECKING:
    from aiokafka import TopicPartition

    from event_server.mqtt_gateway.metrics import GatewayMetrics
    from event_server.mqtt_gateway.outlet import Outlet
    from event_server.mqtt_gateway.refresher import Refresher
    from event_server.mqtt_gateway.rules.heads import Heads
    from event_server.mqtt_gateway.rules.progress import HeldRecord, Progress
    from server_common.kafka.raw_records import Record

log = get_logger()


class RecordPublisher:
    """Publishes the content of records.

    Args:
        outbound: the topic of Core's answers; all other records are of the log.
        outlet: the way to the broker.
        refresher: fetches values that the log omits.
        heads: the channels' heads, as read.
        progress: tracks the broker's acknowledgements.
        epoch_began: called when the log has a newer epoch than before.
        metrics: where the numbers go.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        outbound: str,
        outlet: Outlet,
        refresher: Refresher,
        heads: Heads,
        progress: Progress[TopicPartition],
        epoch_began: Callable[[], None],
        metrics: GatewayMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._outbound = outbound
        self._outlet = outlet
        self._refresher = refresher
        self._heads = heads
        self._progress = progress
        self._epoch_began = epoch_began
        self._metrics = metrics
        self._clock = clock

    def take(self, tp: TopicPartition, record: ReadRecord, held: HeldRecord | None) -> None:
        """Publish the content of a record; an unreadable one is skipped.

        Args:
            tp: the partition that it was read from.
            record: a record of the log, or an answer of Core's to a device.
            held: delays its offset until all is acknowledged; None: it was published before, and is
                only read for the channels' heads.

        Raises:
            OwnershipLostError: it is not certain that the partition is still ours.
        """
        try:
            if isinstance(record, LeftOut):
                self._metrics.skipped.labels("unreadable").inc()
            elif tp.topic == self._outbound:
                self._take_answer(tp, record, held)
            else:
                self._take_of_log(tp, record, held)
        except (RecordError, DeviceMessageError, msgspec.DecodeError) as error:
            self._metrics.skipped.labels("malformed").inc()
            log.warning("record_skipped", topic=tp.topic, offset=record.offset, reason=str(error))

    def _take_answer(self, tp: TopicPartition, record: Record, held: HeldRecord | None) -> None:
        if held is not None:
            message = decode_outbound(record.value)
            if isinstance(message, Ring):
                publication = ring_of(message, datetime.now(UTC))
                if publication is None:
                    self._metrics.skipped.labels("overdue").inc()
                else:
                    self._publish(tp, held, "commands", publication)
            else:
                self._publish(tp, held, "accepted", accepted_of(message, self._heads.epoch))

    def _take_of_log(self, tp: TopicPartition, record: Record, held: HeldRecord | None) -> None:
        read = decode_record(record.value, record.headers)
        before = self._heads.epoch
        if not self._heads.admit(read.epoch):
            self._metrics.skipped.labels("old_epoch").inc()
            return
        if before and before != read.epoch:
            self._epoch_began()
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

    def _publish_document(self, tp: TopicPartition, held: HeldRecord, changed: Changed) -> None:
        if changed.value is UNSET:
            self._progress.add(held)
            self._refresher.want_value(changed, partial(self._progress.finish, tp, held))
            return
        publication = publication_of(changed, datetime.now(UTC))
        if publication is not None and self._outlet.newest.take(changed):
            what = "state" if changed.channel.kind == "public" else "commands"
            self._publish(tp, held, what, publication)

    def _publish(
        self, tp: TopicPartition, held: HeldRecord, what: str, publication: Publication
    ) -> None:
        sent = self._outlet.send(what, publication)
        self._progress.add(held)
        sent.add_done_callback(partial(self._acknowledged, tp, held, publication.topic))

    def _acknowledged(
        self, tp: TopicPartition, held: HeldRecord, topic: str, sent: asyncio.Future[None]
    ) -> None:
        error = None if sent.cancelled() else sent.exception()
        if isinstance(error, MqttRefusedError):
            # It would be refused on every retry, and block all that follows.
            self._metrics.refused_by_broker.inc()
            log.error("broker_refuses", topic=topic, reason=str(error))
        elif error is not None or sent.cancelled():
            return  # the next session publishes it again
        self._progress.finish(tp, held)
