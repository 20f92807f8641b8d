"""Background work for devices: measurements are written, silent devices go offline.

A device counts as silent only if its partition was read to the end all that time and brought
nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from client_sdk.contract.channel import Channel
from core_api.devices.measurements import Measured, Measurements, Of, telemetry_value
from core_api.devices.presence import SILENT_S, offline_value
from core_api.devices.registrations import find_kept
from core_api.devices.work import Work
from core_api.errors import ConflictError, UnavailableError
from core_api.postgres.pool import Pool, transaction
from core_api.system_edits.in_transaction import Change, change_documents
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.devices.metrics import DeviceMetrics
    from core_api.edits.plan import Rules

_log = get_logger()

FLUSH_EVERY_S: Final = 1.0
LOOK_EVERY_S: Final = 5.0
_SILENT: Final = """
UPDATE device_presence SET online = false WHERE (store_id, device_id) IN (
    SELECT store_id, device_id FROM device_presence
    WHERE online AND heard_at < now() - make_interval(secs => $1) AND partition = ANY($2::int[])
        AND store_id || '/' || device_id <> ALL($3::text[])
    ORDER BY heard_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING store_id, device_id
"""


class Watching:
    """Writes measurements, and finds silent devices.

    Args:
        pool: the database, by connections that wait for a lock shortly only.
        rules: what holds for all edits.
        measurements: what was gathered.
        listened: the partitions that were read to their end for so many seconds.
        committed: called after each commit with the channels that got an event.
        metrics: where the counts go.
    """

    def __init__(
        self,
        pool: Pool,
        rules: Rules,
        measurements: Measurements,
        listened: Callable[[float], Collection[int]],
        committed: Callable[[Sequence[str]], None],
        metrics: DeviceMetrics,
    ) -> None:
        self._pool = pool
        self._rules = rules
        self._measurements = measurements
        self._listened = listened
        self._committed = committed
        self._metrics = metrics

    async def keep_flushing(self) -> None:
        """Write what was measured, again and again."""
        while True:
            await self.flush()
            await asyncio.sleep(FLUSH_EVERY_S)

    async def flush(self) -> None:
        """Write what is due; what cannot be written now waits for the next time."""
        for of, names in self._measurements.due().items():
            try:
                await self._write(of, names)
            except (ConflictError, UnavailableError) as error:
                _log.warning("measurements_wait", reason=str(error))
                self._measurements.put_back(of, names)
            except Exception:
                self._metrics.dropped.inc(len(names))
                _log.exception("measurements_dropped", store_id=of[0], device=of[1])

    async def keep_looking(self) -> None:
        """Look for silent devices, again and again."""
        while True:
            try:
                await self.look()
            except (ConflictError, UnavailableError) as error:
                _log.warning("looking_for_silent_devices_failed", reason=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Find the devices that are silent for too long. Returns how many went offline.

        Raises:
            ConflictError, UnavailableError: Postgres does not answer, or somebody holds a lock.
        """
        partitions = sorted(self._listened(SILENT_S))
        total, failed = 0, list[str]()
        while partitions:
            found = await self._one_silent(partitions, failed)
            if found is None:
                break
            total += 1
        return total

    async def _one_silent(self, partitions: list[int], failed: list[str]) -> str | None:
        name = None
        try:
            async with transaction(self._pool) as connection:
                row = await connection.fetchrow(_SILENT, SILENT_S, partitions, failed)
                if row is None:
                    return None
                channel = Channel("device", *row)
                name = f"{channel.root}/{channel.part}"
                change = Change(channel, "status", offline_value)
                channels = await change_documents(connection, [change], self._rules)
        except (ConflictError, UnavailableError):
            raise
        except Exception:
            if name is None:
                raise
            failed.append(name)
            _log.exception("device_not_set_offline", device=name)
            return name
        self._committed(channels)
        self._metrics.silent.inc()
        _log.info("device_silent", device=name)
        return name

    async def _write(self, of: Of, names: Mapping[str, Measured]) -> None:
        async with transaction(self._pool) as connection:
            device = await find_kept(connection, *of)
            known = () if device is None else (None, device.identity.generation)
            ours = {name: one for name, one in names.items() if one.generation in known}
            if device is None or not ours:
                self._metrics.dropped.inc(len(names))
                return
            partition = max(ours.values(), key=lambda one: one.at_ms).partition
            await Work(connection, device, partition).is_still_there()
            change = Change(
                device.identity.channel,
                "telemetry",
                lambda current, now: telemetry_value(current, ours, now),
            )
            channels = await change_documents(connection, [change], self._rules)
        self._committed(channels)
