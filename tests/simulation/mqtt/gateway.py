"""Relay and gateways of the model: what is committed is published at least once, by the gateway's
own rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from client_sdk.contract.channel import parse_channel
from event_server.mqtt_gateway.rules.heads import Heads
from event_server.mqtt_gateway.rules.publications import mark_of, orders_of
from server_common.kafka_records.events import OrderRecord, decode_record, split_ids
from tests.simulation.core import STORE, ModelCore
from tests.simulation.mqtt.broker import ModelBroker

MARK_EVERY_S: Final = 5.0
_LOOK_BACK: Final = 400
"""So many records a gateway reads once more for their heads."""
_PARTITION: Final = 0


class ModelRelay:
    """Takes what was committed into the log; `stalled` keeps it from that."""

    def __init__(self, core: ModelCore) -> None:
        self.log: list[OrderRecord] = []
        self.watermark = 0.0
        self.epoch = ""
        """That of the watermark."""
        self.is_stalled = False
        self._core = core

    def run(self, db_now: float) -> None:
        """Take in what there is."""
        if self.is_stalled:
            return
        waiting, self._core.truth.outbox[:] = list(self._core.truth.outbox), []
        for committed in waiting:
            record = decode_record(*committed.record)
            assert isinstance(record, OrderRecord)
            self.log.append(record)
        self.watermark, self.epoch = db_now, self._core.epoch


class ModelGateway:
    """One gateway after the other on the only partition.

    Args:
        relay: the log.
        broker: where it publishes.
        chance: the seed's.
        now: virtual seconds.
    """

    def __init__(
        self, relay: ModelRelay, broker: ModelBroker, chance: Random, now: Callable[[], float]
    ) -> None:
        self._relay, self._broker, self._chance, self._now = relay, broker, chance, now
        self._next = 0
        self._marked_at = 0.0
        self._frozen: Sequence[OrderRecord] = ()
        self._heads = Heads()
        self.is_away = False

    def run(self) -> None:
        """Publish what is new, and a mark now and then."""
        if self.is_away:
            return
        while self._next < len(self._relay.log):
            record = self._relay.log[self._next]
            if self._heads.admit(record.epoch):
                if not self._publish(record):
                    return
                self._note(record)
            self._next += 1
        self._heads.admit(self._relay.epoch)
        self._heads.watermark(_PARTITION, self._relay.watermark)
        if self._now() - self._marked_at >= MARK_EVERY_S:
            self._marked_at = self._now()
            self._mark()

    def die(self) -> None:
        """Another one goes on, a little before where this one was."""
        self.is_away = True

    def freeze(self) -> None:
        """Another one goes on; this one wakes later with what its connection held."""
        begin = max(0, self._next - self._chance.randrange(1, 12))
        self._frozen = self._relay.log[begin : self._next]
        self.is_away = True

    def go_on(self) -> None:
        """The next one begins."""
        self._next = max(0, self._next - self._chance.randrange(0, 12))
        self._heads = Heads()
        for record in self._relay.log[max(0, self._next - _LOOK_BACK) : self._next]:
            if self._heads.admit(record.epoch):
                self._note(record)
        self.is_away = False

    def wake(self) -> None:
        """The frozen one says what it held."""
        for record in self._frozen:
            self._publish(record)
        self._frozen = ()

    def _publish(self, record: OrderRecord) -> bool:
        return all(self._broker.publish(one.topic, one.payload) for one in orders_of(record))

    def _note(self, record: OrderRecord) -> None:
        for name, seq in split_ids(record.ids):
            self._heads.note(parse_channel(name).root, name, seq, self._now())

    def _mark(self) -> None:
        if not self._heads.epoch:
            return
        watermark = self._heads.watermark_of(_PARTITION) or 0.0
        heads = self._heads.of(STORE, self._now())
        mark = mark_of(STORE, self._heads.epoch, watermark, heads)
        self._broker.publish(mark.topic, mark.payload)
