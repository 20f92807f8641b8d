"""Makes the print jobs of orders, in a second step that loses none and makes none twice.

An order's own transaction writes its event into the log, and nothing for printing: a store without
printers has no cost, and no printer can delay an order. This module reads the store's log for each
printer: the jobs of an event and the printer's new position in the log are one transaction. So each
event makes its jobs once, however many processes do this, and wherever they are killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from client_sdk.contract.channel import Channel
from client_sdk.contract.json_decoding import decode_any
from core_api.documents.kept_versions import Head
from core_api.documents.new_version import next_version
from core_api.documents.refusals import RefusedEditError
from core_api.edits.what_was_read import Room
from core_api.edits.writing import ensure_rows
from core_api.errors import UnavailableError
from core_api.postgres.pool import transaction
from core_api.printing.definitions import PRINT_DEFINITION
from core_api.printing.jobs import PREFIX, Job, JobNames, ends_at
from core_api.printing.metrics import PrintMetrics
from core_api.printing.planning import PlannedJobs, plan_jobs
from core_api.printing.routing import printing_of
from core_api.printing.statements import (
    enter_printers,
    events_after,
    lock_printer,
    move_printer,
    printers_behind,
    printers_waiting,
    printing_stores,
)
from core_api.system_edits.changes import SystemEdit
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.writing import write_system_edits
from server_common.limits import PRINT_JOB_BYTES, PRINT_JOBS
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.edits.reading import Connection

_log = get_logger()

EVERY_S: Final = 1.0
"""How long an order of another process waits at most before it is found, in seconds."""
WAITING_TOO_LONG_S: Final = 60.0
"""A printer with a job that is not printed for so many seconds is counted."""
_AT_ONCE_S: Final = 0.02
"""Orders that come within so many seconds are processed together."""
_EVENTS: Final = 50
_PRINTERS: Final = 100
_OVERLAP: Final = timedelta(seconds=60)
"""A commit may be later than the time in its rows by so many seconds."""


class JobMaker:
    """Makes print jobs; any number of processes may do so side by side.

    Args:
        documents: those that it changes.
        metrics: what is counted.
        names: how new jobs are named.
    """

    def __init__(
        self,
        documents: DocumentAccess,
        metrics: PrintMetrics,
        names: JobNames = "dated",
    ) -> None:
        self._documents = documents
        self._metrics = metrics
        self._names: JobNames = names
        self._stores: frozenset[str] = frozenset()
        self._since = datetime(2000, 1, 1, tzinfo=UTC)
        self._news = asyncio.Event()

    def wake(self, channels: Sequence[str]) -> None:
        """Note that this process has committed something in these channels."""
        if not self._stores or self._news.is_set():
            return
        if any(name.startswith("store:") and name[6:] in self._stores for name in channels):
            self._news.set()

    async def run(self) -> None:
        """Make jobs for ever."""
        while True:
            try:
                await self.round()
                waiting = await printers_waiting(self._documents.pool, WAITING_TOO_LONG_S)
                self._metrics.waiting.set(waiting)
            except UnavailableError as error:
                _log.warning("making_print_jobs_failed", reason=str(error))
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._news.wait()
                await asyncio.sleep(_AT_ONCE_S)
            except TimeoutError:
                pass
            self._news.clear()

    async def round(self) -> int:
        """Make all jobs that are due. Returns how many.

        Raises:
            UnavailableError: Postgres does not answer; the jobs made so far remain.
        """
        pool = self._documents.pool
        self._since = await enter_printers(pool, self._since - _OVERLAP)
        self._stores = await printing_stores(pool)
        if not self._stores:
            return 0
        total, stuck = 0, set[tuple[str, str]]()
        while behind := await printers_behind(pool, PRINT_JOBS, PRINT_JOB_BYTES, _PRINTERS, stuck):
            for store_id, device_id in behind:
                made = await self._make_some(store_id, device_id)
                if made is None:
                    stuck.add((store_id, device_id))
                else:
                    total += made
        return total

    async def _make_some(self, store_id: str, device_id: str) -> int | None:
        """Make jobs of the next events of one printer; None: nothing is due, or it failed."""
        channel = Channel("device", store_id, device_id)
        try:
            async with transaction(self._documents.pool, isolation="read_committed") as connection:
                planned = await self._plan(connection, store_id, device_id)
                if planned is None:
                    return None
                made = await self._write(connection, channel, planned)
                await move_printer(
                    connection, store_id, device_id, planned.seq, has_jobs=bool(made)
                )
        except UnavailableError as error:
            # A row is locked; or the database is down, which the next printer's try shows.
            _log.warning("making_print_jobs_failed", printer=str(channel), reason=str(error))
            return None
        except Exception:
            # A damaged row, or a bug of ours: it must not keep other printers from their jobs.
            self._metrics.not_made.inc()
            _log.exception("print_job_not_made", printer=str(channel))
            return None
        self._tell(channel, planned, made)
        return made

    async def _plan(
        self, connection: Connection, store_id: str, device_id: str
    ) -> PlannedJobs | None:
        locked = await lock_printer(connection, store_id, device_id)
        if locked is None:
            return None
        value = None if locked.printing is None else decode_any(locked.printing)
        printing = printing_of(value)
        events = await events_after(connection, store_id, locked.seq, _EVENTS)
        printer = printing.printers.get(device_id)
        if not events:
            return None
        if printer is None:
            return PlannedJobs(events[-1].seq)
        room = Room(PRINT_JOBS - locked.jobs, PRINT_JOB_BYTES - locked.size)
        return plan_jobs(events, printing, printer, locked.seq, room, self._names)

    async def _write(self, connection: Connection, channel: Channel, planned: PlannedJobs) -> int:
        if not planned.jobs:
            return 0
        now: datetime = (await connection.fetch("SELECT now()"))[0][0]
        edits = [edit for job in planned.jobs if (edit := self._edit(channel, job, now))]
        await ensure_rows(connection, [(str(channel), edit.key) for edit in edits], [])
        return await write_system_edits(connection, edits, now, self._documents.rules)

    def _edit(self, channel: Channel, job: Job, now: datetime) -> SystemEdit | None:
        try:
            made = next_version(Head(), None, job.value, PRINT_DEFINITION, now)
        except RefusedEditError as error:
            self._metrics.not_made.inc()
            _log.error("print_job_not_made", printer=str(channel), job=job.id, reason=str(error))
            return None
        if made is None:
            return None
        return SystemEdit(channel, PREFIX + job.id, Head(), made, ends_at(job, now))

    def _tell(self, channel: Channel, planned: PlannedJobs, made: int) -> None:
        for seq, reason in planned.unprintable.items():
            self._metrics.not_made.inc()
            _log.error("print_job_not_made", printer=str(channel), seq=seq, reason=reason)
        if made:
            self._metrics.made.inc(made)
            self._documents.committed([str(channel)])
            _log.info("print_jobs_made", printer=str(channel), jobs=made)
