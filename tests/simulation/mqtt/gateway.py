"""Models of relay and gateways, which publish each event at least once, by the real rules."""

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
"""How many earlier records a new gateway reads, to learn the heads."""
_PARTITION: Final = 0


class ModelRelay:
    """Moves committed events into the log, unless it is stalled."""

    def __init__(self, core: ModelCore) -> None:
        self.log: list[OrderRecord] = []
        self.watermark = 0.0
        self.epoch = ""
        """The epoch of the watermark."""
        self.is_stalled = False
        self._core = core

    def run(self, db_now: float) -> None:
        """Move all committed events into the log, and set the watermark."""
        if self.is_stalled:
            return
        waiting, self._core.truth.outbox[:] = list(self._core.truth.outbox), []
        for committed in waiting:
            record = decode_record(*committed.record)
            assert isinstance(record, OrderRecord)
            self.log.append(record)
        self.watermark, self.epoch = db_now, self._core.epoch


class ModelGateway:
    """The gateways of the only partition, of which one runs after the other.

    Args:
        relay: has the log.
        broker: the broker, to which it publishes.
        chance: the random numbers of the schedule.
        now: returns virtual seconds.
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
        """Publish new events, and a mark at intervals."""
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
        """End the gateway; `go_on` starts another one, from a little before this one's position."""
        self.is_away = True

    def freeze(self) -> None:
        """Freeze the gateway; another one takes over, and `wake` sends what this one held."""
        begin = max(0, self._next - self._chance.randrange(1, 12))
        self._frozen = self._relay.log[begin : self._next]
        self.is_away = True

    def go_on(self) -> None:
        """Start the next gateway."""
        self._next = max(0, self._next - self._chance.randrange(0, 12))
        self._heads = Heads()
        for record in self._relay.log[max(0, self._next - _LOOK_BACK) : self._next]:
            if self._heads.admit(record.epoch):
                self._note(record)
        self.is_away = False

    def wake(self) -> None:
        """Let the frozen gateway publish what its connection held."""
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
