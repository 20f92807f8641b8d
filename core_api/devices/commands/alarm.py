"""The alarm for commands that nobody answered: told at least once on the topic of receipt alerts.

A command that expired is reported by a record `device.unanswered`; a relay may die between sending
and noting it. An answer that comes before takes the alarm back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from msgspec import Struct

from core_api.devices.times import rfc3339
from core_api.errors import UnavailableError
from core_api.kafka.messages import Message
from core_api.postgres.pool import Pool, mapped_errors
from server_common.event_records import partition_of

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from core_api.devices.metrics import CommandAlarmMetrics
    from core_api.kafka.publisher import KafkaPublisher

_log: FilteringBoundLogger = structlog.get_logger(__name__)

RECORD_TYPE: Final = b"device.unanswered"
_BATCH: Final = 200
_UNTOLD: Final = """
SELECT store_id, device_id, id, name, asked_by, created_at FROM device_commands
WHERE state = 'expired' AND told_at IS NULL ORDER BY expires_at LIMIT $1
"""
_TOLD: Final = """
UPDATE device_commands c SET told_at = now()
FROM unnest($1::text[], $2::text[], $3::text[]) AS t (store_id, device_id, id)
WHERE c.store_id = t.store_id AND c.device_id = t.device_id AND c.id = t.id
"""
_COUNT: Final = """
SELECT count(*) FROM device_commands c JOIN device_registrations d USING (store_id, device_id)
WHERE c.state = 'expired' AND c.created_at > now() - interval '25 hours'
    AND c.expires_at > now() - interval '1 hour' AND d.removed_at IS NULL
"""


class Unanswered(Struct, frozen=True):
    """A command that nobody answered."""

    store_id: str
    device_id: str
    command_id: str
    name: str
    asked_by: str
    asked_at: datetime


class UnansweredAlert(Struct, frozen=True, tag_field="type", tag="device.unanswered"):
    """The value of a record: which device to look at, and why."""

    store_id: str
    device_id: str
    command_id: str
    name: str
    asked_by: str
    asked_at: str


class CommandAlarm:
    """Looks on and on; every relay may run one.

    Args:
        pool: the database.
        publisher: the alerts topic.
        metrics: where the counts go.
        every_s: how often to look.
        now_ms: the time, milliseconds since the Unix epoch, for the records.
    """

    def __init__(
        self,
        pool: Pool,
        publisher: KafkaPublisher,
        metrics: CommandAlarmMetrics,
        every_s: float,
        now_ms: Callable[[], int],
    ) -> None:
        self._pool = pool
        self._publisher = publisher
        self._metrics = metrics
        self._every_s = every_s
        self._now_ms = now_ms

    async def run(self) -> None:
        """Look until cancelled; try again after a failure."""
        try:
            while True:
                try:
                    await self.look()
                except UnavailableError as error:
                    _log.warning("command_alarm_waits", reason=str(error))
                await asyncio.sleep(self._every_s)
        finally:
            await self._publisher.close()

    async def look(self) -> None:
        """Look once, and send the alerts.

        Raises:
            UnavailableError: Postgres or Kafka does not answer.
        """
        with mapped_errors():
            self._metrics.unanswered.set(await self._pool.fetchval(_COUNT))
        while news := await self._untold():
            await self._tell(news)

    async def _untold(self) -> list[Unanswered]:
        with mapped_errors():
            rows = await self._pool.fetch(_UNTOLD, _BATCH)
        return [Unanswered(*row) for row in rows]

    async def _tell(self, news: Sequence[Unanswered]) -> None:
        await self._publisher.open()
        parts: dict[int, list[Unanswered]] = {}
        for one in news:
            parts.setdefault(partition_of(one.store_id, self._publisher.partitions), []).append(one)
        published = await self._publisher.publish(
            {p: [message_of(one, self._now_ms()) for one in those] for p, those in parts.items()}
        )
        told = [one for p, count in published.stored.items() for one in parts[p][:count]]
        if not told:
            raise UnavailableError("Kafka has not stored the alerts")
        columns = [
            [getattr(one, name) for one in told] for name in ("store_id", "device_id", "command_id")
        ]
        with mapped_errors():
            await self._pool.execute(_TOLD, *columns)
        for one in told:
            self._metrics.alerts.inc()
            _log.warning(
                "command_unanswered",
                store_id=one.store_id,
                device=one.device_id,
                command=one.command_id,
            )


def message_of(one: Unanswered, timestamp_ms: int) -> Message:
    """The record for one command; its key is the store."""
    alert = UnansweredAlert(
        one.store_id, one.device_id, one.command_id, one.name, one.asked_by, rfc3339(one.asked_at)
    )
    headers = [("type", RECORD_TYPE)]
    return Message(one.store_id.encode(), msgspec.json.encode(alert), headers, timestamp_ms)
