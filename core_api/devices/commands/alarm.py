"""The alarm for commands that nobody answered: told at least once on the topic of receipt alerts.

A command that expired is reported by a record `device.unanswered`; a relay may die between sending
and noting it. An answer that comes before takes the alarm back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core_api.devices.times import rfc3339
from core_api.kafka.alerts import Alerts
from core_api.kafka.messages import Message
from core_api.postgres.patience import keep_looking
from core_api.postgres.pool import Pool, mapped_errors
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.devices.metrics import CommandAlarmMetrics
    from core_api.kafka.publisher import KafkaPublisher

_log = get_logger()

RECORD_TYPE: Final = b"device.unanswered"
_UNTOLD: Final = """
SELECT store_id, device_id, id, name, asked_by, created_at, expires_at FROM device_commands
WHERE state = 'expired' AND told_at IS NULL
    AND ($2::timestamptz IS NULL OR (expires_at, store_id, device_id, id) > ($2, $3, $4, $5))
ORDER BY expires_at, store_id, device_id, id LIMIT $1
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
    expired_at: datetime


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
        self._metrics = metrics
        self._every_s = every_s
        self._alerts: Alerts[Unanswered] = Alerts(
            publisher, lambda one: message_of(one, now_ms()), self._untold, self._note
        )

    async def run(self) -> None:
        """Look until cancelled; try again after a failure."""
        try:
            await keep_looking(self.look, self._every_s, "command_alarm_waits")
        finally:
            await self._alerts.close()

    async def look(self) -> None:
        """Look once, and send the alerts.

        Raises:
            UnavailableError: Postgres does not answer, or not all of Kafka does.
        """
        with mapped_errors():
            self._metrics.unanswered.set(await self._pool.fetchval(_COUNT))
        await self._alerts.tell()

    async def _untold(self, last: Unanswered | None, limit: int) -> list[Unanswered]:
        begin = (
            (None, None, None, None)
            if last is None
            else (last.expired_at, last.store_id, last.device_id, last.command_id)
        )
        with mapped_errors():
            rows = await self._pool.fetch(_UNTOLD, limit, *begin)
        return [Unanswered(*row) for row in rows]

    async def _note(self, told: Sequence[Unanswered]) -> None:
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
