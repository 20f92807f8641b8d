"""The steps of print jobs: each is one transaction, by the same code for every printer.

Its callers are agents of printers, Core's own CloudPRNT handler and people. An agent that takes a
job holds the printer: one agent for each, until it releases it or is silent for `HELD_S`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from client_sdk.contract.channel import Channel
from client_sdk.contract.json_decoding import reader
from core_api.errors import ConflictError
from core_api.postgres.pool import mapped_errors, transaction
from core_api.printing.cloudprnt import JobSeen
from core_api.printing.jobs import PREFIX, Job, StepReport, job_of
from core_api.printing.metrics import PrintMetrics
from core_api.printing.statements import (
    HELD_S,
    hold_printer,
    is_held_by,
    let_go_printer,
    read_jobs,
)
from core_api.printing.stepping import step_job
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.locked_rows import LockedRow
from server_common.logs import get_logger

_log = get_logger()
_job_value: Final = reader(dict[str, Any])


class PrintService:
    """The steps of print jobs.

    Args:
        documents: those that it changes.
        metrics: what is counted.
    """

    def __init__(
        self,
        documents: DocumentAccess,
        metrics: PrintMetrics,
    ) -> None:
        self._documents = documents
        self._metrics = metrics
        self._damaged: set[tuple[str, str]] = set()

    async def hold(self, printer: Channel, agent: str, held_s: float = HELD_S) -> None:
        """Assign the printer to this agent.

        Args:
            printer: its channel.
            agent: the name of the agent.
            held_s: for how many seconds from now.

        Raises:
            ConflictError: it is another agent's.
            UnavailableError: Postgres does not answer.
        """
        device = printer.part or ""
        if not await hold_printer(self._documents.pool, printer.root, device, agent, held_s):
            raise ConflictError(f"another agent prints on {device}")

    async def let_go(self, printer: Channel, agent: str) -> None:
        """Release the printer, if this agent holds it; raises UnavailableError."""
        await let_go_printer(self._documents.pool, printer.root, printer.part or "", agent)

    async def step(self, printer: Channel, job_id: str, report: StepReport) -> Job:
        """Take a job one step further. A repeated step changes nothing.

        Args:
            printer: its channel.
            job_id: the job.
            report: the step.

        Returns:
            The job after it.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: the step does not follow, or the printer is another agent's.
            UnavailableError: Postgres does not answer, or somebody holds a lock.
        """
        _, job = await self._step(printer, job_id, report)
        return job

    async def take_first(self, printer: Channel, job_id: str, agent: str) -> Job | None:
        """Take a job that this agent has not taken yet. Raises as `step`.

        Args:
            printer: its channel.
            job_id: the job.
            agent: who takes it; it must hold the printer.

        Returns:
            The job to print; None: the agent had taken it before, or it is too old.
        """
        before, job = await self._step(printer, job_id, StepReport("take", agent))
        return job if job is not before and job.state == "sent" else None

    async def _step(self, printer: Channel, job_id: str, report: StepReport) -> tuple[Job, Job]:
        """The job before and after the step; the same one, if nothing has changed."""
        device, step, agent = printer.part or "", report.step, report.agent
        async with transaction(self._documents.pool, isolation="read_committed") as connection:
            is_held = await is_held_by(connection, printer.root, device, agent)
            if step == "take" and not is_held:
                raise ConflictError(f"the printer {device} is not held by {agent}")
            before, job = await step_job(connection, self._documents.rules, printer, job_id, report)
        if job is not before:
            self._documents.committed([str(printer)])
            self._metrics.settled.labels(job.state).inc()
            _log.info("print_job", printer=str(printer), job=job_id, step=step, state=job.state)
        return before, job

    async def jobs(self, printer: Channel) -> tuple[list[JobSeen], datetime]:
        """The jobs of a printer in the order in which they are printed, and the database's time.

        A job whose document is damaged is left out, as those behind it must be printed.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        with mapped_errors():
            rows, now = await read_jobs(self._documents.pool, str(printer))
        jobs = [seen for row in rows if (seen := self._seen(printer, row)) is not None]
        return sorted(jobs, key=lambda one: (one.job.seq, one.job.copy)), now

    def _seen(self, printer: Channel, row: LockedRow) -> JobSeen | None:
        """The job of a document; None: it is deleted, or damaged, which is told once."""
        if row.value is None:
            return None
        try:
            value = _job_value(row.value)
            return JobSeen(job_of(row.key.removeprefix(PREFIX), value), row.made_at)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            place = (str(printer), row.key)
            if place not in self._damaged:
                self._damaged.add(place)
                self._metrics.not_made.inc()
                _log.error(
                    "print_job_damaged", printer=str(printer), key=row.key, reason=str(error)
                )
            return None
