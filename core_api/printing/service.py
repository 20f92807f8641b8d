"""The steps of print jobs: each is one transaction, by the same code for every printer.

Its callers are agents of printers, Core's own CloudPRNT handler and people. An agent that takes a
job holds the printer: one agent for each, until it releases it or is silent for `HELD_S`.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from client_sdk.contract.channel import Channel
from core_api.errors import ConflictError
from core_api.postgres.pool import mapped_errors, transaction
from core_api.printing.cloudprnt import JobSeen
from core_api.printing.jobs import PREFIX, Job, Step, job_of
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
from server_common.logs import get_logger

_log = get_logger()


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

    async def hold(self, store_id: str, device_id: str, agent: str, held_s: float = HELD_S) -> None:
        """Assign the printer to this agent.

        Args:
            store_id: the store.
            device_id: its printer.
            agent: the name of the agent.
            held_s: for how many seconds from now.

        Raises:
            ConflictError: it is another agent's.
            UnavailableError: Postgres does not answer.
        """
        if not await hold_printer(self._documents.pool, store_id, device_id, agent, held_s):
            raise ConflictError(f"another agent prints on {device_id}")

    async def let_go(self, store_id: str, device_id: str, agent: str) -> None:
        """Release the printer, if this agent holds it; raises UnavailableError.

        Args:
            store_id: the store.
            device_id: its printer.
            agent: the name of the agent.
        """
        await let_go_printer(self._documents.pool, store_id, device_id, agent)

    async def step(
        self,
        store_id: str,
        device_id: str,
        job_id: str,
        step: Step,
        agent: str,
        attempt: int = 0,
        detail: str = "",
    ) -> Job:
        """Take a job one step further. A repeated step changes nothing.

        Args:
            store_id: the store.
            device_id: its printer.
            job_id: the job.
            step: what happened.
            agent: who reports the step; to take a job it must hold the printer.
            attempt: which attempt it is about.
            detail: a text for people.

        Returns:
            The job after it.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: the step does not follow, or the printer is another agent's.
            UnavailableError: Postgres does not answer, or somebody holds a lock.
        """
        _, job = await self._step(store_id, device_id, job_id, step, agent, attempt, detail)
        return job

    async def take_first(
        self, store_id: str, device_id: str, job_id: str, agent: str
    ) -> Job | None:
        """Take a job that this agent has not taken yet. Raises as `step`.

        Args:
            store_id: the store.
            device_id: its printer.
            job_id: the job.
            agent: who takes it; it must hold the printer.

        Returns:
            The job to print; None: the agent had taken it before, or it is too old.
        """
        before, job = await self._step(store_id, device_id, job_id, "take", agent, 0, "")
        return job if job is not before and job.state == "sent" else None

    async def _step(
        self,
        store_id: str,
        device_id: str,
        job_id: str,
        step: Step,
        agent: str,
        attempt: int,
        detail: str,
    ) -> tuple[Job, Job]:
        """The job before and after the step; the same one, if nothing has changed."""
        channel = Channel("device", store_id, device_id)
        async with transaction(self._documents.pool, isolation="read_committed") as connection:
            is_held = await is_held_by(connection, store_id, device_id, agent)
            if step == "take" and not is_held:
                raise ConflictError(f"the printer {device_id} is not held by {agent}")
            before, job = await step_job(
                connection, self._documents.rules, channel, job_id, step, agent, attempt, detail
            )
        if job is not before:
            self._documents.committed([str(channel)])
            self._metrics.settled.labels(job.state).inc()
            _log.info("print_job", printer=str(channel), job=job_id, step=step, state=job.state)
        return before, job

    async def jobs(self, printer: Channel) -> tuple[list[JobSeen], datetime]:
        """The jobs of a printer in the order in which they are printed, and the database's time.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        with mapped_errors():
            rows, now = await read_jobs(self._documents.pool, str(printer))
        jobs = [
            JobSeen(
                job_of(row.key.removeprefix(PREFIX), msgspec.json.decode(row.value)), row.made_at
            )
            for row in rows
            if row.value is not None
        ]
        return sorted(jobs, key=lambda one: (one.job.seq, one.job.copy)), now
