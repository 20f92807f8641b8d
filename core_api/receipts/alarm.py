"""The receipt alarm: finds orders that reach nobody, and tells those who can phone the store.

An order is `unreceived` when no device of its store has applied it, and `unaccepted` when it is
still `placed`, each after its set time. Each is reported at least once, by a record
`store.unreached` on the alerts topic: a relay may die between sending and noting it. A device says
what it has applied within 2 s. While the receipts that came by Kafka are not stored, nobody knows
which orders are unreceived, and none is added to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from core_api.kafka.alerts import Alerts
from core_api.kafka.messages import Message
from core_api.postgres.patience import keep_looking
from core_api.receipts.metrics import KINDS, AlarmMetrics
from core_api.receipts.statements import Unreached, find_unreached, mark_told, untold
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.kafka.publisher import KafkaPublisher
    from core_api.postgres.pool import Pool

_log = get_logger()

RECORD_TYPE: Final = b"store.unreached"


class OrderAlert(msgspec.Struct, frozen=True, tag_field="type", tag="store.unreached"):
    """The value of a record: whom to phone, and why."""

    kind: str
    store_id: str
    order_id: str
    placed_at: str
    waiting_s: float


def message_of(one: Unreached, timestamp_ms: int) -> Message:
    """The record for one order; its key is the store."""
    placed_at = one.placed_at.isoformat().replace("+00:00", "Z")
    alert = OrderAlert(one.kind, one.store_id, one.order_id, placed_at, round(one.waiting_s, 1))
    headers = [("type", RECORD_TYPE)]
    return Message(one.store_id.encode(), msgspec.json.encode(alert), headers, timestamp_ms)


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """The alarm's times, in seconds."""

    unreceived_after_s: float
    unaccepted_after_s: float
    every_s: float


class ReceiptsWatch(Protocol):
    """Tells whether receipts that were written are stored."""

    async def lags(self) -> bool:
        """Whether they wait for longer than they may."""

    async def close(self) -> None:
        """Close its connections."""


class ReceiptAlarm:
    """Looks on and on; every relay may run one.

    Args:
        pool: the database.
        publisher: the alerts topic.
        metrics: where the counts go.
        settings: how long an order may be without a device that has it, how long it may be
            `placed`, and how often to look.
        now_ms: the time, milliseconds since the Unix epoch, for the records.
        receipts: whether receipts wait in Kafka for longer than they may.
    """

    def __init__(
        self,
        pool: Pool,
        publisher: KafkaPublisher,
        metrics: AlarmMetrics,
        settings: AlarmSettings,
        now_ms: Callable[[], int],
        receipts: ReceiptsWatch,
    ) -> None:
        self._receipts = receipts
        self._pool = pool
        self._metrics = metrics
        self._settings = settings
        self._alerts: Alerts[Unreached] = Alerts(
            publisher,
            lambda one: message_of(one, now_ms()),
            lambda last, limit: untold(pool, last, limit),
            self._note,
        )

    async def run(self) -> None:
        """Look until cancelled; try again after a failure."""
        try:
            await keep_looking(self.look, self._settings.every_s, "reach_waits")
        finally:
            await self._receipts.close()
            await self._alerts.close()

    async def look(self) -> None:
        """Look once, and send the alerts.

        Raises:
            UnavailableError: Postgres does not answer, or not all of Kafka does.
        """
        settings = self._settings
        held = await self._receipts.lags()
        self._metrics.held.set(held)
        counts = await find_unreached(
            self._pool, settings.unreceived_after_s, settings.unaccepted_after_s, held=held
        )
        for kind in KINDS:
            self._metrics.unreached.labels(kind).set(counts.get(kind, 0))
        await self._alerts.tell()

    async def _note(self, told: Sequence[Unreached]) -> None:
        await mark_told(self._pool, told)
        for one in told:
            self._metrics.alerts.labels(one.kind).inc()
            _log.warning(
                "store_unreached", kind=one.kind, store_id=one.store_id, order_id=one.order_id
            )
