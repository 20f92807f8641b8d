"""Background work for devices: measurements are written, silent devices go offline.

A device counts as silent only if its partition was read to the end all that time without a message
from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from client_sdk.contract.channel import Channel
from core_api.devices.measurements import Measured, Measurements, Of, telemetry_value
from core_api.devices.presence import SILENT_S, offline_value
from core_api.devices.registrations import find_kept
from core_api.devices.work import DeviceTransaction
from core_api.errors import ConflictError, LockedError, UnavailableError
from core_api.postgres.patience import keep_looking
from core_api.postgres.pool import transaction
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.in_transaction import SystemChange, change_documents
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.devices.metrics import DeviceMetrics

_log = get_logger()

FLUSH_EVERY_S: Final = 1.0
LOOK_EVERY_S: Final = 5.0
_WAIT: Final = (ConflictError, UnavailableError)
_SILENT: Final = """
UPDATE device_presence SET online = false WHERE (store_id, device_id) IN (
    SELECT store_id, device_id FROM device_presence
    WHERE online AND heard_at < now() - make_interval(secs => $1) AND partition = ANY($2::int[])
        AND store_id || '/' || device_id <> ALL($3::text[]) AND store_id <> ALL($4::text[])
    ORDER BY heard_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING store_id, device_id
"""


class Watching:
    """Writes measurements, and finds silent devices.

    Args:
        documents: those that it changes.
        measurements: what was gathered.
        listened: gives the partitions that were read to their end for that many seconds.
        metrics: where the counts go.
    """

    def __init__(
        self,
        documents: DocumentAccess,
        measurements: Measurements,
        listened: Callable[[float], Collection[int]],
        metrics: DeviceMetrics,
    ) -> None:
        self._documents = documents
        self._measurements = measurements
        self._listened = listened
        self._metrics = metrics

    async def keep_flushing(self) -> None:
        """Write what was measured, again and again."""
        while True:
            await self.flush()
            await asyncio.sleep(FLUSH_EVERY_S)

    async def flush(self) -> None:
        """Write what is due. What cannot be written waits for the next round, as does the rest of a
        store of which another transaction holds a row locked."""
        held = set[str]()
        for of, names in self._measurements.due().items():
            if of[0] in held:
                self._measurements.put_back(of, names)
                continue
            try:
                await self._write(of, names)
            except LockedError as error:
                held.add(of[0])
                _log.warning("measurements_wait", reason=str(error), store_id=of[0])
                self._measurements.put_back(of, names)
            except _WAIT as error:
                _log.warning("measurements_wait", reason=str(error))
                self._measurements.put_back(of, names)
            except Exception:
                self._metrics.dropped.inc(len(names))
                _log.exception("measurements_dropped", store_id=of[0], device=of[1])

    async def keep_looking(self) -> None:
        """Look for silent devices, again and again."""
        waits = "looking_for_silent_devices_failed"
        await keep_looking(self.look, LOOK_EVERY_S, waits, _WAIT)

    async def look(self) -> int:
        """Find the devices that are silent for too long. Returns how many went offline. Those of a
        store with a locked row wait for the next round.

        Raises:
            ConflictError, UnavailableError: Postgres does not answer.
        """
        partitions = sorted(self._listened(SILENT_S))
        total, failed, held = 0, list[str](), list[str]()
        while partitions:
            before = len(held)
            if not await self._one_silent(partitions, failed, held):
                break
            total += len(held) == before
        return total

    async def _one_silent(self, partitions: list[int], failed: list[str], held: list[str]) -> bool:
        """Whether there was a silent device: now it is offline, or it or its store is skipped."""
        channel: Channel | None = None
        try:
            async with transaction(self._documents.pool) as connection:
                row = await connection.fetchrow(_SILENT, SILENT_S, partitions, failed, held)
                if row is None:
                    return False
                channel = Channel("device", *row)
                change = SystemChange(channel, "status", offline_value)
                channels = await change_documents(connection, [change], self._documents.rules)
        except Exception as error:
            is_held = isinstance(error, LockedError)
            if channel is None or (isinstance(error, _WAIT) and not is_held):
                raise
            name = f"{channel.root}/{channel.part}"
            if is_held:
                held.append(channel.root)
                _log.warning("silent_device_waits", device=name, reason=str(error))
            else:
                failed.append(name)
                _log.exception("device_not_set_offline", device=name)
            return True
        self._documents.committed(channels)
        self._metrics.silent.inc()
        _log.info("device_silent", device=f"{channel.root}/{channel.part}")
        return True

    async def _write(self, of: Of, names: Mapping[str, Measured]) -> None:
        async with transaction(self._documents.pool) as connection:
            device = await find_kept(connection, *of)
            known = () if device is None else (None, device.identity.generation)
            ours = {name: one for name, one in names.items() if one.generation in known}
            if device is None or not ours:
                self._metrics.dropped.inc(len(names))
                return
            partition = max(ours.values(), key=lambda one: one.at_ms).partition
            await DeviceTransaction(connection, device, partition).is_still_there()
            change = SystemChange(
                device.identity.channel,
                "telemetry",
                lambda current, now: telemetry_value(current, ours, now),
            )
            channels = await change_documents(connection, [change], self._documents.rules)
        self._documents.committed(channels)
